//! Votes on polls, as they are told: neither recorded nor counted, and under the same id however often they come.

use daemon::connection::{InboundMessage, Vote};
use shared::domain::content::{Content, Target};
use shared::domain::event::{Event, EventType, OptionVotes, PollVote, Wants};
use shared::domain::payload;
use shared::domain::person::Person;
use shared::ids::MessageId;
use shared::sealed;
use shared::storage::counters::Counts;

use crate::inbound::message;
use crate::world::World;

fn vote(world: &World, whatsapp_id: &str, poll: MessageId) -> InboundMessage {
    let counted = |option: &str, votes| OptionVotes {
        option: option.to_owned(),
        votes,
    };
    InboundMessage {
        content: Content::Unknown,
        vote: Some(Vote {
            poll: Target {
                whatsapp_id: poll.to_whatsapp(),
                from_me: true,
                author: Person::default(),
            },
            options: vec!["Soup".to_owned()],
            tally: vec![counted("Soup", 2), counted("Salad", 0)],
        }),
        ..message(world, whatsapp_id)
    }
}

#[tokio::test]
async fn a_vote_is_told_with_how_the_poll_stands_and_is_no_message() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::PollVote]))
        .await;
    let poll = MessageId::from_bytes([7; 16]);
    let incoming = [vote(&world, "3AFF01", poll)];
    for _ in 0..2 {
        session.inbound.commit(&incoming).await.expect("stored");
    }
    let events = world.taken(&world.names.events()).await;
    assert_eq!(events.len(), 1, "the queue drops the second under the same id");
    assert!(!events[0].body.contains("Soup"), "content rests only sealed");
    let event: Event = payload::decode(&events[0].body).expect("an event");
    assert_eq!(event.kind, EventType::PollVote);
    let opening = sealed::open(&world.sealer, instance.id, &event.id, &event.data);
    let told: serde_json::Value = opening.await.expect("it opens");
    assert_eq!(
        told,
        serde_json::json!({
            "messageId": poll,
            "from": {"phone": null, "lid": "200000000000001"},
            "options": ["Soup"],
            "tally": [{"option": "Soup", "votes": 2}, {"option": "Salad", "votes": 0}],
        })
    );
    assert!(serde_json::from_value::<PollVote>(told).is_ok());
    let recorded = world.messages.list(instance.id, None, 10).await;
    assert!(recorded.expect("read").is_empty());
    assert_eq!(world.counts(&instance).await, Counts::default());
}
