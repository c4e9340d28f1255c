//! `PATCH /api/groups/{group}`.

use serde_json::json;
use shared::domain::question::{Ask, ChangeGroup, GroupChanged, GroupSetting};
use testbed::asked::{Doing, willing};

use super::GROUP;
use crate::support::World;

#[tokio::test]
async fn what_is_named_is_changed_and_null_takes_the_description_away() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let path = format!("/api/groups/{GROUP}");
    let all = json!({
        "subject": "Machines", "description": "Line one\nline two", "announce": true, "locked": false,
        "ephemeralSeconds": 604_800, "joinApproval": true,
    });
    key.patch(&path, all).await.data(200);
    for none in [json!({"description": null}), json!({"description": ""})] {
        key.patch(&path, none).await.data(200);
    }
    key.patch(&path, json!({})).await.data(200);
    let nothing = ChangeGroup {
        group: GROUP.parse().expect("a group"),
        subject: None,
        description: None,
        announce: None,
        locked: None,
        ephemeral_seconds: None,
        join_approval: None,
    };
    let emptied = ChangeGroup {
        description: Some(String::new()),
        ..nothing.clone()
    };
    let all = ChangeGroup {
        subject: Some("Machines".to_owned()),
        description: Some("Line one\nline two".to_owned()),
        announce: Some(true),
        locked: Some(false),
        ephemeral_seconds: Some(604_800),
        join_approval: Some(true),
        ..nothing.clone()
    };
    let wanted: Vec<Ask> = [all, emptied.clone(), emptied, nothing].map(Into::into).into();
    assert_eq!(asked.asks(), wanted);
}

#[tokio::test]
async fn what_whatsapp_did_in_part_is_told() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let _asked = world.answering(|ask| {
        let changed: Result<GroupChanged, _> = willing(ask)?.try_into();
        Ok(GroupChanged {
            done: vec![GroupSetting::Subject, GroupSetting::Announce],
            refused: Some((GroupSetting::EphemeralSeconds, Some(406))),
            ..changed.expect("of a change")
        }
        .into())
    });
    let body = json!({"subject": "Machines", "announce": true, "ephemeralSeconds": 86_400});
    let answer = key.patch(&format!("/api/groups/{GROUP}"), body).await;
    assert_eq!(answer.status, 502);
    assert_eq!(
        answer.json()["error"]["details"],
        json!({"done": ["subject", "announce"], "refused": "ephemeralSeconds", "upstreamCode": 406})
    );
}

#[tokio::test]
async fn wrong_members_are_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.asked(|_| Doing::Nothing);
    for (body, field) in [
        (json!({"subject": ""}), "subject"),
        (json!({"subject": null}), "subject"),
        (json!({"announce": "yes"}), "announce"),
        (json!({"ephemeralSeconds": 60}), "ephemeralSeconds"),
        (json!({"description": "x".repeat(2_049)}), "description"),
        (json!({"owner": "15550100001"}), "owner"),
    ] {
        let answer = key.patch(&format!("/api/groups/{GROUP}"), &body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.bad_fields()[0], field, "{body}");
    }
    assert!(asked.asks().is_empty());
}
