//! Texts between people, their acks and receipts.

use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;

use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_and_a_phone_talk() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;

    client.send(&other, "3EB0000000000001", "hello").await;
    assert_eq!(client.acked("3EB0000000000001").await, None);
    client.receipt("3EB0000000000001", &ReceiptType::Delivered).await;
    let inbox = admin.inbox(&other, 1).await;
    assert_eq!(inbox[0]["text"], "hello");
    assert_eq!(inbox[0]["kind"], "text");
    assert_eq!(
        (inbox[0]["from"].as_str(), inbox[0]["copies"].as_u64()),
        (Some(own.as_str()), Some(1))
    );

    // The sender's own phone has its copy.
    let copies = admin.inbox(&own, 1).await;
    assert_eq!(
        (copies[0]["text"].as_str(), copies[0]["chat"].as_str()),
        (Some("hello"), Some(other.as_str()))
    );

    let read = admin
        .ok("POST", &format!("/admin/phones/{other}/read"), r#"{"all": true}"#)
        .await;
    assert_eq!(read["read"], 1);
    client.receipt("3EB0000000000001", &ReceiptType::Read).await;

    for text in ["one", "two", "three"] {
        let body = format!(r#"{{"to": "{own}", "kind": "text", "text": "{text}"}}"#);
        admin
            .ok("POST", &format!("/admin/phones/{other}/send"), &body)
            .await;
        client.text(text).await;
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_shown_in_the_order_in_which_they_were_sent() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let ids: Vec<String> = (0..100).map(|n| format!("3EB0000000001{n:03}")).collect();
    for id in &ids {
        client.send(&other, id, id).await;
    }
    for id in &ids {
        assert_eq!(client.acked(id).await, None);
    }
    for phone in [&other, &own] {
        admin.inbox(phone, 100).await;
        let (mut shown, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let path = format!("/admin/phones/{phone}/inbox?limit=30{cursor}");
            let page = admin.ok("GET", &path, "").await;
            let entries = page["entries"].as_array().expect("entries");
            shown.extend(
                entries
                    .iter()
                    .map(|entry| entry["text"].as_str().expect("a text").to_owned()),
            );
            pages += 1;
            let Some(next) = page["next"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        assert_eq!((shown, pages), (ids.clone(), 4));
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_talk_and_read() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;

    for turn in 0..4 {
        let (text, back) = (format!("ping {turn}"), format!("pong {turn}"));
        alice.send(&b, &format!("3EB00000000000A{turn}"), &text).await;
        let (id, chat) = bob.text(&text).await;
        alice.receipt(&id, &ReceiptType::Delivered).await;
        bob.client()
            .mark_as_read(&chat, None, &[&id])
            .await
            .expect("the receipt goes out");
        alice.receipt(&id, &ReceiptType::Read).await;
        bob.send(&a, &format!("3EB00000000000B{turn}"), &back).await;
        alice.text(&back).await;
    }
    // What bob wrote reached alice's phone as well, and bob's own phone.
    assert_eq!(admin.inbox(&a, 8).await.len(), 8);
    assert_eq!(admin.inbox(&b, 8).await.len(), 8);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_message_is_acked_again_and_shown_once() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    for _ in 0..2 {
        client.send(&other, "3EB0000000000009", "once").await;
    }
    let path = format!("/admin/phones/{other}/inbox");
    let inbox = admin.until(&path, |inbox| inbox[0]["copies"] == 2).await;
    assert_eq!(inbox.as_array().map(Vec::len), Some(1));
    let acks = || {
        client.count(|event| {
            matches!(event, Event::ServerAck(ack)
                if ack.id == "3EB0000000000009" && ack.class.as_deref() == Some("message"))
        })
    };
    client.acked("3EB0000000000009").await;
    let begun = std::time::Instant::now();
    while acks() < 2 {
        assert!(begun.elapsed() < crate::net::DEADLINE, "one ack of two");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_linked_during_a_conversation_gets_its_share() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    alice.send(&b, "3EB00000000000C0", "before").await;
    bob.text("before").await;
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&b)).await;
    alice.hears_of_device(2).await;
    alice.send(&b, "3EB00000000000C1", "after").await;
    bob.text("after").await;
    second.text("after").await;
    // And what bob writes shows on his other device as his own.
    let said = bob
        .send_until_had(&wacore_binary::Jid::pn(a.as_str()), "from bob", &second)
        .await;
    alice.text(&said).await;
    let (_, chat) = second.text(&said).await;
    assert!(!chat.user.is_empty());
    for client in [alice, bob, second] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_reached_by_lid_too() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let phones = admin.ok("GET", "/admin/phones", "").await;
    let lid = phones[1]["lid"].as_str().expect("a LID").to_owned();
    alice
        .send_to(
            wacore_binary::Jid::lid(lid.as_str()),
            "3EB00000000000E0",
            "by lid",
        )
        .await;
    bob.text("by lid").await;
    let from = alice.receipt("3EB00000000000E0", &ReceiptType::Delivered).await;
    assert_eq!(from.user, lid.as_str());
    let inbox = admin.inbox(&b, 1).await;
    assert_eq!(
        (inbox[0]["from"].as_str(), inbox[0]["chat"].as_str()),
        (Some(a.as_str()), Some(a.as_str()))
    );
    let body = format!(r#"{{"ids": [{}]}}"#, inbox[0]["id"]);
    admin.ok("POST", &format!("/admin/phones/{b}/read"), &body).await;
    alice.receipt("3EB00000000000E0", &ReceiptType::Read).await;
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_known_as_such() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let asked = [
        wacore_binary::Jid::pn(other.as_str()),
        wacore_binary::Jid::pn("155509999999"),
    ];
    let answers = client
        .client()
        .contacts()
        .is_on_whatsapp(&asked)
        .await
        .expect("an answer");
    let registered = |jid: &wacore_binary::Jid| {
        answers
            .iter()
            .find(|answer| answer.jid.user == jid.user)
            .map(|answer| (answer.is_registered, answer.lid.is_some()))
    };
    assert_eq!(registered(&asked[0]), Some((true, true)));
    assert_eq!(registered(&asked[1]), Some((false, false)));
    client.stop().await;
    sandbox.shutdown().await;
}
