//! A rolling deployment under load: one daemon after the other is replaced while texts go out and come in everywhere, as ECS does it
//! by the settings of `template.yaml`. What the troubles of the other runs excuse must not happen here: nothing goes out again, comes
//! unreadable, loses its place or its receipt, and each daemon ends by itself, in time and in order.
//!
//! Leases are long, so that none runs out on a slow machine: each shard that changes hands was handed over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use shared::clock::{Clock as _, SystemClock};
use testbed::caller::Caller;
use testbed::wait::{in_time, until};
use tests::daemon_process::DaemonProcess;
use tests::deployment::Starter;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ALONE;
use crate::plan::{Offset, PEOPLE, With};
use crate::size::Size;
use crate::strike::Log;
use crate::traffic::{OfChat, Person, Under, Written, sent_in};
use crate::verdict::{self, Counts};
use crate::world::World;
use crate::writer::Writer;

/// How many texts go out in a second, of all chats together. In a debug build two cores cannot keep up with a hundred, since the API, the
/// stores, the webhooks and the sandbox run beside the daemons. Each chat waits until its last text is accepted, so a slower machine sends
/// fewer.
const RATE: u32 = 30;

/// The time between two texts that come in, in each chat.
const BACK: Duration = Duration::from_secs(6);

/// The time between two looks at the statuses.
const LOOK: Duration = Duration::from_secs(1);

/// A deployment as `template.yaml` has it, and larger.
const SEVERAL: Size = Size {
    daemons: 3,
    shards: 6,
    instances: 12,
    rounds: 0,
    troubles: 0,
    longest: 0,
    out: 0,
    back: 0,
    patience: Duration::from_mins(6),
    receipts: Duration::from_mins(2),
    lease: Duration::from_secs(30),
};

/// The smallest one.
const SINGLE: Size = Size {
    daemons: 1,
    shards: 2,
    instances: 4,
    ..SEVERAL
};

/// Which comes first.
#[derive(Debug, Clone, Copy)]
enum Order {
    /// The new daemon begins beside the old one, and takes shards over from it.
    NewFirst,
    /// The old one stops, and nobody is there until the new one has begun.
    OldFirst,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn daemons_are_replaced_under_load_and_all_arrives_once_and_in_order() {
    Box::pin(roll("rolling", &SEVERAL, Order::NewFirst)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_daemon_stops_under_load_before_the_next_and_all_arrives_once_and_in_order() {
    Box::pin(roll("rolling-single", &SINGLE, Order::OldFirst)).await;
}

async fn roll(name: &str, size: &Size, order: Order) {
    let _alone = ALONE.lock().await;
    let clocks = vec![Vec::<Offset>::new(); size.daemons];
    let mut world = Box::pin(World::start(name, size, &clocks)).await;
    println!("logs: {}", world.directory.display());
    let (log, began) = (Log::begin(), SystemClock.now());
    let traffic = Traffic::begin(&world, size.patience);
    traffic.until_flowing().await;
    for place in 0..size.daemons {
        Box::pin(replace(&mut world, &traffic, place, order)).await;
        log.say(&format!("daemon {place} is replaced"));
        traffic.until_flowing().await;
    }
    let (sent, lies) = traffic.end().await;
    log.say("all is accepted");
    let (mut wrong, counts) = Box::pin(verdict::judge(&world, &sent, log, size, began)).await;
    wrong.extend(lies);
    wrong.extend(beyond(&counts));
    wrong.extend(ends(&world.starter, size.daemons));
    assert!(
        wrong.is_empty(),
        "{} things are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Replaces the daemon of this place. Returns when as many as before share all shards.
async fn replace(world: &mut World, traffic: &Traffic, place: usize, order: Order) {
    let count = world.daemons.len();
    let old = world.daemons[place].take().expect("a daemon");
    let new = match order {
        Order::NewFirst => {
            let new = world.starter.start().await;
            world.stores.until_shared_out(count + 1).await;
            stop(old).await;
            new
        }
        Order::OldFirst => {
            stop(old).await;
            // Callers do not notice.
            traffic.until_flowing().await;
            world.starter.start().await
        }
    };
    world.daemons[place] = Some(new);
    world.stores.until_shared_out(count).await;
}

/// Stops a daemon as ECS does. It must end by itself, with status 0, within the `StopTimeout` of `template.yaml`. A test waits for anything
/// just as long.
async fn stop(daemon: DaemonProcess) {
    in_time("the end of a daemon", daemon.stop()).await;
}

/// What happened that only troubles excuse. It is wrong, too, where nothing went out or nothing came in: then nothing could be lost.
fn beyond(counts: &Counts) -> Vec<String> {
    let (again, unread) = (counts.again, counts.unread);
    let (late, lost) = (counts.late, counts.receipts_lost);
    let (out, back) = (counts.accepted, counts.written);
    let all = [
        (
            out == 0 || back == 0,
            format!("{out} messages went out, and {back} came in"),
        ),
        (again > 0, format!("{again} messages went out again")),
        (
            unread > 0,
            format!("{unread} messages could not be read at first"),
        ),
        (late > 0, format!("{late} messages lost their place")),
        (lost > 0, format!("the receipts of {lost} messages are lost")),
    ];
    let wrong = all.into_iter().filter(|(is_wrong, _)| *is_wrong);
    wrong.map(|(_, said)| said).collect()
}

/// What the daemons' logs say of shards that were not handed over. So many daemons must have ended in order.
fn ends(starter: &Starter, count: usize) -> Vec<String> {
    let (mut wrong, mut ended) = (Vec::new(), 0);
    for (number, log) in starter.logs().enumerate() {
        ended += usize::from(log.contains("the daemon has stopped"));
        let lines = log.lines();
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        wrong.extend(
            lines
                .filter(|line| line["lost"] == true)
                .map(|line| format!("daemon {number} has lost a shard: {line}")),
        );
    }
    if ended != count {
        wrong.push(format!(
            "{ended} daemons say that they have stopped, and {count} were asked to"
        ));
    }
    wrong
}

/// The ticks of a steady pace, until the run is over.
pub struct Times {
    interval: Interval,
    over: CancellationToken,
}

impl Times {
    /// The first one is so much later.
    fn begin(first: Duration, every: Duration, over: &CancellationToken) -> Self {
        let mut interval = tokio::time::interval_at(Instant::now() + first, every);
        // Whoever is late does not hurry afterwards.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            interval,
            over: over.clone(),
        }
    }

    /// Waits for the next one; `false` once it is over.
    pub async fn come(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.over.cancelled() => false,
            _ = self.interval.tick() => true,
        }
    }
}

/// Texts under way in all chats, and whoever looks at the statuses meanwhile.
struct Traffic {
    over: CancellationToken,
    accepted: Arc<AtomicUsize>,
    lines: Vec<Vec<Under>>,
    lies: AbortOnDropHandle<BTreeSet<String>>,
}

impl Traffic {
    /// Begins in every chat of every instance. A text has to be accepted within `patience`.
    fn begin(world: &World, patience: Duration) -> Self {
        let (over, accepted) = (CancellationToken::new(), Arc::<AtomicUsize>::default());
        let chats = u32::try_from(world.lines.len() * PEOPLE).expect("few");
        let every = Duration::from_secs(1) * chats / RATE;
        let (mut begun, mut lines) = (0_u32, Vec::new());
        for line in 0..world.lines.len() {
            let mut under = Vec::new();
            for person in 0..PEOPLE {
                let (with, name) = (With::Person(person), format!("{line}-{person}"));
                // They are spread over the time.
                let times = |every: Duration| Times::begin(every * begun / chats, every, &over);
                let writer = Writer::new(world, line, with, format!("out {name}"), patience);
                let out = writer.write_at(times(every), Arc::clone(&accepted));
                let person = Person::new(world, line, with, format!("back {name}"));
                let back = write_back(person, times(BACK));
                under.push((
                    with,
                    AbortOnDropHandle::new(tokio::spawn(out)),
                    AbortOnDropHandle::new(tokio::spawn(back)),
                ));
                begun += 1;
            }
            lines.push(under);
        }
        let statuses = world.lines.iter().map(|line| {
            let path = format!("/api/instances/{}/status", line.paired.instance);
            (line.paired.user.clone(), path)
        });
        let looking = look(statuses.collect(), Times::begin(Duration::ZERO, LOOK, &over));
        Self {
            lies: AbortOnDropHandle::new(tokio::spawn(looking)),
            over,
            accepted,
            lines,
        }
    }

    /// Waits until as many more texts are accepted as there are chats.
    async fn until_flowing(&self) {
        let chats: usize = self.lines.iter().map(Vec::len).sum();
        let wanted = self.accepted.load(Ordering::Relaxed) + chats;
        until("texts that are accepted", async || {
            (self.accepted.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Ends it: what was accepted and sent, by instance and chat, and what the statuses said that cannot be.
    async fn end(self) -> (Vec<Vec<OfChat>>, BTreeSet<String>) {
        self.over.cancel();
        let lies = self.lies.await.expect("the statuses are looked at");
        (sent_in(self.lines).await, lies)
    }
}

/// A person's texts.
async fn write_back(person: Person, mut times: Times) -> Vec<Written> {
    let mut written = Vec::new();
    while times.come().await {
        written.push(person.say(written.len()).await);
    }
    written
}

/// Looks at the statuses again and again: what they say that cannot be of a paired instance whose daemon is replaced in order.
async fn look(statuses: Vec<(Caller, String)>, mut times: Times) -> BTreeSet<String> {
    let (mut lies, mut looks) = (BTreeSet::new(), 0);
    while times.come().await {
        for (n, (user, path)) in statuses.iter().enumerate() {
            // Who does not answer says nothing wrong.
            let answer = user.try_request(Method::GET, path, ()).await.ok();
            let Some(answer) = answer.filter(|answer| answer.status == 200) else {
                continue;
            };
            looks += 1;
            let status = answer.data(200);
            if !may_be_said(&status) {
                lies.insert(format!("instance {n} was said to be {status}"));
            }
        }
    }
    if looks == 0 {
        lies.insert("nobody could look at a status".to_owned());
    }
    lies
}

/// Whether this status may be true: connected, with a round trip, or between two daemons.
fn may_be_said(status: &Value) -> bool {
    let reason = &status["reason"];
    match status["status"].as_str() {
        Some("CONNECTED") => reason.is_null() && status["lastRoundTripAt"].is_string(),
        Some("RECONNECTING") => reason.is_null() || reason == "NO_DAEMON",
        _ => false,
    }
}
