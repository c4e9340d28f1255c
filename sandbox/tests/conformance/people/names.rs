//! Both names of a person: numbers and LIDs in one conversation.

use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;

use super::{Pair, does, good, lid};
use crate::client::TestClient;
use crate::net::{Admin, start};

/// Who sent the text, and by which other name.
fn source(client: &TestClient, text: &str) -> (Jid, Option<Jid>) {
    let found = client.all(|event| match event {
        Event::Messages(batch) => batch
            .messages
            .iter()
            .find(|one| one.message.conversation.as_deref() == Some(text))
            .map(|one| (one.info.source.chat.clone(), one.info.source.sender_alt.clone())),
        _ => None,
    });
    found.into_iter().next().expect("the text has come")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_begun_by_number_and_answered_by_lid_is_one() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    // Bob's account is migrated to LIDs, Alice's is not: her client takes numbers, his takes LIDs.
    let bobs = admin
        .ok("POST", "/admin/phones", r#"{"lidMigrated": true}"#)
        .await;
    let b = bobs["phone"].as_str().expect("a number").to_owned();
    let a = admin.phone().await;
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&a)).await;
    let (bob, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&b)).await;
    assert!(bob.client().is_lid_migrated().await && !alice.client().is_lid_migrated().await);
    let (alice_lid, bob_lid) = (lid(admin, &a).await, lid(admin, &b).await);

    alice.send(&b, "3EB0000000A00001", "by number").await;
    bob.text("by number").await;
    let (chat, other) = source(&bob, "by number");
    assert_eq!(chat, Jid::pn(a.as_str()));
    assert_eq!(other.map(|jid| jid.to_non_ad()), Some(alice_lid.clone()));
    // Bob has learnt the LID from the message, and answers to it though he is told the number.
    let entry = good("the mapping", bob.client().get_lid_pn_entry(&Jid::pn(a.as_str())))
        .await
        .expect("it is known");
    assert_eq!(entry.lid.to_string(), alice_lid.user.to_string());
    bob.send(&a, "3EB0000000A00002", "by lid").await;
    alice.text("by lid").await;
    let (chat, other) = source(&alice, "by lid");
    assert_eq!(chat, bob_lid);
    assert_eq!(other.map(|jid| jid.to_non_ad()), Some(Jid::pn(b.as_str())));
    let from = bob.receipt("3EB0000000A00002", &ReceiptType::Delivered).await;
    assert_eq!(
        from.to_non_ad(),
        alice_lid,
        "the receipt is in the sender's family"
    );

    // Alice answers in the chat that she sees, which her client addresses by number again.
    alice
        .send_to(bob_lid, "3EB0000000A00003", "by number again")
        .await;
    bob.text("by number again").await;
    assert_eq!(source(&bob, "by number again").0, Jid::pn(a.as_str()));
    // Bob's phone is migrated as his client is.
    let body = format!(r#"{{"to": "{a}", "kind": "text", "text": "from the phone"}}"#);
    does(admin, &b, "send", &body).await;
    alice.text("from the phone").await;
    assert_eq!(source(&alice, "from the phone").0, lid(admin, &b).await);
    bob.text("from the phone").await;
    assert_eq!(source(&bob, "from the phone").0, alice_lid);

    let chats = |inbox: &[serde_json::Value]| {
        let chats = inbox
            .iter()
            .map(|entry| entry["chat"].as_str().unwrap().to_owned());
        chats.collect::<Vec<_>>()
    };
    assert_eq!(
        chats(&admin.inbox(&a, 4).await),
        [b.as_str(); 4],
        "one chat in the inbox"
    );
    assert_eq!(chats(&admin.inbox(&b, 3).await), [a.as_str(); 3]);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_for_an_own_device_names_the_other_party_twice() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&pair.a)).await;
    // The first knows of it.
    admin.settled().await;
    let bob_lid = lid(admin, &pair.b).await;
    pair.alice
        .send_to(bob_lid.clone(), "3EB0000000A10001", "to a lid")
        .await;
    let (_, chat) = second.text("to a lid").await;
    assert_eq!(chat, bob_lid);
    let peer = second
        .wait("the number", |event| match event {
            Event::Messages(batch) => batch
                .messages
                .iter()
                .find(|one| one.message.conversation.as_deref() == Some("to a lid"))
                .map(|one| one.info.peer_recipient_pn.clone()),
            _ => None,
        })
        .await;
    assert_eq!(peer, Some(Jid::pn(pair.b.as_str())));
    second.stop().await;
    pair.stop(sandbox).await;
}
