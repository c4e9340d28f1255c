//! Statuses of phones: to the contacts of their person.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::script::{
    AppStateAction, BlockRequest, Body, Entry, File, NewPhone, PrivacySetting, Reaction, ReadRequest, Revoke,
    SendRequest,
};
use sandbox::{Error, Phone, Sandbox};
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type;

use super::{shown, text, texts};
use crate::client::TestClient;
use crate::media::{bytes, download};
use crate::net::{Admin, DEADLINE, start};
use crate::web::Web;

/// A new phone.
async fn phone(sandbox: &Sandbox) -> Phone {
    sandbox.create_phone(NewPhone::default()).await.expect("a phone")
}

/// Puts people into the address book of `phone`.
async fn saves(phone: &Phone, people: &[&str]) {
    for person in people {
        let save = AppStateAction::Contact {
            phone: (*person).into(),
            full_name: "A friend".into(),
            first_name: None,
        };
        phone.change_app_state(save).await.expect("saved");
    }
}

/// Posts a text; answers its id.
async fn posts(phone: &Phone, text: &str) -> String {
    let sent = phone.send(SendRequest::status(text)).await.expect("it is posted");
    assert_eq!(sent.to, "status@broadcast");
    sent.id
}

/// Waits until `phone` shows the status with this id as wanted.
async fn shows(phone: &Phone, id: &str, wanted: impl Fn(&Entry) -> bool) -> Entry {
    let found = phone
        .wait_for(|entry| entry.id == id && wanted(entry), DEADLINE)
        .await
        .expect("the phone shows it");
    assert_eq!((found.chat.as_str(), found.copies), ("status@broadcast", 1));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_see_a_text_and_others_do_not() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (carol, c) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (ada, dora) = (phone(&sandbox).await, phone(&sandbox).await);
    // Her own companion sees what she posts as well.
    let (own, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(ada.number())).await;
    // Who is written to is a contact, as is who is saved.
    ada.send(SendRequest::text(&a, "hello"))
        .await
        .expect("it goes out");
    saves(&ada, &[dora.number()]).await;
    let lid = ada.info().await.expect("a phone").lid;
    for words in ["one", "two"] {
        let id = posts(&ada, words).await;
        for client in [&alice, &own] {
            assert_eq!(text(client, words).await, (id.clone(), Jid::lid(lid.as_str())));
        }
        for reader in [&sandbox.phone(&a), &dora] {
            let entry = shows(reader, &id, |_| true).await;
            assert_eq!(entry.content.text.as_deref(), Some(words));
            assert_eq!(
                (entry.from.as_str(), entry.content.kind.as_str()),
                (ada.number(), "text")
            );
        }
    }
    let (id, author, message) = shown(&alice, "a text", |_| true).await;
    let colour = message
        .extended_text_message
        .as_option()
        .and_then(|text| text.background_argb);
    assert!(colour.is_some(), "it is written on a colour");

    alice
        .client()
        .mark_as_read(&Jid::status_broadcast(), Some(&author), &[&id])
        .await
        .expect("the receipt goes out");
    own.wait("receipt", |event| match event {
        Event::Receipt(receipt)
            if receipt.r#type == ReceiptType::Read && receipt.message_ids.contains(&id) =>
        {
            assert!(receipt.source.chat.is_status_broadcast());
            Some(())
        }
        _ => None,
    })
    .await;
    // Who is no contact of hers has got nothing by the time that another's word arrives.
    dora.send(SendRequest::text(&c, "in person"))
        .await
        .expect("it goes out");
    carol.text("in person").await;
    assert_eq!(texts(&carol), [""; 0]);
    assert_eq!(
        (texts(&alice), texts(&own)),
        (
            vec!["one".to_owned(), "two".into()],
            vec!["one".to_owned(), "two".into()]
        )
    );
    for client in [alice, carol, own] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_seen_by_clients_and_phones_until_it_is_taken_back() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (alice, a) = TestClient::paired_with(&sandbox.ws_url(), admin, None, web).await;
    let (ada, dora) = (phone(&sandbox).await, phone(&sandbox).await);
    saves(&ada, &[&a, dora.number()]).await;
    let plain = bytes(40_000, 7);
    let image = Body::Image(File {
        base64: STANDARD.encode(&plain),
        caption: Some("the sea".into()),
        ..File::default()
    });
    let sent = ada.send(SendRequest::new("status@broadcast", image)).await;
    let id = sent.expect("it is posted").id;
    let carries = |message: &wa::Message| message.image_message.is_set();
    let (seen, _, message) = shown(&alice, "an image", carries).await;
    assert_eq!(seen, id);
    assert_eq!(download(&alice, &message).await.expect("a download"), plain);
    let fetched = shows(&dora, &id, |entry| entry.content.media_sha256.is_some()).await;
    assert_eq!(fetched.content.text.as_deref(), Some("the sea"));
    assert_eq!(dora.media(&id).await.expect("the file").bytes, plain);

    let revoke = Body::Revoke(Revoke {
        message_id: id.clone(),
    });
    ada.send(SendRequest::new("status", revoke))
        .await
        .expect("it is taken back");
    let taken_back = |message: &wa::Message| {
        message.protocol_message.as_option().is_some_and(|protocol| {
            protocol.r#type == Some(Type::REVOKE) && protocol.key.id.as_deref() == Some(id.as_str())
        })
    };
    shown(&alice, "a revoke", taken_back).await;
    shows(&dora, &id, |entry| entry.content.kind == "revoked").await;
    alice.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_either_way_hides_it() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let ada = phone(&sandbox).await;
    saves(&ada, &[&a, &b]).await;
    posts(&ada, "for both").await;
    text(&alice, "for both").await;
    text(&bob, "for both").await;
    // Alice has blocked her, and she has blocked bob.
    let alices = sandbox.phone(&a);
    alices
        .block(BlockRequest::block(ada.number()))
        .await
        .expect("blocked");
    ada.block(BlockRequest::block(&b)).await.expect("blocked");
    posts(&ada, "for none").await;
    alices
        .block(BlockRequest::unblock(ada.number()))
        .await
        .expect("unblocked");
    ada.block(BlockRequest::unblock(&b)).await.expect("unblocked");
    posts(&ada, "for both again").await;
    for client in [&alice, &bob] {
        text(client, "for both again").await;
        assert!(
            !texts(client).iter().any(|text| text == "for none"),
            "what was hidden stays so"
        );
    }
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_the_key_asks_for_it_and_who_hides_reading_tells_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (ada, dora) = (phone(&sandbox).await, phone(&sandbox).await);
    let (ada, dora) = (ada.number().to_owned(), dora.number().to_owned());
    let (own, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&ada)).await;
    saves(&sandbox.phone(&ada), &[&dora]).await;
    let id = posts(&sandbox.phone(&ada), "one").await;
    shows(&sandbox.phone(&dora), &id, |_| true).await;
    let backend = own.stop().await;
    sandbox.shutdown().await;

    let state =
        rusqlite::Connection::open(directory.path().join("sandbox.sqlite3")).expect("the state opens");
    let gone = state
        .execute("DELETE FROM sender_keys WHERE author <> phone", [])
        .expect("the key goes");
    assert_eq!(gone, 1);
    state.close().expect("the state closes");

    let sandbox = start(Some(directory.path())).await;
    let (ada, dora) = (sandbox.phone(ada), sandbox.phone(dora));
    let own = TestClient::start(&sandbox.ws_url(), backend).await;
    own.connected().await;
    let id = posts(&ada, "two").await;
    shows(&dora, &id, |entry| entry.content.text.as_deref() == Some("two")).await;

    let hide = [("readreceipts", PrivacySetting::value("none"))];
    dora.set_privacy(hide).await.expect("hidden");
    let all = ReadRequest {
        all: true,
        ..ReadRequest::default()
    };
    assert_eq!(dora.read(all.clone()).await.expect("read").read, 2);
    let show = [("readreceipts", PrivacySetting::value("all"))];
    dora.set_privacy(show).await.expect("shown");
    let last = posts(&ada, "three").await;
    shows(&dora, &last, |_| true).await;
    dora.read(all).await.expect("read");
    let read = |event: &Event, id: &str| {
        matches!(event, Event::Receipt(receipt)
            if receipt.r#type == ReceiptType::Read && receipt.message_ids.iter().any(|one| one == id))
    };
    own.wait("receipt", |event| read(event, &last).then_some(()))
        .await;
    assert_eq!(own.count(|event| read(event, &id)), 0);
    own.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_a_chat_is_no_status() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (ada, dora) = (phone(&sandbox).await, phone(&sandbox).await);
    saves(&ada, &[dora.number()]).await;
    let path = format!("/admin/phones/{}/send", ada.number());
    let sent = admin
        .ok(
            "POST",
            &path,
            r#"{"to": "status", "kind": "text", "text": "over HTTP"}"#,
        )
        .await;
    assert_eq!(sent["to"], "status@broadcast");
    let id = sent["id"].as_str().expect("an id");
    shows(&dora, id, |_| true).await;
    // Reacting to a status of somebody's is a message to them.
    let reaction = Body::Reaction(Reaction {
        message_id: id.into(),
        emoji: "🐟".into(),
    });
    let refused = dora.send(SendRequest::new("status", reaction)).await;
    assert!(
        matches!(&refused, Err(Error::Invalid(message)) if message.contains("reaction")),
        "{refused:?}"
    );
    let revoke = Body::Revoke(Revoke {
        message_id: id.into(),
    });
    let refused = dora.send(SendRequest::new("status", revoke)).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    sandbox.shutdown().await;
}
