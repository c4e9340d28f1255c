//! Messages that are due later: handed over in time, once and in order, wherever a daemon ends, and never after they
//! were taken back.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::content::Content;
use shared::domain::event::{EventType, Wants};
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::job::{Job, Query, SendJob};
use shared::domain::message::{Change, State};
use shared::domain::payload;
use shared::domain::shard::{Shard, lane};
use shared::ids::MessageId;
use shared::queue::{OutgoingMessage, Queue as _};
use shared::storage::instances::Deleted;
use shared::storage::item::s;
use shared::storage::keys;
use shared::storage::messages::Transition;
use shared::storage::schedule::{Entry, QueuedLater, Schedule};
use testbed::relay::{Fate, On, Relay};
use testbed::wait::until;

use crate::network::Playing;
use crate::world::{NETWORK, SUBSCRIPTION, World};

const ALICE: &str = "15550100001";
const SHARD: Shard = Shard(0);

impl World {
    pub fn schedule_of(&self) -> Schedule {
        Schedule::new(self.table.clone())
    }

    /// Accepts a text that is due later, as the API does, and tells nobody.
    pub async fn schedule(&self, instance: &Instance, to: &str, text: &str, at: DateTime<Utc>) -> MessageId {
        let end = at + TimeDelta::hours(24);
        self.schedule_until(instance, to, text, at, end).await
    }

    /// The same of one that is worth sending until `end`.
    pub async fn schedule_until(
        &self,
        instance: &Instance,
        to: &str,
        text: &str,
        at: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> MessageId {
        let job = SendJob {
            scheduled_at: Some(at),
            expires_at: end,
            ..self.job(instance, to, text).await
        };
        self.record(&job).await;
        let entry = entry(&job, at);
        let put = self.schedule_of().put(NETWORK, SHARD, &entry).await;
        put.expect("stored");
        job.message
    }

    /// Tells the shard's owner that something is due then.
    pub async fn remind(&self, at: DateTime<Utc>) {
        let reminder = OutgoingMessage::standard(payload::encode(&Query::Due { at }));
        let sent = self.queue.send(&self.names.queries(0), reminder).await;
        sent.expect("queued");
    }

    /// Marks a message as taken back, without a notice.
    pub async fn cancel(&self, instance: &Instance, message: MessageId) {
        let change = Change {
            state: State::Cancelled,
            at: self.now(),
            failure: None,
        };
        let changed = self.messages.change(instance.id, message, &change).await;
        assert!(matches!(changed.expect("stored"), Transition::Made { .. }));
    }

    /// Waits until nothing is due any more, nor later.
    pub async fn until_nothing_scheduled(&self) {
        until("an empty due index", async || {
            let first = self.schedule_of().first(NETWORK, SHARD).await.expect("read");
            first.is_none().then_some(())
        })
        .await;
    }

    pub fn in_minutes(&self, minutes: i64) -> DateTime<Utc> {
        self.now() + TimeDelta::minutes(minutes)
    }
}

fn entry(job: &SendJob, at: DateTime<Utc>) -> Entry {
    Entry {
        at,
        message: job.message,
        instance: job.instance,
        subscription: Some(SUBSCRIPTION),
        expires_at: job.expires_at,
        job: Some(QueuedLater {
            group: lane(job.instance, job.chat()),
            body: payload::encode(&Job::Send(job.clone())),
        }),
    }
}

/// The next message on the wire is this one, and the server takes it.
pub async fn takes(world: &World, session: &mut Playing, instance: &Instance, message: MessageId) {
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(instance, message, State::Sent).await;
}

#[tokio::test]
async fn a_message_goes_out_when_it_is_due_and_not_before() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let at = world.in_minutes(10);
    let message = world.schedule(&instance, ALICE, "at ten", at).await;
    world.remind(at).await;
    // What is sent at once does not wait for it, though it is in the same chat.
    let before = world.accept(&instance, ALICE, "now").await;
    takes(&world, &mut session, &instance, before).await;
    world
        .clock
        .advance(TimeDelta::minutes(10) - TimeDelta::milliseconds(1));
    world.nudge_and_wait(&instance).await;
    let record = world.until_state(&instance, message, State::Scheduled).await;
    assert_eq!(record.scheduled_at, Some(at));
    assert_eq!(session.sent_besides(), []);

    world.clock.advance(TimeDelta::milliseconds(1));
    let sent = session.sent().await;
    assert_eq!((sent.message, sent.content), (message, Content::text("at ten")));
    world.until_state(&instance, message, State::Queued).await;
    session.acknowledge(message, None).await;
    let record = world.until_state(&instance, message, State::Sent).await;
    assert_eq!(
        (record.created_at, record.sent_at),
        (world.in_minutes(-10), Some(at))
    );
    world.until_nothing_scheduled().await;
    world.until_no_sends().await;
    let counts = world.until_counted(&instance, |counts| counts.sent == 2).await;
    assert_eq!(counts.ended, 2, "it waited from when it was due");
    assert_eq!(session.sent_besides(), []);
}

/// The instance's number of this month's waiting messages is raised when a message is due.
#[tokio::test]
async fn a_message_counts_as_waiting_from_when_it_is_due() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let at = world.in_minutes(1);
    let message = world.schedule(&instance, ALICE, "later", at).await;
    let month = keys::month(SUBSCRIPTION, world.now());
    assert_eq!(world.item(&month).await, None);
    world.clock.advance(TimeDelta::minutes(1));
    world.remind(at).await;
    takes(&world, &mut session, &instance, message).await;
    let month = world.item(&month).await.expect("counted");
    let counted: Vec<_> = month.keys().filter(|name| name.starts_with('i')).collect();
    assert_eq!(counted.len(), 1, "{month:?}");
}

/// The owner reads the index every few seconds at first, and every minute later.
#[tokio::test]
async fn a_look_finds_what_a_lost_reminder_asked_for() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world
        .schedule(&instance, ALICE, "unheard of", world.in_minutes(1))
        .await;
    world.clock.advance(TimeDelta::minutes(1));
    takes(&world, &mut session, &instance, message).await;
}

#[tokio::test]
async fn what_was_due_while_no_daemon_lived_goes_out_once_and_in_order() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = world.connected(&mut daemon).await;
    daemon.stop().await;
    let third = world
        .schedule(&instance, ALICE, "third", world.in_minutes(3))
        .await;
    let first = world
        .schedule(&instance, ALICE, "first", world.in_minutes(1))
        .await;
    let second = world
        .schedule(&instance, ALICE, "second", world.in_minutes(2))
        .await;
    let taken_back = world
        .schedule(&instance, ALICE, "never", world.in_minutes(2))
        .await;
    let later = world
        .schedule(&instance, ALICE, "later", world.in_minutes(60))
        .await;
    world.cancel(&instance, taken_back).await;
    world.clock.advance(TimeDelta::minutes(30));

    let mut daemon = world.daemon("b").await;
    let mut session = daemon.session().await;
    session.log_in().await;
    for message in [first, second, third] {
        takes(&world, &mut session, &instance, message).await;
    }
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
    let left = world.schedule_of().first(NETWORK, SHARD).await.expect("read");
    assert_eq!(left, Some(world.in_minutes(30)), "what is due later waits");
    world.until_state(&instance, later, State::Scheduled).await;
    world.until_state(&instance, taken_back, State::Cancelled).await;
}

/// A daemon that does not beat any more is taken over.
#[tokio::test]
async fn another_daemon_goes_on() {
    let world = World::with_short_leases(1).await;
    let mut first = world.daemon("a").await;
    let (instance, mut former) = world.connected(&mut first).await;
    let at = world.in_minutes(1);
    let message = world.schedule(&instance, ALICE, "whoever lives", at).await;
    first.freeze();
    let mut second = world.daemon("b").await;
    let mut session = second.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    world.clock.advance(TimeDelta::minutes(1));
    // Nothing tells the former owner: it may be faster, and both may hand the message over.
    let taking = async {
        tokio::select! {
            sent = former.sent_or_never() => (sent.message, &former),
            sent = session.sent_or_never() => (sent.message, &session),
        }
    };
    let (sent, by) = testbed::wait::in_time("the message", taking).await;
    assert_eq!(sent, message);
    by.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    world.until_nothing_scheduled().await;
    world.until_no_sends().await;
    assert_eq!((former.sent_besides(), session.sent_besides()), (vec![], vec![]));
}

/// A process ended after the record said `queued`, or after the job was in.
#[tokio::test]
async fn what_was_half_handed_over_goes_out_once() {
    for is_queued in [false, true] {
        let world = World::new().await;
        let instance = world.instance("main").await;
        let at = world.in_minutes(1);
        let message = world.schedule(&instance, ALICE, "half", at).await;
        let change = Change {
            state: State::Queued,
            at,
            failure: None,
        };
        let changed = world.messages.change(instance.id, message, &change).await;
        assert!(matches!(changed.expect("stored"), Transition::Made { .. }));
        if is_queued {
            let found = world
                .schedule_of()
                .due(NETWORK, SHARD, at, 1)
                .await
                .expect("read");
            let body = found[0].body.clone().expect("a job");
            let to = ALICE.parse().expect("a number");
            world
                .enqueue_raw(&instance, &to, body, &message.to_string())
                .await;
        }
        world.clock.advance(TimeDelta::minutes(1));
        let mut daemon = world.daemon("a").await;
        let mut session = daemon.session().await;
        session.log_in().await;
        takes(&world, &mut session, &instance, message).await;
        world.until_nothing_scheduled().await;
        world.until_no_sends().await;
        assert_eq!(session.sent_besides(), [], "{is_queued}");
    }
}

#[tokio::test]
async fn an_entry_whose_message_was_never_accepted_is_dropped() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let at = world.in_minutes(1);
    let job = SendJob {
        scheduled_at: Some(at),
        ..world.job(&instance, ALICE, "no record").await
    };
    let put = world.schedule_of().put(NETWORK, SHARD, &entry(&job, at)).await;
    put.expect("stored");
    world.clock.advance(TimeDelta::minutes(1));
    world.remind(at).await;
    world.until_nothing_scheduled().await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
}

#[tokio::test]
async fn a_message_that_was_taken_back_is_told_of_at_once() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageStatus]))
        .await;
    let at = world.in_minutes(600);
    let message = world.schedule(&instance, ALICE, "never mind", at).await;
    world.cancel(&instance, message).await;
    let cancelled = Entry {
        job: None,
        ..entry(&world.job(&instance, ALICE, "x").await, at)
    };
    let cancelled = Entry { message, ..cancelled };
    let called_off = world
        .schedule_of()
        .call_back(NETWORK, SHARD, cancelled, false, world.now())
        .await;
    called_off.expect("stored");
    world.remind(world.now()).await;
    let events = world.events(&instance, 1).await;
    assert_eq!(events[0].data["status"], "cancelled");
    world.until_nothing_scheduled().await;
    assert_eq!(session.sent_besides(), []);
}

/// It is the account's that was paired when the message was accepted, and its owner has logged that out.
#[tokio::test]
async fn a_message_of_an_account_that_was_logged_out_fails_when_it_is_due() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = world.linked(&mut daemon).await;
    let at = world.in_minutes(5);
    let message = world.schedule(&instance, ALICE, "from whom?", at).await;
    world.want(&instance, Wanted::LoggedOut).await;
    world.until_status(&instance, Status::LoggedOut).await;
    world.clock.advance(TimeDelta::minutes(5));
    world.remind(at).await;
    let record = world.until_state(&instance, message, State::Failed).await;
    assert_eq!(record.failure.expect("why").code, "ACCOUNT_CHANGED");
    world.until_no_sends().await;
}

#[tokio::test]
async fn an_instance_that_is_deleted_takes_its_messages_along() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .schedule(&instance, ALICE, "next week", world.in_minutes(10_000))
        .await;
    let loaded = world.load(&instance).await;
    let deleted = world.instances.delete(&loaded, world.now()).await;
    assert_eq!(deleted.expect("stored"), Deleted::Done);
    world.nudge(&instance).await;
    testbed::wait::in_time("the logout", session.line.logged_out.cancelled()).await;
    world.until_nothing_scheduled().await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_set_aside_and_costs_no_other() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let at = world.in_minutes(1);
    let damaged = world.schedule(&instance, ALICE, "damaged", at).await;
    let sound = world
        .schedule(&instance, ALICE, "sound", at + TimeDelta::seconds(1))
        .await;
    let key = keys::due(NETWORK, SHARD, at, damaged);
    world.set(&key, "instance", s("nobody's")).await;
    world.clock.advance(TimeDelta::minutes(2));
    world.remind(at).await;
    takes(&world, &mut session, &instance, sound).await;
    world.until_nothing_scheduled().await;
    let parked = world.taken(&world.names.dead_fifo()).await;
    let letter: serde_json::Value = serde_json::from_str(&parked[0].body).expect("JSON");
    let reason = letter["reason"].as_str().expect("a reason");
    assert!(reason.contains("corrupt at instance"), "{reason}");
    assert!(
        letter["body"]
            .as_str()
            .expect("the job")
            .contains(&damaged.to_string())
    );
}

/// Every third call to the queue fails, half of them after they took effect. So do calls to the table in the middle of
/// handing over.
#[tokio::test]
async fn a_table_and_a_queue_that_fail_at_times_lose_nothing_and_double_nothing() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut scheduled: HashMap<String, Vec<MessageId>> = HashMap::new();
    for n in 0..24 {
        let chat = format!("1555010000{}", n % 4);
        let at = world.in_minutes(1) + TimeDelta::seconds(n);
        let message = world.schedule(&instance, &chat, &format!("text {n}"), at).await;
        scheduled.entry(chat).or_default().push(message);
    }
    // More in a row than the SDK hides.
    let throttled = relay.plan(On::any().with("due#"), [Fate::THROTTLED; 8]);
    let lost = relay.plan(On::operation("UpdateItem").with("msgs#"), [Fate::LOST; 8]);
    world.remind(world.in_minutes(1)).await;
    world.queue.fail_every(3);
    world.clock.advance(TimeDelta::minutes(2));
    let mut sent: HashMap<String, Vec<MessageId>> = HashMap::new();
    while sent.values().map(Vec::len).sum::<usize>() < 24 {
        let on_wire = session.sent().await;
        session.acknowledge(on_wire.message, None).await;
        let chat = sent
            .entry(on_wire.to.phone().expect("a number").to_owned())
            .or_default();
        // One whose new state could not be stored goes out again, under the same id.
        if !chat.contains(&on_wire.message) {
            chat.push(on_wire.message);
        }
    }
    assert_eq!(sent, scheduled, "each chat in its order");
    let again = async {
        loop {
            let on_wire = session.sent_or_never().await;
            session.acknowledge(on_wire.message, None).await;
        }
    };
    let all_done = async {
        world.until_nothing_scheduled().await;
        world.until_no_sends().await;
    };
    tokio::select! {
        () = all_done => {}
        () = again => {}
    }
    world.queue.fail_every(0);
    assert!(throttled.is_done() && lost.is_done(), "{throttled:?} {lost:?}");
    assert_eq!(world.taken(&world.names.dead_fifo()).await, []);
    for message in scheduled.values().flatten() {
        world.until_state(&instance, *message, State::Sent).await;
    }
}
