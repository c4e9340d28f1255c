//! What is told, to whom, in what order, and that it is told again where nobody knows whether it was.

use std::time::Duration;

use chrono::TimeDelta;
use daemon::announce::announcement::Announcement;
use daemon::connection::{ReceiptKind, SessionEvent};
use serde_json::{Value, json};
use shared::domain::event::{Event, EventType, SessionNews, Wants};
use shared::domain::feed::FeedEvent;
use shared::domain::instance::{Instance, Observed, Status, Wanted};
use shared::domain::message::{Change, Failure, FailureCode, MessageRecord, State};
use shared::domain::payload;
use shared::domain::times;
use shared::ids::MessageId;
use shared::queue::{Queue as _, ReceiveOptions};
use shared::sealed;
use testbed::wait::until;

use crate::network::{Playing, account, unlinked};
use crate::world::World;

const ALICE: &str = "15550100001";

/// An event and its data, opened.
#[derive(Debug)]
pub struct Opened {
    pub event: Event,
    pub group: String,
    pub data: Value,
}

impl World {
    /// Stores which events of an instance are wanted, and waits until its daemon knows.
    pub async fn listen(&self, instance: &Instance, wants: &Wants) {
        let stored = self
            .instances
            .want_events(instance.subscription, instance.id, wants);
        assert!(stored.await.expect("stored"), "the instance is there");
        self.nudge_and_wait(instance).await;
    }

    /// The next events, so many of them, taken out of the queue.
    pub async fn events(&self, instance: &Instance, count: usize) -> Vec<Opened> {
        let mut opened = Vec::new();
        until(&format!("{count} events"), async || {
            opened.extend(self.events_there(instance).await);
            (opened.len() >= count).then_some(())
        })
        .await;
        assert_eq!(opened.len(), count, "{opened:?}");
        opened
    }

    /// The events that are in the queue, taken out of it.
    pub async fn events_there(&self, instance: &Instance) -> Vec<Opened> {
        let name = self.names.events();
        let options = ReceiveOptions {
            max: 10,
            wait: Duration::ZERO,
            visibility: Duration::from_mins(10),
        };
        let mut opened = Vec::new();
        loop {
            let received = self.queue.receive(&name, options).await.expect("received");
            if received.is_empty() {
                return opened;
            }
            for message in received {
                let event: Event = payload::decode(&message.body).expect("an event");
                let data = sealed::open(&self.sealer, instance.id, &event.id, &event.data).await;
                opened.push(Opened {
                    event,
                    group: message.group.expect("a FIFO message has its group"),
                    data: data.expect("it opens"),
                });
                self.queue.delete(&name, &message.receipt).await.expect("fresh");
            }
        }
    }

    /// Accepts a text and lets it be sent.
    async fn sent(&self, instance: &Instance, session: &mut Playing, to: &str) -> MessageId {
        let message = self.accept(instance, to, "hello").await;
        assert_eq!(session.sent().await.message, message);
        session.acknowledge(message, None).await;
        self.until_state(instance, message, State::Sent).await;
        self.until_no_sends().await;
        message
    }

    async fn record_of(&self, instance: &Instance, message: MessageId) -> MessageRecord {
        let found = self.messages.get(instance.id, message).await.expect("read");
        found.expect("a record")
    }
}

fn statuses(events: &[Opened]) -> Vec<&str> {
    let statuses = events.iter().map(|opened| opened.data["status"].as_str());
    statuses.map(|status| status.expect("a status")).collect()
}

fn kinds(events: &[Opened]) -> Vec<EventType> {
    events.iter().map(|opened| opened.event.kind).collect()
}

#[tokio::test]
async fn a_message_is_told_of_from_sent_to_read() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageStatus]))
        .await;
    let message = world.sent(&instance, &mut session, ALICE).await;
    for (kind, state) in [
        (ReceiptKind::Delivered, State::Delivered),
        (ReceiptKind::Read, State::Read),
        (ReceiptKind::Delivered, State::Read),
    ] {
        session.receipt(message, kind, world.now()).await;
        world.until_state(&instance, message, state).await;
    }
    let events = world.events(&instance, 3).await;
    assert_eq!(
        statuses(&events),
        ["sent", "delivered", "read"],
        "and not that it was queued"
    );
    let record = world.record_of(&instance, message).await;
    for (opened, state) in events.iter().zip([State::Sent, State::Delivered, State::Read]) {
        let of_state = MessageRecord {
            state,
            ..record.clone()
        };
        let told = Announcement::status(&of_state).expect("told");
        assert_eq!((opened.event.id, &opened.group), (told.id, &told.group));
        assert_eq!(opened.event.subscription, instance.subscription);
    }
    let sent_at = record.sent_at.map(times::text);
    assert_eq!(
        events[0].data,
        json!({
            "id": message,
            "status": "sent",
            "to": {"phone": ALICE, "lid": null, "group": null},
            "reference": "order 7",
            "error": null,
            "receipts": null,
            "at": sent_at,
        })
    );
    assert!(events.iter().all(|opened| opened.event.data.len() > 40), "sealed");
    daemon.stop().await;
}

#[tokio::test]
async fn what_nobody_wants_is_not_queued_and_whoever_follows_along_sees_it() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    // Somebody wants something, and not this.
    world
        .listen(&instance, &Wants::only(&[EventType::SessionBanned]))
        .await;
    let message = world.sent(&instance, &mut session, ALICE).await;
    session
        .receipt(message, ReceiptKind::Delivered, world.now())
        .await;
    world.until_state(&instance, message, State::Delivered).await;
    let hub = daemon.deps.announcer.hub();
    let shown = until("the delivery at the hub", async || {
        let shown = hub.after(None).expect("all of it");
        (shown.len() == 3).then_some(shown)
    })
    .await;
    let kinds: Vec<_> = shown.iter().map(|shown| shown.event).collect();
    assert_eq!(
        kinds,
        [
            FeedEvent::ConnectionUpdate,
            FeedEvent::MessageStatus,
            FeedEvent::MessageStatus
        ]
    );
    assert_eq!(shown[2].body["type"], "message.status");
    assert_eq!(shown[2].body["instance"]["name"], "main");
    let depth = world.queue.depth(&world.names.events()).await.expect("read");
    assert_eq!(depth.visible + depth.in_flight, 0);
    assert!(world.load(&instance).await.observed.untold.is_empty());
    daemon.stop().await;
}

#[tokio::test]
async fn another_name_and_other_metadata_show_from_the_next_event_on() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world
        .configure(&instance, |settings| {
            settings.name = "support".parse().expect("a name");
            settings.metadata = [("team".to_owned(), "red".to_owned())].into();
        })
        .await;
    world.sent(&instance, &mut session, ALICE).await;
    let hub = daemon.deps.announcer.hub();
    let told_of = until("the message at the hub", async || {
        let shown = hub.after(None).expect("all of it");
        let status = shown
            .iter()
            .find(|shown| shown.event == FeedEvent::MessageStatus)?;
        Some(status.body["instance"].clone())
    })
    .await;
    assert_eq!(
        told_of,
        json!({"id": instance.id, "name": "support", "metadata": {"team": "red"}})
    );
    daemon.stop().await;
}

/// A daemon has stored a state and ended before anybody was told.
#[tokio::test]
async fn a_state_that_is_there_already_is_told_again_under_the_same_id() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    let wants = Wants::only(&[EventType::MessageStatus]);
    let listening = world
        .instances
        .want_events(instance.subscription, instance.id, &wants);
    assert!(listening.await.expect("stored"));
    let message = world.accept(&instance, ALICE, "hello").await;
    let change = Change {
        state: State::Sent,
        at: world.now(),
        failure: None,
    };
    world
        .messages
        .change(instance.id, message, &change)
        .await
        .expect("stored");
    let daemon = world.daemon("b").await;
    world.until_no_sends().await;
    let first = world.events(&instance, 1).await;
    assert_eq!(statuses(&first), ["sent"]);
    let told = Announcement::status(&world.record_of(&instance, message).await);
    assert_eq!(Some(first[0].event.id), told.map(|told| told.id));
    daemon.stop().await;
    // And one that ended between the event and the deletion of the job: the queue knows the event.
    let job = world.job_of(&instance, message).await;
    world.enqueue_raw(&instance, &job.0, job.1, "again").await;
    let daemon = world.daemon("c").await;
    world.until_no_sends().await;
    assert!(world.events_there(&instance).await.is_empty(), "the same id");
    daemon.stop().await;
}

#[tokio::test]
async fn a_message_that_ends_is_told_of_with_its_failure() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::everything()).await;
    let refused = world.accept(&instance, ALICE, "hello").await;
    assert_eq!(session.sent().await.message, refused);
    session.acknowledge(refused, Some(403)).await;
    world.until_state(&instance, refused, State::Failed).await;
    // One that its sender has cancelled, and one that was taken back as its request failed.
    let cancelled = world.job(&instance, "15550100002", "hello").await;
    world.record(&cancelled).await;
    let change = Change {
        state: State::Cancelled,
        at: world.now(),
        failure: None,
    };
    let changed = world.messages.change(instance.id, cancelled.message, &change);
    changed.await.expect("stored");
    world.enqueue(&instance, &cancelled).await;
    let taken_back = world.job(&instance, "15550100003", "hello").await;
    world.record(&taken_back).await;
    world.take_back(&instance, taken_back.message).await;
    world.enqueue(&instance, &taken_back).await;
    let mut late = world.job(&instance, "15550100004", "hello").await;
    late.expires_at = world.now();
    world.record(&late).await;
    world.enqueue(&instance, &late).await;
    world.until_no_sends().await;
    let mut events = world.events(&instance, 3).await;
    events.sort_by_key(|opened| opened.data["status"].to_string());
    assert_eq!(statuses(&events), ["cancelled", "expired", "failed"]);
    let failure = Failure::of(FailureCode::RefusedForbidden).with_error(403);
    let error = serde_json::to_value(failure).expect("plain data");
    assert_eq!(events[2].data["error"], error);
    assert_eq!(events[1].data["error"]["code"], "EXPIRED");
    assert_eq!(events[0].data["error"], Value::Null);
    daemon.stop().await;
}

#[tokio::test]
async fn a_state_waits_for_its_event_and_its_chat_with_it() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::everything()).await;
    world.queue.refuse_batches(true);
    let first = world.accept(&instance, ALICE, "one").await;
    let second = world.accept(&instance, ALICE, "two").await;
    assert_eq!(session.sent().await.message, first);
    session.acknowledge(first, None).await;
    world.until_state(&instance, first, State::Sent).await;
    // A receipt is no state of its own before it is told.
    session.receipt(first, ReceiptKind::Delivered, world.now()).await;
    until("refused batches", async || {
        (world.queue.refused_batches() >= 2).then_some(())
    })
    .await;
    assert_eq!(world.record_of(&instance, first).await.state, State::Sent);
    assert!(session.sent_besides().is_empty(), "the next of the chat waits");
    world.queue.refuse_batches(false);
    assert_eq!(session.sent().await.message, second);
    session.acknowledge(second, None).await;
    world.until_state(&instance, first, State::Delivered).await;
    world.until_state(&instance, second, State::Sent).await;
    world.until_no_sends().await;
    let events = world.events_there(&instance).await;
    let of = |message: MessageId| {
        let of_message = events.iter().filter(|opened| opened.data["id"] == json!(message));
        of_message
            .map(|opened| opened.data["status"].as_str())
            .collect::<Vec<_>>()
    };
    // The receipt may have been told first: then it stands for what it has overtaken.
    let told = of(first);
    assert!(
        told == [Some("sent"), Some("delivered")] || told == [Some("delivered")],
        "{told:?}"
    );
    assert_eq!(of(second), [Some("sent")]);
    daemon.stop().await;
}

#[tokio::test]
async fn what_happens_to_a_connection_is_told() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    let wants = Wants::everything();
    let listening = world
        .instances
        .want_events(instance.subscription, instance.id, &wants);
    assert!(listening.await.expect("stored"));
    let mut daemon = world.daemon("a").await;
    world.nudge(&instance).await;
    let session = daemon.session().await;
    let expires = times::text(world.now() + TimeDelta::minutes(1));
    session.show_qr("the secret code").await;
    world.until_status(&instance, Status::AwaitingQr).await;
    session.show_qr("another secret code").await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    session
        .tell(SessionEvent::Disconnected {
            reason: "as connections are".to_owned(),
            blames_wire: false,
        })
        .await;
    let session = daemon.session().await;
    world.clock.advance(TimeDelta::seconds(1));
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    session.tell(unlinked("as the phone says")).await;
    world.until_status(&instance, Status::LoggedOut).await;
    let events = world.events(&instance, 6).await;
    assert_eq!(
        kinds(&events),
        [
            EventType::SessionQr,
            EventType::SessionQr,
            EventType::SessionConnected,
            EventType::SessionDisconnected,
            EventType::SessionConnected,
            EventType::SessionLoggedOut,
        ]
    );
    assert_eq!(
        events[1].data,
        json!({
            "status": "AWAITING_QR", "reason": null, "phone": null, "lid": null,
            "attempt": 2, "expiresAt": expires,
        })
    );
    let account = account();
    assert_eq!(
        events[5].data,
        json!({"status": "LOGGED_OUT", "reason": "LOGGED_OUT", "phone": account.phone, "lid": account.lid})
    );
    assert_eq!(events[3].data["status"], "RECONNECTING");
    assert_eq!(
        events
            .iter()
            .map(|opened| opened.event.id)
            .collect::<std::collections::HashSet<_>>()
            .len(),
        6
    );
    until_all_is_told(&world, &instance).await;
    daemon.stop().await;
}

/// However often anybody looks at it, and whoever does.
#[tokio::test]
async fn codes_that_nobody_scans_are_told_of_three_times_and_their_end_once() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    let mut daemon = world.daemon("a").await;
    world.listen(&instance, &Wants::everything()).await;
    let session = daemon.session().await;
    for attempt in 1..=4 {
        session.show_qr(&format!("2@code-{attempt}")).await;
    }
    world.until_status(&instance, Status::ForceDisconnected).await;
    for _ in 0..5 {
        world.nudge_and_wait(&instance).await;
    }
    until_all_is_told(&world, &instance).await;
    daemon.stop().await;
    let daemon = world.daemon("b").await;
    daemon.until_holding(1).await;
    world.nudge_and_wait(&instance).await;
    daemon.stop().await;
    let events = world.events_there(&instance).await;
    let told: Vec<_> = events
        .iter()
        .map(|opened| (opened.event.kind, opened.data["attempt"].as_u64()))
        .collect();
    assert_eq!(
        told,
        [
            (EventType::SessionQr, Some(1)),
            (EventType::SessionQr, Some(2)),
            (EventType::SessionQr, Some(3)),
            (EventType::SessionDisconnected, None),
        ]
    );
    assert_eq!(events[3].data["reason"], "QR_NOT_SCANNED");
}

#[tokio::test]
async fn logins_that_are_refused_again_and_again_are_one_loss() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::everything()).await;
    for _ in 0..3 {
        session
            .tell(SessionEvent::Disconnected {
                reason: "come back later (503)".to_owned(),
                blames_wire: false,
            })
            .await;
        session = daemon.session().await;
        world.nudge_and_wait(&instance).await;
    }
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    until_all_is_told(&world, &instance).await;
    daemon.stop().await;
    let events = world.events_there(&instance).await;
    assert_eq!(
        kinds(&events),
        [EventType::SessionDisconnected, EventType::SessionConnected]
    );
}

/// Waits until the instance's item has nothing that is to be told still.
async fn until_all_is_told(world: &World, instance: &Instance) {
    until("nothing untold", async || {
        let observed = world.load(instance).await.observed;
        observed.untold.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_to_disconnect_is_told_of() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::SessionDisconnected]))
        .await;
    world.want(&instance, Wanted::Disconnected).await;
    world.until_status(&instance, Status::Disconnected).await;
    let events = world.events(&instance, 1).await;
    let account = account();
    assert_eq!(
        events[0].data,
        json!({
            "status": "DISCONNECTED", "reason": "DISCONNECT_REQUESTED",
            "phone": account.phone, "lid": account.lid,
        })
    );
    daemon.stop().await;
}

/// A daemon has stored a status, with what is to be told of it, and ended before it told.
#[tokio::test]
async fn what_an_item_says_is_not_told_is_told_by_the_next_owner() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    world.want(&instance, Wanted::Disconnected).await;
    let wants = Wants::everything();
    let listening = world
        .instances
        .want_events(instance.subscription, instance.id, &wants);
    assert!(listening.await.expect("stored"));
    let mut observed = Observed {
        status: Status::ForceDisconnected,
        generation: 2,
        ..instance.observed.clone()
    };
    let news = SessionNews::of(Status::Connected, &observed, &account()).expect("told");
    observed.untold.push(&news);
    world
        .instances
        .observe(instance.id, 0, &observed)
        .await
        .expect("stored");
    let daemon = world.daemon("b").await;
    let events = world.events(&instance, 1).await;
    assert_eq!(events[0].event.id, Announcement::session(instance.id, news).id);
    until_all_is_told(&world, &instance).await;
    daemon.stop().await;
}

#[tokio::test]
async fn many_events_go_in_few_requests() {
    const MANY: usize = 200;
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageReceived]))
        .await;
    // So far away that what is on its way at once is not full, and what waits meanwhile is, however busy the machine is.
    world.queue.delay_batches(Duration::from_secs(2));
    let batch: Vec<_> = (0..MANY)
        .map(|n| {
            let mut message = crate::inbound::message(&world, &format!("3AFF{n:04}"));
            message.chat = format!("2000000000{n:05}@lid").parse().expect("a LID");
            message.received_at += TimeDelta::microseconds(i64::try_from(n).expect("few"));
            message
        })
        .collect();
    let before = world.queue.batches();
    session.inbound.commit(&batch).await.expect("stored");
    let requests = world.queue.batches() - before;
    assert!(requests <= MANY / 10 + 16, "{MANY} events in {requests} requests");
    let depth = world.queue.depth(&world.names.events()).await.expect("read");
    assert_eq!(depth.visible, u64::try_from(MANY).expect("few"));
    daemon.stop().await;
}
