//! `GET /api/groups`, `GET /api/groups/{group}`, `GET /api/groups/{group}/requests` and the links.

use serde_json::{Value, json};
use shared::domain::question::{Ask, GroupsListed, RequestsListed};
use testbed::asked::willing;

use super::GROUP;
use crate::support::World;

#[tokio::test]
async fn groups_are_listed_in_pages() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(|ask| {
        let listed: Result<GroupsListed, _> = willing(ask)?.try_into();
        let listed = listed.expect("of a list");
        let Ask::ListGroups(ask) = ask else {
            panic!("{ask:?}")
        };
        Ok(GroupsListed {
            more: ask.after.is_none(),
            ..listed
        }
        .into())
    });
    let first = key.get("/api/groups?limit=1").await;
    assert_eq!(first.data(200)[0]["id"], GROUP);
    assert_eq!(first.data(200)[0].get("participants"), None);
    let cursor = first.json()["meta"]["pagination"]["nextCursor"].clone();
    let cursor = cursor.as_str().expect("there is more");
    let last = key.get(&format!("/api/groups?limit=1&cursor={cursor}")).await;
    last.data(200);
    assert_eq!(last.json()["meta"]["pagination"]["nextCursor"], Value::Null);
    let Ask::ListGroups(second) = asked.asks().remove(1) else {
        panic!("another question")
    };
    assert_eq!(
        second.after,
        Some((1_767_225_600, GROUP.parse().expect("a group")))
    );
    assert_eq!(second.limit, 1);
    let forged = key.get("/api/groups?cursor=abc").await;
    assert_eq!(forged.status, 400);
    let other = key
        .get(&format!("/api/groups/{GROUP}/requests?cursor={cursor}"))
        .await;
    assert_eq!(other.status, 400, "a cursor of another list");
}

#[tokio::test]
async fn a_group_shows_who_is_in_it() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let digits = key.get("/api/groups/120363021033254949").await.data(200);
    let shown = key.get("/api/groups/120363021033254949%40g.us").await.data(200);
    assert_eq!(shown, digits);
    assert_eq!(
        shown,
        json!({
            "id": GROUP, "subject": "Engines", "creator": {"phone": "15550100001", "lid": "915550100001"},
            "createdAt": "2026-01-01T00:00:00.000Z", "announce": false, "locked": false, "joinApproval": false,
            "ephemeralSeconds": 0, "size": 2, "role": "owner", "description": "All about engines",
            "participants": [
                {"phone": "15550100001", "lid": "915550100001", "role": "owner"},
                {"phone": null, "lid": "915550100002", "role": "member"},
            ],
        })
    );
    for path in ["/api/groups/engines", "/api/groups/15550100001@s.whatsapp.net"] {
        assert_eq!(
            key.get(path).await.error(),
            "400 VALIDATION_ERROR: `group` must be a group's JID, as `120363021033254949@g.us`, or its digits",
            "{path}"
        );
    }
    assert_eq!(asked.asks().len(), 2);
}

#[tokio::test]
async fn requests_are_listed_in_pages() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let _asked = world.answering(|ask| {
        let listed: Result<RequestsListed, _> = willing(ask)?.try_into();
        Ok(RequestsListed {
            more: true,
            ..listed.expect("of a list")
        }
        .into())
    });
    let answer = key.get(&format!("/api/groups/{GROUP}/requests")).await;
    assert_eq!(
        answer.data(200),
        json!([{"phone": "15550100002", "lid": "915550100002", "requestedAt": "2026-01-01T00:00:00.000Z"}])
    );
    let cursor = answer.json()["meta"]["pagination"]["nextCursor"].clone();
    let cursor = cursor.as_str().expect("there is more");
    key.get(&format!("/api/groups/{GROUP}/requests?cursor={cursor}"))
        .await
        .data(200);
    let other = format!("/api/groups/120363021033254950/requests?cursor={cursor}");
    assert_eq!(key.get(&other).await.status, 400, "a cursor of another group");
}

#[tokio::test]
async fn a_link_is_shown_and_made_void() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let path = format!("/api/groups/{GROUP}/invite-link");
    let link =
        json!({"link": "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv", "code": "AbCdEfGhIjKlMnOpQrStUv"});
    assert_eq!(key.get(&path).await.data(200), link);
    assert_eq!(
        key.delete(&path).await.data(200),
        json!({"id": GROUP, "deleted": true})
    );
    let changes: Vec<bool> = asked.asks().iter().map(Ask::changes).collect();
    assert_eq!(changes, [false, true]);
}
