//! Whose receipts are told, and of what.

use daemon::connection::{ReceiptKind, SessionEvent};
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use shared::domain::content::Said;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;

use crate::world::{World, to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_groups_members_are_known_and_each_is_named_by_receipts() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let others = [world.phone("Bob").await, world.phone("Carol").await];
    let mut session = world.paired(&own, 1).await;
    let body = json!({"subject": "All", "participants": [own, others[1]]});
    let made = world
        .admin(&format!("/admin/phones/{}/groups", others[0]), body)
        .await;
    let group: Recipient = made["id"].as_str().expect("a JID").parse().expect("a group");

    let members = session.connection.group_members(&group).await.expect("told");
    let mut phones: Vec<_> = members.iter().filter_map(|member| member.phone.clone()).collect();
    phones.sort();
    let mut expected = others.to_vec();
    expected.sort();
    assert_eq!(phones, expected, "all but oneself");
    assert!(members.iter().all(|member| member.lid.is_some()));

    let message = MessageId::new(SystemClock.now());
    let sent = session
        .connection
        .send(message, &group, &Said::text("hello all"))
        .await;
    sent.expect("on the wire");
    let acknowledged = session.acknowledged_in(&message.to_whatsapp()).await;
    assert_eq!(acknowledged, (None, Some(group.clone())));
    let mut readers: Vec<Person> = Vec::new();
    while readers.len() < 2 {
        let reader = session
            .until("delivery to a member", |event| match event {
                SessionEvent::Receipt {
                    group: Some(of),
                    kind: ReceiptKind::Delivered,
                    reader,
                    ..
                } if of == group => Some(reader),
                _ => None,
            })
            .await;
        let is_member = |member: &&Person| {
            (member.phone.is_some() && member.phone == reader.phone)
                || (member.lid.is_some() && member.lid == reader.lid)
        };
        let member = members.iter().find(is_member).expect("a member");
        if !readers.contains(member) {
            readers.push(member.clone());
        }
    }
    session.connection.disconnect().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_sends_to_oneself_is_delivered_when_another_device_has_it() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    for chat in [&other, &own] {
        let message = MessageId::new(SystemClock.now());
        let id = message.to_whatsapp();
        let sent = session
            .connection
            .send(message, &to(chat), &Said::text("a note"))
            .await;
        sent.expect("on the wire");
        // It may come before the server's acknowledgement.
        let told = session.until("delivery", |event| match event {
            SessionEvent::Receipt {
                whatsapp_ids, kind, ..
            } => Some((whatsapp_ids, kind)),
            _ => None,
        });
        assert_eq!(told.await, (vec![id], ReceiptKind::Delivered));
    }
    session.connection.disconnect().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_accounts_phone_sends_names_the_other_side() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    world.send(&own, &other, "from my phone").await;
    let committed = session.committed().await;
    assert!(committed.from_me);
    assert_eq!(committed.with.phone.as_deref(), Some(other.as_str()));
    assert_ne!(committed.with.lid, committed.from.lid, "never the sender's own");
    session.connection.disconnect().await;
}
