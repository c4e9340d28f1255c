//! Messages to groups among clients: sender keys, receipts, refusals, retries.

use std::collections::BTreeSet;

use wacore::libsignal::store::sender_key_name::SenderKeyName;
use wacore::store::traits::SignalStore as _;
use wacore::types::events::Event;
use wacore::types::jid::JidExt as _;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;

use super::{create, update};
use crate::client::TestClient;
use crate::net::{Admin, start};

/// Waits until `count` different people gave a receipt of `kind` for `id`; answers their LIDs.
async fn receipts(client: &TestClient, id: &str, kinds: &[ReceiptType], people: &[&Jid]) {
    for person in people {
        client
            .wait("receipt", |event| match event {
                Event::Receipt(receipt)
                    if kinds.contains(&receipt.r#type)
                        && receipt.source.sender.user == person.user
                        && receipt.message_ids.iter().any(|one| one == id) =>
                {
                    assert!(receipt.source.chat.is_group(), "it comes from the group");
                    Some(())
                }
                _ => None,
            })
            .await;
    }
}

use wacore_binary::JidExt as _;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_clients_and_a_phone_talk() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (carol, c) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let d = admin.phone().await;
    let group = create(&alice, "Crew", &[&b, &c, &d]).await;
    let all = [(&alice, &a, "a"), (&bob, &b, "b"), (&carol, &c, "c")];
    for round in 0..2 {
        for (sender, _, name) in &all {
            let text = format!("{name} says {round}");
            let id = format!("3EB0000000{name}{round}");
            sender.send_to(group.clone(), &id, &text).await;
            assert_eq!(sender.acked(&id).await, None);
            for (reader, ..) in all.iter().filter(|(_, _, other)| other != name) {
                let (got, chat) = reader.text(&text).await;
                assert_eq!((got, chat), (id.clone(), group.clone()));
            }
            let people: Vec<Jid> = all
                .iter()
                .filter(|(_, _, other)| other != name)
                .map(|(client, ..)| client.client().lid().expect("a LID"))
                .collect();
            let kinds = [ReceiptType::Delivered, ReceiptType::Inactive];
            receipts(sender, &id, &kinds, &people.iter().collect::<Vec<_>>()).await;
        }
    }
    // The phones have it all, each text once, with its author.
    for phone in [&a, &b, &c, &d] {
        let inbox = admin.inbox(phone, 6).await;
        let seen: BTreeSet<_> = inbox
            .iter()
            .map(|entry| (entry["text"].as_str().unwrap(), entry["from"].as_str().unwrap()))
            .collect();
        assert_eq!(seen.len(), 6);
        assert!(seen.contains(&("b says 1", b.as_str())));
        assert!(
            inbox
                .iter()
                .all(|entry| entry["chat"] == group.to_string() && entry["copies"] == 1)
        );
    }
    // Read receipts reach the author alone.
    let (id, chat) = bob.text("a says 1").await;
    let author = alice.client().lid().expect("a LID").to_non_ad();
    bob.client()
        .mark_as_read(&chat, Some(&author), &[&id])
        .await
        .expect("the receipt goes out");
    receipts(&alice, &id, &[ReceiptType::Read], &[&bob.client().lid().unwrap()]).await;
    admin
        .ok("POST", &format!("/admin/phones/{d}/read"), r#"{"all": true}"#)
        .await;
    let reader = Jid::lid(
        admin.ok("GET", "/admin/phones", "").await[3]["lid"]
            .as_str()
            .unwrap(),
    );
    receipts(&alice, &id, &[ReceiptType::Read], &[&reader]).await;
    assert_eq!(
        carol.count(|event| matches!(event, Event::Receipt(receipt) if receipt.message_ids.contains(&id))),
        0
    );
    for client in [alice, bob, carol] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_later_reads_what_follows_and_who_goes_does_not() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (carol, c) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let group = create(&alice, "Crew", &[&b]).await;
    alice
        .send_to(group.clone(), "3EB0000000010001", "two of us")
        .await;
    bob.text("two of us").await;
    let (client, added) = (alice.client(), [Jid::pn(c.as_str())]);
    client
        .groups()
        .add_participants(&group, &added)
        .await
        .expect("carol is in");
    update(&carol, "group", &group, |action| {
        matches!(
            action,
            wacore::stanza::groups::GroupNotificationAction::Create { .. }
        )
        .then_some(())
    })
    .await;
    alice
        .send_to(group.clone(), "3EB0000000010002", "three of us")
        .await;
    bob.text("three of us").await;
    carol.text("three of us").await;
    carol
        .send_to(group.clone(), "3EB0000000010003", "hello all")
        .await;
    alice.text("hello all").await;
    bob.text("hello all").await;

    client
        .groups()
        .remove_participants(&group, &added)
        .await
        .expect("carol is out");
    update(&carol, "removal", &group, |action| {
        matches!(
            action,
            wacore::stanza::groups::GroupNotificationAction::Remove { .. }
        )
        .then_some(())
    })
    .await;
    alice
        .send_to(group.clone(), "3EB0000000010004", "two again")
        .await;
    bob.text("two again").await;
    // What comes after it shows that it is not still on its way.
    alice.send(&c, "3EB0000000010005", "in person").await;
    carol.text("in person").await;
    assert_eq!((carol.texts("two of us"), carol.texts("two again")), (0, 0));
    carol.send_to(group.clone(), "3EB0000000010006", "may I?").await;
    assert_eq!(carol.acked("3EB0000000010006").await.as_deref(), Some("403"));
    for client in [alice, bob, carol] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_admins_write_announcements_and_nobody_to_what_is_not_there() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let group = create(&alice, "News", &[&b]).await;
    bob.send_to(group.clone(), "3EB0000000020001", "before").await;
    alice.text("before").await;
    alice
        .client()
        .groups()
        .set_announce(&group, true)
        .await
        .expect("an announcement group");
    bob.send_to(group.clone(), "3EB0000000020002", "refused").await;
    assert_eq!(bob.acked("3EB0000000020002").await.as_deref(), Some("403"));
    alice.send_to(group.clone(), "3EB0000000020003", "news").await;
    bob.text("news").await;
    let phone = admin
        .call(
            "POST",
            &format!("/admin/phones/{b}/send"),
            &format!(r#"{{"to": "{group}", "kind": "text", "text": "no"}}"#),
        )
        .await;
    assert_eq!(phone.0, 403);
    bob.client().groups().leave(&group).await.expect("bob leaves");
    alice
        .client()
        .groups()
        .leave(&group)
        .await
        .expect("the group ends");
    alice
        .client()
        .send_message(group.clone(), wa_text("gone"))
        .await
        .expect_err("the group cannot be looked up");
    assert_eq!(alice.texts("refused"), 0);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

fn wa_text(text: &str) -> waproto::whatsapp::Message {
    waproto::whatsapp::Message {
        conversation: Some(text.into()),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_sender_key_is_healed_and_the_backlog_arrives() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let group = create(&alice, "Crew", &[&b]).await;
    alice.send_to(group.clone(), "3EB0000000030001", "first").await;
    bob.text("first").await;
    let backend = bob.stop().await;
    alice
        .send_to(group.clone(), "3EB0000000030002", "while away")
        .await;
    assert_eq!(alice.acked("3EB0000000030002").await, None);
    alice
        .client()
        .groups()
        .set_locked(&group, true)
        .await
        .expect("locked meanwhile");
    // Bob comes back without the key that alice believes him to have.
    let author = alice.client().lid().expect("a LID").to_non_ad();
    let name = SenderKeyName::from_parts(&group.to_string(), author.to_protocol_address().as_str());
    assert!(
        backend
            .get_sender_key(name.cache_key())
            .await
            .expect("a store")
            .is_some()
    );
    backend
        .delete_sender_key(name.cache_key())
        .await
        .expect("the key goes");
    let bob = TestClient::start(&sandbox.ws_url(), backend).await;
    bob.text("while away").await;
    update(&bob, "lock", &group, |action| {
        matches!(
            action,
            wacore::stanza::groups::GroupNotificationAction::Locked { .. }
        )
        .then_some(())
    })
    .await;
    alice
        .send_to(group.clone(), "3EB0000000030003", "and after")
        .await;
    bob.text("and after").await;
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_linked_later_is_not_missed() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let group = create(&alice, "Crew", &[&b]).await;
    alice.send_to(group.clone(), "3EB0000000040001", "first").await;
    bob.text("first").await;
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&b)).await;
    let (third, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&a)).await;
    // Whoever writes knows of them.
    admin.settled().await;
    alice.send_to(group.clone(), "3EB0000000040002", "second").await;
    for client in [&bob, &second, &third] {
        client.text("second").await;
    }
    assert_eq!(second.texts("first"), 0);
    for client in [alice, bob, second, third] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}
