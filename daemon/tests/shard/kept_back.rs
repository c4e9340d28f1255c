//! Messages that are due and cannot be handed over: they hold up no other, are not read over and over, and are told of when
//! their time runs out.

use std::time::Duration;

use chrono::TimeDelta;
use shared::domain::event::{EventType, Wants};
use shared::domain::instance::Status;
use shared::domain::job::Job;
use shared::domain::message::{Change, State};
use shared::domain::payload;
use shared::domain::shard::Shard;
use shared::queue::Queue as _;
use shared::storage::messages::Transition;
use shared::storage::schedule::{Entry, QueuedLater};
use testbed::relay::{Fate, On, Relay, Reply};
use testbed::wait::{until, until_within};

use crate::logged::Logged;
use crate::scheduled::takes;
use crate::world::{NETWORK, SUBSCRIPTION, World};

const ALICE: &str = "15550100001";
const BOB: &str = "15550100002";
const SHARD: Shard = Shard(0);

/// What is of one instance cannot be written, however often that is tried, and more of it is due than is read at once.
#[tokio::test]
async fn entries_that_always_fail_keep_back_their_own_lanes_alone() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let stuck = world.instance("stuck").await;
    let at = world.in_minutes(1);
    for n in 0..250 {
        let chat = format!("15550100{:03}", n % 20);
        world
            .schedule(&stuck, &chat, "stuck", at + TimeDelta::milliseconds(n))
            .await;
    }
    let behind = world
        .schedule(&instance, ALICE, "behind them", at + TimeDelta::seconds(1))
        .await;
    let later = world
        .schedule(&instance, ALICE, "later still", at + TimeDelta::minutes(1))
        .await;
    let failing = On::operation("UpdateItem").with(format!("msgs#{}", stuck.id));
    let failing = relay.always(failing, Fate::refused(Reply::Code(400, "AccessDeniedException")));
    world.clock.advance(TimeDelta::seconds(62));
    world.remind(at).await;
    takes(&world, &mut session, &instance, behind).await;
    world.clock.advance(TimeDelta::minutes(1));
    takes(&world, &mut session, &instance, later).await;
    let left = world.schedule_of().first(NETWORK, SHARD).await.expect("read");
    assert_eq!(left, Some(at), "they wait");
    // And they go when it passes.
    failing.end();
    until_within(
        Duration::from_mins(3),
        "the stuck ones in the queue",
        async || {
            let depth = world.queue.depth(&world.names.sends(0)).await.expect("read");
            (depth.visible + depth.in_flight == 250).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn a_full_instance_keeps_its_entries_and_holds_up_no_other() {
    let mut world = World::new().await;
    world.queue_limits.instance = 2;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let other = world.instance("other").await;
    world.nudge(&other).await;
    let mut others = daemon.session().await;
    others.log_in().await;
    world.until_status(&other, Status::Connected).await;
    let at = world.in_minutes(1);
    let mut messages = Vec::new();
    for n in 0..5 {
        let at = at + TimeDelta::milliseconds(n);
        messages.push(world.schedule(&instance, ALICE, "one of many", at).await);
    }
    let behind = world
        .schedule(&other, ALICE, "of another", at + TimeDelta::seconds(1))
        .await;
    world.clock.advance(TimeDelta::minutes(2));
    world.remind(at).await;
    takes(&world, &mut others, &other, behind).await;
    assert_eq!(session.sent().await.message, messages[0]);
    world.until_state(&instance, messages[1], State::Queued).await;
    for message in &messages[2..] {
        world.until_state(&instance, *message, State::Scheduled).await;
    }
    // Those that end make room for the next ones, in their order.
    session.acknowledge(messages[0], None).await;
    for message in &messages[1..] {
        takes(&world, &mut session, &instance, *message).await;
    }
    world.until_nothing_scheduled().await;
    let counts = world.until_counted(&instance, |counts| counts.ended == 5).await;
    assert_eq!(counts.sent, 5);
}

/// What is sent now has room that scheduled messages do not take.
#[tokio::test]
async fn scheduled_messages_leave_a_tenth_of_the_queue_to_others() {
    let mut world = World::new().await;
    world.queue_limits.shard = 10;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut waiting = Vec::new();
    for _ in 0..9 {
        waiting.push(world.accept(&instance, ALICE, "now").await);
    }
    assert_eq!(session.sent().await.message, waiting[0]);
    let at = world.in_minutes(1);
    let scheduled = world.schedule(&instance, ALICE, "later", at).await;
    world.clock.advance(TimeDelta::minutes(1));
    // The reminders are followed, and what is due stays.
    for _ in 0..2 {
        world.remind(at).await;
        world.nudge_and_wait(&instance).await;
    }
    world.until_state(&instance, scheduled, State::Scheduled).await;
    session.acknowledge(waiting[0], None).await;
    for message in &waiting[1..] {
        takes(&world, &mut session, &instance, *message).await;
    }
    takes(&world, &mut session, &instance, scheduled).await;
}

/// What needs no place in the queue waits for none.
#[tokio::test]
async fn what_expires_or_is_taken_back_while_the_queue_is_full_is_told_all_the_same() {
    let mut world = World::new().await;
    world.queue_limits.shard = 10;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageStatus]))
        .await;
    let mut waiting = Vec::new();
    for _ in 0..9 {
        waiting.push(world.accept(&instance, ALICE, "now").await);
    }
    assert_eq!(session.sent().await.message, waiting[0]);
    let at = world.in_minutes(1);
    let patient = world.schedule(&instance, ALICE, "patient", at).await;
    let end = world.in_minutes(2);
    let then = at + TimeDelta::milliseconds(1);
    let brief = world.schedule_until(&instance, ALICE, "brief", then, end).await;
    let called_back = world.schedule(&instance, ALICE, "never mind", then).await;
    world.cancel(&instance, called_back).await;
    let notice = Entry {
        at: then,
        message: called_back,
        instance: instance.id,
        subscription: Some(SUBSCRIPTION),
        expires_at: end,
        job: None,
    };
    let put = world.schedule_of().put(NETWORK, SHARD, &notice).await;
    put.expect("stored");
    world.clock.advance(TimeDelta::minutes(3));
    world.remind(at).await;
    let record = world.until_state(&instance, brief, State::Expired).await;
    assert_eq!(record.failure.expect("why").code, "EXPIRED");
    let events = world.events(&instance, 2).await;
    for status in ["cancelled", "expired"] {
        assert!(events.iter().any(|event| event.data["status"] == status));
    }
    world.until_state(&instance, patient, State::Scheduled).await;
    session.acknowledge(waiting[0], None).await;
    for message in &waiting[1..] {
        takes(&world, &mut session, &instance, *message).await;
    }
    takes(&world, &mut session, &instance, patient).await;
    world.until_nothing_scheduled().await;
}

/// What was kept back would be behind all that is due later, for as long as there is little room.
#[tokio::test]
async fn what_finds_the_queue_full_stays_the_next_in_the_index() {
    let lines = Logged::on_this_thread();
    let mut world = World::new().await;
    world.queue_limits.shard = 10;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut waiting = Vec::new();
    for _ in 0..9 {
        waiting.push(world.accept(&instance, ALICE, "now").await);
    }
    assert_eq!(session.sent().await.message, waiting[0]);
    let at = world.in_minutes(1);
    for n in 0..3 {
        let at = at + TimeDelta::milliseconds(n);
        waiting.push(world.schedule(&instance, ALICE, "later", at).await);
    }
    let all = relay.watch(On::operation("Query").with("due#"));
    let one = relay.watch(On::operation("GetItem").with("due#"));
    world.clock.advance(TimeDelta::minutes(1) + TimeDelta::seconds(1));
    world.remind(at).await;
    until("the end of the look", async || (all.hits() >= 3).then_some(())).await;
    world.until_state(&instance, waiting[9], State::Scheduled).await;
    assert_eq!(lines.with("the shard's queue is full"), 1);
    session.acknowledge(waiting[0], None).await;
    for message in &waiting[1..] {
        takes(&world, &mut session, &instance, *message).await;
    }
    world.until_nothing_scheduled().await;
    assert_eq!(one.hits(), 0, "none was kept back");
    until("the line that tells of room", async || {
        (lines.with("queue has room for scheduled messages again") > 0).then_some(())
    })
    .await;
    assert_eq!(lines.with("the shard's queue is full"), 1, "told once");
}

/// A process ended when it had marked the message as queued, and the time of that has run out since.
#[tokio::test]
async fn what_was_begun_before_goes_on_while_the_queue_is_full() {
    let mut world = World::new().await;
    world.queue_limits.shard = 10;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut waiting = Vec::new();
    for _ in 0..9 {
        waiting.push(world.accept(&instance, ALICE, "now").await);
    }
    assert_eq!(session.sent().await.message, waiting[0]);
    let at = world.in_minutes(1);
    let patient = world.schedule(&instance, ALICE, "patient", at).await;
    let (then, end) = (at + TimeDelta::milliseconds(1), world.in_minutes(2));
    let begun = world.schedule_until(&instance, BOB, "begun", then, end).await;
    let change = Change {
        state: State::Queued,
        at: world.now(),
        failure: None,
    };
    let changed = world.messages.change(instance.id, begun, &change).await;
    assert!(matches!(changed.expect("stored"), Transition::Made { .. }));
    world.clock.advance(TimeDelta::minutes(3));
    world.remind(at).await;
    until("the end of its entry", async || {
        let due = world.schedule_of().due(NETWORK, SHARD, world.now(), 9).await;
        (due.expect("read").len() == 1).then_some(())
    })
    .await;
    world.until_state(&instance, patient, State::Scheduled).await;
}

/// Those that were put off wait for the others, and these for them.
#[tokio::test]
async fn a_lane_whose_halves_alternate_goes_at_once_when_it_can() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let daemon = world.daemon_on("a", relay.endpoint()).await;
    daemon.until_holding(1).await;
    let instance = world.instance("stuck").await;
    let at = world.in_minutes(1);
    // None of them has a record, so each ends when it is its turn.
    for n in 0..200 {
        let job = world.job(&instance, ALICE, "one of many").await;
        let entry = Entry {
            at: at + TimeDelta::milliseconds(n),
            message: job.message,
            instance: instance.id,
            subscription: (n % 2 == 0).then_some(SUBSCRIPTION),
            expires_at: job.expires_at,
            job: Some(QueuedLater {
                group: "a lane".to_owned(),
                body: payload::encode(&Job::Send(job)),
            }),
        };
        let put = world.schedule_of().put(NETWORK, SHARD, &entry).await;
        put.expect("stored");
    }
    let failing = On::operation("UpdateItem").with(format!("msgs#{}", instance.id));
    let failing = relay.always(failing, Fate::refused(Reply::Code(400, "AccessDeniedException")));
    world.clock.advance(TimeDelta::minutes(2));
    world.remind(at).await;
    until("the first failure", async || (failing.hits() > 0).then_some(())).await;
    failing.end();
    // At one a second they would take longer than this waits.
    world.until_nothing_scheduled().await;
}

/// An instance that waits for long has many messages in the index, and each look at its room would cost them all.
#[tokio::test]
async fn what_a_full_instance_keeps_is_read_when_there_is_room_for_it() {
    let mut world = World::new().await;
    world.queue_limits.instance = 2;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let at = world.in_minutes(1);
    let mut messages = Vec::new();
    for n in 0..20 {
        let at = at + TimeDelta::milliseconds(n);
        messages.push(world.schedule(&instance, ALICE, "one of many", at).await);
    }
    let all = relay.watch(On::operation("Query").with("due#"));
    world.clock.advance(TimeDelta::minutes(1) + TimeDelta::seconds(1));
    world.remind(at).await;
    assert_eq!(session.sent().await.message, messages[0]);
    world.until_state(&instance, messages[1], State::Queued).await;
    // What is due, that nothing else is, and when the next one is.
    until("the end of the look", async || (all.hits() >= 3).then_some(())).await;
    let anew = relay.watch(On::operation("Query").with("due#").without("ExclusiveStartKey"));
    let one = relay.watch(On::operation("GetItem").with("due#"));
    for (n, next) in messages[2..4].iter().enumerate() {
        session.acknowledge(messages[n], None).await;
        assert_eq!(session.sent().await.message, messages[n + 1]);
        world.until_state(&instance, *next, State::Queued).await;
    }
    assert_eq!((anew.hits(), one.hits()), (0, 2), "as many as went");
    world.until_state(&instance, messages[4], State::Scheduled).await;
}

#[tokio::test]
async fn what_expires_while_its_instance_is_full_is_told_at_once() {
    let mut world = World::new().await;
    world.queue_limits.instance = 1;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageStatus]))
        .await;
    let at = world.in_minutes(1);
    let first = world.schedule(&instance, ALICE, "first", at).await;
    let end = world.in_minutes(3);
    let then = |n| at + TimeDelta::milliseconds(n);
    let brief = world
        .schedule_until(&instance, ALICE, "brief", then(1), end)
        .await;
    let patient = world.schedule(&instance, ALICE, "patient", then(2)).await;
    let all = relay.watch(On::operation("Query").with("due#"));
    world.clock.advance(TimeDelta::minutes(1) + TimeDelta::seconds(1));
    world.remind(at).await;
    assert_eq!(session.sent().await.message, first);
    until("the end of the look", async || (all.hits() >= 3).then_some(())).await;
    world.until_state(&instance, brief, State::Scheduled).await;
    world.clock.advance(TimeDelta::minutes(2));
    let record = world.until_state(&instance, brief, State::Expired).await;
    let failure = record.failure.expect("why");
    assert_eq!((failure.code.as_str(), failure.retryable), ("EXPIRED", true));
    let events = world.events(&instance, 1).await;
    assert_eq!(events[0].data["status"], "expired");
    world.until_state(&instance, patient, State::Scheduled).await;
    let counts = world.until_counted(&instance, |counts| counts.failed == 1).await;
    assert_eq!(counts.ended, 0, "it has never waited");
    session.acknowledge(first, None).await;
    takes(&world, &mut session, &instance, patient).await;
    world.until_nothing_scheduled().await;
    assert_eq!(session.sent_besides(), []);
}

/// A notice, or a retry of an acceptance, may be put before what was read.
#[tokio::test]
async fn what_is_put_before_what_is_kept_back_is_found_when_it_is_told_of() {
    let mut world = World::new().await;
    world.queue_limits.instance = 1;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let other = world.instance("other").await;
    world.nudge(&other).await;
    let mut others = daemon.session().await;
    others.log_in().await;
    world.until_status(&other, Status::Connected).await;
    let at = world.in_minutes(1);
    let mut messages = Vec::new();
    for _ in 0..3 {
        messages.push(world.schedule(&instance, ALICE, "one of many", at).await);
    }
    let all = relay.watch(On::operation("Query").with("due#"));
    world.clock.advance(TimeDelta::minutes(2));
    world.remind(at).await;
    let sent = session.sent().await.message;
    until("the end of the look", async || (all.hits() >= 3).then_some(())).await;
    let early = at - TimeDelta::seconds(30);
    let before = world.schedule(&other, ALICE, "before them", early).await;
    world.remind(early).await;
    takes(&world, &mut others, &other, before).await;
    assert_eq!(session.sent_besides(), []);
    assert!(messages.contains(&sent));
}
