//! Delivered, read, played; what was lost is sent again; repetitions are counted.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::script::{Body, File, ReadRequest};
use wacore::store::traits::SignalStore as _;
use wacore::types::jid::JidExt as _;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use super::{entry, entry_where, send};
use crate::client::TestClient;
use crate::net::{Admin, start};

fn voice() -> wa::Message {
    wa::Message {
        audio_message: wa::message::AudioMessage {
            ptt: Some(true),
            seconds: Some(2),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voice_message_is_read_and_played() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let phone = sandbox.phone(&b);
    let (voice_id, text_id) = ("3EB0000000030001", "3EB0000000030002");
    alice.send_message(&b, voice_id, voice()).await;
    alice.send(&b, text_id, "listen").await;
    entry(&phone, voice_id).await;
    entry(&phone, text_id).await;
    let request = |played| ReadRequest {
        ids: Some(vec![voice_id.into(), text_id.into()]),
        played,
        ..ReadRequest::default()
    };
    let report = phone.read(request(true)).await.expect("it is read");
    // A text cannot be played.
    assert_eq!((report.read, report.played), (2, Some(1)));
    alice.receipt(voice_id, &ReceiptType::Read).await;
    alice.receipt(text_id, &ReceiptType::Read).await;
    alice.receipt(voice_id, &ReceiptType::Played).await;
    bob.receipt(voice_id, &ReceiptType::ReadSelf).await;
    bob.receipt(voice_id, &ReceiptType::PlayedSelf).await;
    let again = phone.read(request(true)).await.expect("nothing is left");
    assert_eq!((again.read, again.played), (0, Some(0)));
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repetitions_of_any_kind_are_counted() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    for _ in 0..3 {
        client
            .send_message(other.number(), "3EB0000000030101", voice())
            .await;
    }
    let shown = entry_where(&other, "3EB0000000030101", |entry| entry.copies == 3).await;
    assert_eq!(shown.content.kind, "voice");
    // A person repeats an id as well, and the client's own phone counts.
    for _ in 0..2 {
        let request = sandbox::script::SendRequest::text(&own, "again").with_id("REPEATED-1");
        assert_eq!(other.send(request).await.expect("it is sent").id, "REPEATED-1");
    }
    entry_where(&sandbox.phone(&own), "REPEATED-1", |entry| entry.copies == 2).await;
    client.message("REPEATED-1").await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_could_not_be_read_is_sent_again_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let number = admin.phone().await;
    let other = sandbox.phone(&number);
    // A conversation: what follows cannot build a session by itself.
    send(
        &other,
        &own,
        Body::Text(sandbox::script::Text {
            text: "first".into(),
            preview: None,
        }),
    )
    .await;
    client.text("first").await;
    client.send(&number, "3EB0000000030201", "answer").await;
    entry(&other, "3EB0000000030201").await;
    let backend = client.stop().await;
    let lid = other.info().await.expect("it is there").lid;
    for jid in [Jid::pn(number.as_str()), Jid::lid(lid.as_str())] {
        backend
            .delete_session(jid.to_protocol_address().as_str())
            .await
            .expect("the session goes");
    }
    let picture = File {
        base64: STANDARD.encode(b"pixels"),
        caption: Some("look".into()),
        ..File::default()
    };
    let id = send(&other, &own, Body::Image(picture)).await;
    let sent = other.message(&id).await.expect("it is kept");
    sandbox.shutdown().await;

    let sandbox = start(Some(directory.path())).await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    let (arrived, _) = client.message(&id).await;
    assert_eq!(arrived, sent);
    client.stop().await;
    sandbox.shutdown().await;
}
