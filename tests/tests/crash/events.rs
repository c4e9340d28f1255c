//! Crashes between a state and its event: after a restart each is there, and the event once.
//!
//! | fault point | what is stored | what is not |
//! | --- | --- | --- |
//! | `before-status-event` | a message's state | its event |
//! | `after-receipt-event` | the event of a receipt | the state |
//! | `before-received-event` | the record of a message that came in | its event |
//! | `before-session-event` | an instance's status | its event |

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use daemon::announce::announcement::Announcement;
use daemon::whatsapp::NETWORK;
use serde_json::json;
use shared::clock::{Clock as _, SteppedClock, SystemClock};
use shared::domain::audit::Actor;
use shared::domain::event::{Event, EventType, Wants};
use shared::domain::instance::Instance;
use shared::domain::message::{MessageRecord, State};
use shared::domain::payload;
use shared::domain::webhook::{Health, Webhook, WebhookUrl};
use shared::ids::{EventId, InstanceId};
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{Queue as _, QueueNames, ReceiveOptions};
use shared::reach::Reach;
use shared::storage::instances::Instances;
use shared::storage::messages::Messages;
use shared::storage::webhooks::Webhooks;
use testbed::caller::Bases;
use testbed::table::patient;
use tests::flow::{Paired, exchange, unique};
use tests::process::Process;

use crate::World;

/// A webhook that wants everything, and whose secrets nobody can open: its events stay in their queue, where the test counts them.
fn unreadable(instance: &Instance) -> Webhook {
    let now = SystemClock.now();
    Webhook {
        instance: instance.id,
        subscription: instance.subscription,
        url: WebhookUrl::parse("https://example.com/hook", Reach::INTERNET).expect("a URL"),
        events: Wants::everything(),
        header_names: Vec::new(),
        enabled: true,
        disabled: None,
        health: Health::default(),
        earlier_until: None,
        rotated_at: None,
        set_by: Actor::System,
        made_under: None,
        created_at: now,
        updated_at: now,
        version: 1,
        sealed: vec![0; 64],
    }
}

impl World {
    /// Pairs an instance all of whose events somebody wants from then on.
    pub(super) async fn paired_and_followed(&self) -> (Paired, InstanceId) {
        let paired = self.paired().await;
        let stack = self.start(&[]).await;
        let paired = paired.at(&Bases::one(&stack.api));
        // What is told of before nobody wants.
        paired.user.until_status(&paired.instance, "CONNECTED").await;
        let id = instance(&paired).await;
        let instances = Instances::new(patient(&stack.database));
        let found = instances
            .get_of_any(id)
            .await
            .expect("read")
            .expect("it is there");
        Webhooks::new(patient(&stack.database))
            .put(&unreadable(&found), None, None)
            .await
            .expect("stored");
        // Without an orderly end: nothing of it is told before.
        stack.kill().await;
        (paired, id)
    }

    /// The events that a stack which has stopped has left in its queue, and how often each is there.
    pub(super) async fn left(&self) -> Vec<(Event, usize)> {
        let path = self.data.path().join("queues.db");
        // Whatever is hidden is there in an hour.
        let later = SteppedClock::at(SystemClock.now() + TimeDelta::hours(1));
        let queue = EmbeddedQueue::open(Some(&path), Arc::new(later)).expect("nobody has it open");
        let name = QueueNames::new("waxwing", NETWORK.as_str())
            .expect("names")
            .events();
        let options = ReceiveOptions {
            max: 10,
            wait: Duration::ZERO,
            visibility: Duration::from_mins(10),
        };
        let mut found: HashMap<EventId, (Event, usize)> = HashMap::new();
        loop {
            let received = queue.receive(&name, options).await.expect("received");
            if received.is_empty() {
                queue.close().await;
                return found.into_values().collect();
            }
            for message in received {
                let event: Event = payload::decode(&message.body).expect("an event");
                found.entry(event.id).or_insert((event, 0)).1 += 1;
                queue.delete(&name, &message.receipt).await.expect("fresh");
            }
        }
    }
}

async fn instance(paired: &Paired) -> InstanceId {
    let shown = paired
        .user
        .get(&format!("/api/instances/{}", paired.instance))
        .await;
    let shown = shown.data(200);
    shown["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("an instance's")
}

async fn record(stack: &Process, instance: InstanceId, message: &str) -> MessageRecord {
    let messages = Messages::new(patient(&stack.database));
    let found = messages.get(instance, message.parse().expect("an id")).await;
    found.expect("read").expect("a record")
}

/// The event of a message's state.
fn id_of(record: &MessageRecord, state: State) -> EventId {
    let of_state = MessageRecord {
        state,
        ..record.clone()
    };
    Announcement::status(&of_state).expect("told").id
}

fn times(events: &[(Event, usize)], id: EventId) -> usize {
    let found = events.iter().find(|(event, _)| event.id == id);
    found.map_or(0, |(_, times)| *times)
}

pub(super) fn of_type(events: &[(Event, usize)], kind: EventType) -> Vec<usize> {
    let found = events.iter().filter(|(event, _)| event.kind == kind);
    found.map(|(_, times)| *times).collect()
}

#[tokio::test]
async fn between_a_state_and_its_event() {
    let world = World::new().await;
    let (paired, instance) = world.paired_and_followed().await;
    // No receipt stands for what is lost.
    let offline = format!("/admin/phones/{}/offline", paired.other);
    world.phones.post(&offline, &json!({})).await;
    let (paired, mut stack) = world.with_fault(paired, "before-status-event").await;
    let message = paired.key.send_text(&paired.other, &unique()).await;
    stack.until_it_crashes().await;
    let (paired, stack) = world.again(paired).await;
    paired.key.until_state(&message, "sent").await;
    let sent = id_of(&record(&stack, instance, &message).await, State::Sent);
    // What is behind it in its lane goes when it is done with.
    let next = paired.key.send_text(&paired.other, &unique()).await;
    paired.key.until_state(&next, "sent").await;
    stack.stop().await;
    assert_eq!(times(&world.left().await, sent), 1);
}

#[tokio::test]
async fn between_the_event_of_a_receipt_and_its_state() {
    let world = World::new().await;
    let (paired, instance) = world.paired_and_followed().await;
    let (paired, mut stack) = world.with_fault(paired, "after-receipt-event").await;
    let text = unique();
    let message = paired.key.send_text(&paired.other, &text).await;
    stack.until_it_crashes().await;
    let (paired, stack) = world.again(paired).await;
    // The receipt is acknowledged as it arrives, and the next one stands for it.
    world.phones.until_shown(&paired.other, &text).await;
    world.phones.read_all(&paired.other).await;
    paired.key.until_state(&message, "read").await;
    let read = record(&stack, instance, &message).await;
    stack.stop().await;
    let events = world.left().await;
    for state in [State::Delivered, State::Read] {
        assert_eq!(times(&events, id_of(&read, state)), 1, "{state}: {events:?}");
    }
}

#[tokio::test]
async fn between_a_message_that_came_in_and_its_event() {
    let world = World::new().await;
    let (paired, _) = world.paired_and_followed().await;
    let (paired, mut stack) = world.with_fault(paired, "before-received-event").await;
    world
        .phones
        .send(&paired.other, &paired.own, "Through a crash")
        .await;
    stack.until_it_crashes().await;
    let (paired, stack) = world.again(paired).await;
    // The next one comes behind it.
    exchange(&paired, &world.phones).await;
    stack.stop().await;
    assert_eq!(of_type(&world.left().await, EventType::MessageReceived), [1, 1]);
}

#[tokio::test]
async fn between_a_status_and_its_event() {
    let world = World::new().await;
    let (paired, _) = world.paired_and_followed().await;
    // The first that a new owner stores is that it connects again.
    let mut stack = world.start(&[("WAXWING_FAULT", "before-session-event")]).await;
    stack.until_it_crashes().await;
    let (_, stack) = world.again(paired).await;
    stack.stop().await;
    let events = world.left().await;
    assert_eq!(
        of_type(&events, EventType::SessionDisconnected),
        [1],
        "{events:?}"
    );
    assert_eq!(of_type(&events, EventType::SessionConnected), [1], "{events:?}");
}
