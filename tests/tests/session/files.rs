//! Files, out to a phone of the sandbox and in from one.

use daemon::whatsapp::Writer;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use shared::domain::content::{Content, File, Media, Source};
use shared::domain::message::Kind;
use shared::ids::MessageId;

use crate::world::{World, to};

/// More than a server takes in one piece.
const LARGE: usize = 6 * 1_024 * 1_024;

/// The content of a kind.
type Of = fn(Media) -> Content;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_each_kind_goes_out() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let kinds: [(Kind, Of, usize); 6] = [
        (Kind::Image, Content::Image, 700_000),
        (Kind::Video, Content::Video, 100_000),
        (Kind::Audio, Content::Audio, 70_000),
        (Kind::Voice, Content::Voice, 5_000),
        (Kind::Document, Content::Document, LARGE),
        (Kind::Sticker, Content::Sticker, 1),
    ];
    for (number, (kind, content, length)) in (1..).zip(kinds) {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
        let mut writer = Writer::new(kind, None).expect("a file");
        writer.write(&bytes).expect("written");
        let spool = writer.finish().expect("written");
        let remote = session.connection.upload(&spool).await.expect("uploaded");
        let media = Media {
            media: File {
                mime_type: Some("application/x-anything".to_owned()),
                file_name: (kind == Kind::Document).then(|| "a.bin".to_owned()),
                ..File::default()
            },
            text: matches!(kind, Kind::Image | Kind::Document).then(|| "look".to_owned()),
            view_once: kind == Kind::Image,
            source: Some(Source::Remote(Box::new(remote))),
        };
        let message = MessageId::from_bytes([number; 16]);
        let (to, content) = (to(&other), content(media));
        let said = content.clone().into();
        let sending = session.connection.send(message, &to, &said);
        sending.await.expect("on the wire");
        assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
        let inbox = world.inbox(&other, |inbox| {
            inbox.last().is_some_and(|shown| {
                shown["id"] == json!(message.to_whatsapp()) && shown["mediaSha256"].is_string()
            })
        });
        let inbox = inbox.await;
        let shown = inbox.last().expect("one");
        assert_eq!(
            shown["mediaSha256"],
            json!(hex::encode(Sha256::digest(&bytes))),
            "{kind}"
        );
        assert_eq!(shown["kind"], json!(kind.as_str()));
        assert_eq!(shown["copies"], json!(1));
        match kind {
            Kind::Image => assert_eq!(shown["text"], json!("look")),
            Kind::Document => {
                assert_eq!(
                    (&shown["text"], &shown["fileName"]),
                    (&json!("look"), &json!("a.bin"))
                );
            }
            _ => {}
        }
    }
}

/// After a crash the file is uploaded anew, under another key: to the recipient it is the same message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_uploaded_twice_is_one_message() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let (message, to) = (MessageId::from_bytes([9; 16]), to(&other));
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut writer = Writer::new(Kind::Document, None).expect("a file");
        writer.write(b"hello").expect("written");
        let spool = writer.finish().expect("written");
        let remote = session.connection.upload(&spool).await.expect("uploaded");
        keys.push(remote.key.clone());
        let content = Content::Document(Media {
            source: Some(Source::Remote(Box::new(remote))),
            ..Media::default()
        });
        let said = content.clone().into();
        let sending = session.connection.send(message, &to, &said);
        sending.await.expect("on the wire");
        assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    }
    assert!(keys[0] != keys[1]);
    let inbox = world.inbox(&other, |inbox| inbox.iter().any(|shown| shown["copies"] == 2));
    let inbox = inbox.await;
    assert_eq!(inbox.len(), 1);
    assert_eq!(
        inbox[0]["mediaSha256"],
        json!(hex::encode(Sha256::digest(b"hello")))
    );
}
