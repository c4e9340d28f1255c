//! Texts that show a page, out and in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use shared::domain::content::{Bytes, Content, Context, Preview, Quoted, Said, Text};
use shared::domain::message::Kind;
use shared::domain::person::Person;
use shared::ids::MessageId;

use crate::world::{World, to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_shown_with_a_text_and_one_that_comes_in_is_a_text() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let to = to(&other);
    let said = "look: https://example.com/sea!";
    let content = Content::Text(Text {
        preview: Some(Box::new(Preview {
            link: "https://example.com/sea".to_owned(),
            title: "The sea".to_owned(),
            description: Some("wide and blue".to_owned()),
            thumbnail: Some(Bytes(vec![0xff, 0xd8, 0xff])),
        })),
        ..Text::with_preview(said.to_owned(), true)
    });
    let quoted = Quoted {
        id: None,
        whatsapp_id: "3AFF01".to_owned(),
        from: Person::of(&to),
        from_me: false,
        kind: Kind::Text,
        text: Some("where?".to_owned()),
    };
    let reply = Said {
        context: Context {
            quoted: Some(Box::new(quoted)),
            ..Context::default()
        },
        content: content.clone(),
    };
    for (byte, said) in [(7, Said::from(content)), (8, reply)] {
        let message = MessageId::from_bytes([byte; 16]);
        let sending = session.connection.send(message, &to, &said);
        sending.await.expect("on the wire");
        assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    }
    let inbox = world.inbox(&other, |inbox| inbox.len() == 2).await;
    let preview = json!({
        "url": "https://example.com/sea", "title": "The sea", "description": "wide and blue",
        "thumbnail": STANDARD.encode([0xff, 0xd8, 0xff]),
    });
    for shown in &inbox {
        assert_eq!((&shown["kind"], &shown["text"]), (&json!("text"), &json!(said)));
        assert_eq!(shown["preview"], preview);
    }
    assert_eq!(inbox[1]["quoted"], "3AFF01");

    let path = format!("/admin/phones/{other}/send");
    let page = json!({"url": "https://example.com/sea", "title": "The sea"});
    let body = json!({"to": own, "kind": "text", "text": said, "preview": page});
    world.admin(&path, body).await;
    assert_eq!(session.committed().await.content, Content::text(said));
    world.nothing_queued().await;
}
