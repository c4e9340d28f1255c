//! Participants, promote, demote, requests, join and leave.

use axum::http::Method;
use serde_json::json;
use shared::domain::person::Person;
use shared::domain::question::{Ask, ParticipantChange, ParticipantsChanged, Participated, Verdict};
use testbed::asked::willing;

use super::GROUP;
use crate::support::World;

#[tokio::test]
async fn each_route_does_its_own() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let people = json!({"participants": ["+15550100002"]});
    for (method, end) in [
        (Method::POST, "participants"),
        (Method::DELETE, "participants"),
        (Method::POST, "promote"),
        (Method::POST, "demote"),
    ] {
        let path = format!("/api/groups/{GROUP}/{end}");
        let data = key.request(method, &path, people.clone()).await.data(200);
        let done = json!({"input": "+15550100002", "phone": "15550100002", "lid": "915550100002", "status": "done", "message": null});
        assert_eq!(data, json!({"results": [done]}));
    }
    for action in ["approve", "reject"] {
        let body = json!({"action": action, "participants": ["15550100002"]});
        let path = format!("/api/groups/{GROUP}/requests");
        key.post(&path, body).await.data(200);
    }
    let changes: Vec<_> = asked
        .asks()
        .into_iter()
        .map(|ask| match ask {
            Ask::ChangeParticipants(ask) => ask.change,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        changes,
        [
            ParticipantChange::Add,
            ParticipantChange::Remove,
            ParticipantChange::Promote,
            ParticipantChange::Demote,
            ParticipantChange::Approve,
            ParticipantChange::Reject,
        ]
    );
    let body = json!({"action": "ignore", "participants": ["15550100002"]});
    let answer = key.post(&format!("/api/groups/{GROUP}/requests"), body).await;
    assert_eq!(answer.bad_fields()[0], "action");
}

#[tokio::test]
async fn each_verdict_has_one_of_six_statuses() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let rows = [
        (Verdict::Done, "done"),
        (Verdict::Invited, "invited"),
        (Verdict::NotInvited, "not_allowed"),
        (Verdict::Blocked, "not_allowed"),
        (Verdict::LeftRecently, "not_allowed"),
        (Verdict::Full, "not_allowed"),
        (Verdict::NotOnWhatsapp, "not_on_whatsapp"),
        (Verdict::NotMember, "not_member"),
        (Verdict::Already, "already"),
        (Verdict::Impossible, "not_allowed"),
        (Verdict::Unsaid, "not_allowed"),
    ];
    let _asked = world.answering(move |ask| {
        let Ask::ChangeParticipants(ask) = ask else {
            panic!("{ask:?}")
        };
        let results = ask
            .participants
            .iter()
            .zip(rows)
            .map(|(name, (verdict, _))| Participated {
                person: Person::of(name),
                verdict,
            });
        Ok(ParticipantsChanged {
            results: results.collect(),
        }
        .into())
    });
    let inputs: Vec<_> = (0..rows.len()).map(|n| format!("155501000{n:02}")).collect();
    let body = json!({"participants": inputs});
    let data = key
        .post(&format!("/api/groups/{GROUP}/participants"), body)
        .await
        .data(200);
    let results = data["results"].as_array().expect("a list");
    for ((result, input), (verdict, status)) in results.iter().zip(&inputs).zip(rows) {
        assert_eq!(result["input"], **input);
        assert_eq!(result["status"], status, "{verdict:?}");
        assert_eq!(
            result["message"].is_string(),
            verdict != Verdict::Done,
            "{verdict:?}"
        );
    }
}

#[tokio::test]
async fn the_same_key_changes_people_once() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let key = key.with_header("idempotency-key", "k");
    let body = json!({"participants": ["15550100002"]});
    let path = format!("/api/groups/{GROUP}/promote");
    let first = key.post(&path, &body).await;
    let again = key.post(&path, &body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.data(200), again.data(200));
    // To demote them is another thing.
    let other = key.post(&format!("/api/groups/{GROUP}/demote"), &body).await;
    assert!(
        other.error().starts_with("409 IDEMPOTENCY_CONFLICT"),
        "{}",
        other.error()
    );
    assert_eq!(asked.asks().len(), 1);
}

#[tokio::test]
async fn a_group_is_joined_by_its_link_and_left() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    for invite in [
        "AbCdEfGhIjKlMnOpQrStUv",
        "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv",
    ] {
        let data = key
            .post("/api/groups/join", json!({"invite": invite}))
            .await
            .data(200);
        assert_eq!(data, json!({"id": GROUP, "status": "joined"}));
    }
    let left = key
        .post(&format!("/api/groups/{GROUP}/leave"), ())
        .await
        .data(200);
    assert_eq!(left, json!({"id": GROUP, "left": true}));
    let asks = asked.asks();
    assert_eq!(asks[0], asks[1], "a link and its code are the same");
    let wrong = key
        .post("/api/groups/join", json!({"invite": "https://example.com/x"}))
        .await;
    assert_eq!(wrong.bad_fields()[0], "invite");
}
