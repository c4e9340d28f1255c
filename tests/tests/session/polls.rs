//! Polls, out and in.

use serde_json::json;
use shared::domain::content::{Ballot, Content, Poll};
use shared::ids::MessageId;

use crate::world::{World, to};

fn lunch(selectable: u32) -> Content {
    Content::Poll(Poll {
        poll: Ballot {
            question: "Lunch?".to_owned(),
            options: ["Soup", "Salad", "soup"].map(str::to_owned).into(),
            selectable,
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_go_out_and_come_in() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let path = format!("/admin/phones/{other}/send");
    for selectable in [1, 0, 2] {
        let message = MessageId::from_bytes([7 + u8::try_from(selectable).expect("small"); 16]);
        let content = lunch(selectable);
        let to = to(&other);
        let said = content.clone().into();
        let sending = session.connection.send(message, &to, &said);
        sending.await.expect("on the wire");
        let id = message.to_whatsapp();
        assert_eq!(session.acknowledged(&id).await, None);
        let inbox = world
            .inbox(&other, |inbox| inbox.iter().any(|one| one["id"] == id))
            .await;
        let shown = inbox.last().expect("a message");
        assert_eq!(
            (&shown["kind"], &shown["text"]),
            (&json!("poll"), &json!("Lunch?"))
        );
        let shown = world.shown(&other, &id).await;
        let poll = if selectable == 1 {
            &shown.poll_creation_message_v3
        } else {
            &shown.poll_creation_message
        };
        let options: Vec<_> = poll
            .options
            .iter()
            .filter_map(|option| option.option_name.as_deref())
            .collect();
        assert_eq!(options, ["Soup", "Salad", "soup"]);
        assert_eq!(poll.selectable_options_count, Some(selectable));

        let poll = json!({
            "to": own, "kind": "poll", "question": "Lunch?", "options": ["Soup", "Salad", "soup"],
            "selectable": selectable,
        });
        world.admin(&path, poll).await;
        assert_eq!(session.committed().await.content, content);
    }
    world.nothing_queued().await;
}
