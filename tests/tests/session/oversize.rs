//! Messages that no item of the table holds take no session down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buffa::Message as _;
use daemon::connection::SessionEvent;
use serde_json::json;
use shared::domain::content::Content;
use shared::domain::message::Truncation;
use std::sync::atomic::Ordering;
use waproto::whatsapp as wa;

use crate::world::{World, is, text_of};

async fn send(world: &World, from: &str, to: &str, message: &wa::Message) {
    let protobuf = STANDARD.encode(message.encode_to_vec());
    let body = json!({"to": to, "kind": "raw", "protobuf": protobuf});
    world.admin(&format!("/admin/phones/{from}/send"), body).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_no_item_holds_is_committed_and_so_are_its_neighbours() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let text = |length| wa::Message {
        conversation: Some("x".repeat(length)),
        ..wa::Message::default()
    };
    let image = wa::Message {
        image_message: buffa::MessageField::some(wa::message::ImageMessage {
            jpeg_thumbnail: Some(vec![7; 500_000]),
            ..wa::message::ImageMessage::default()
        }),
        ..wa::Message::default()
    };
    for length in [400_000, 2_000_000] {
        send(&world, &other, &own, &text(length)).await;
        let committed = session.committed().await;
        assert_eq!(text_of(&committed).map(|text| text.len()), Some(length));
    }
    send(&world, &other, &own, &image).await;
    let committed = session.committed().await;
    assert_eq!(
        (committed.content, committed.truncated),
        (Content::Unknown, Some(Truncation::TooLarge))
    );
    world.send(&other, &own, "hello").await;
    assert_eq!(session.committed().await.content, Content::text("hello"));
    world.nothing_queued().await;

    // One whose commit fails comes again from the buffer, as far as it is kept there.
    session.sink.refusals.store(1, Ordering::SeqCst);
    send(&world, &other, &own, &text(400_001)).await;
    let rest = session.rest().await;
    is(&rest, |rest| {
        matches!(rest.last(), Some(SessionEvent::Disconnected { .. }))
    });
    let mut session = world.begin(1).await;
    let again = session.committed().await;
    assert_eq!(
        text_of(&again).map(|text| text.len()),
        Some(65_537),
        "one more than is told of"
    );
    world.nothing_queued().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_that_waited_come_with_the_others_in_their_order() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    world.paired(&own, 1).await.connection.disconnect().await;
    let lengths = [3, 450_000, 5, 450_001, 7];
    for length in lengths {
        world.send(&other, &own, &"y".repeat(length.min(4_000))).await;
        if length > 4_000 {
            let message = wa::Message {
                conversation: Some("y".repeat(length)),
                ..wa::Message::default()
            };
            send(&world, &other, &own, &message).await;
        }
    }
    let mut session = world.begin(1).await;
    let mut came = Vec::new();
    while came.len() < lengths.len() + 2 {
        came.push(session.committed().await);
    }
    assert!(came.is_sorted_by(|a, b| a.received_at < b.received_at));
    let lengths: Vec<_> = came
        .iter()
        .filter_map(|message| text_of(message).map(|text| text.len()))
        .collect();
    assert_eq!(lengths, [3, 4_000, 450_000, 5, 4_000, 450_001, 7]);
    world.nothing_queued().await;
}
