//! What must hold after a trouble.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use shared::domain::message::{Direction, State};
use shared::ids::MessageId;
use testbed::wait::look_for;
use tests::deployment::recorded_again;
use tokio::time::Instant;

use crate::case::Case;
use crate::traffic::Sent;
use crate::world::World;

/// What a busy machine may take on top of the time in which shards must be served again.
const SLACK: Duration = Duration::from_mins(2);

/// How long all messages may take to arrive once every shard is served: a job that was held when the trouble came is
/// hidden for up to a minute, and tried after a pause.
const ARRIVAL: Duration = Duration::from_mins(4);

/// Every instance is connected within twice the lease: somebody serves its shard, and not in the table alone.
pub async fn is_served(world: &World, case: &Case) {
    let since = Instant::now();
    let deadline = since + 2 * World::LEASE + SLACK;
    for line in &world.lines {
        let own = &line.paired.own;
        let left = deadline.saturating_duration_since(Instant::now());
        let served = look_for(Duration::from_millis(100), left, async || {
            let linked = world.phones.linked(own).await;
            if linked == [true] { Ok(()) } else { Err(linked) }
        });
        served.await.unwrap_or_else(|linked| {
            panic!(
                "the instance of {own} is not served {} s after the trouble: {linked:?}",
                since.elapsed().as_secs()
            )
        });
    }
    println!("{case}: served after {:.1} s", since.elapsed().as_secs_f64());
}

/// All the rest: what was accepted is shown, what came is recorded, and statuses are true. `takes` is how often each shard had
/// been taken when the messages began.
pub async fn holds(world: World, case: &Case, takes: &[u64], sent: &[Vec<Sent>]) {
    let since = Instant::now();
    let arrived = look_for(Duration::from_millis(500), ARRIVAL, async || {
        let missing = lacks(&world, sent).await;
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    });
    let arrived = arrived.await;
    let all: usize = sent.iter().flatten().map(|chat| chat.out.len()).sum();
    let back: usize = sent.iter().flatten().map(|chat| chat.back.len()).sum();
    arrived.unwrap_or_else(|missing| {
        panic!(
            "of {all} out and {back} in, {} s later: {}",
            since.elapsed().as_secs(),
            missing.join("; ")
        )
    });
    let (again, unread) = shown_once_and_in_order(&world, sent).await;
    let chats: u64 = sent.iter().flatten().map(|_| 1).sum();
    // On a busy machine a daemon may lose its leases without any trouble.
    let most = world
        .takes()
        .await
        .iter()
        .zip(takes)
        .map(|(now, before)| now - before)
        .max();
    let handovers = case.handovers().max(most.unwrap_or_default());
    assert!(
        again <= chats * handovers,
        "{again} messages of {all} came again: more than were on the wire when their daemons let go"
    );
    let twice = recorded_twice(&world).await;
    assert_eq!(twice, 0, "records beyond one for each of {back}");
    println!(
        "{case}: {all} out, {back} in, all there after {:.1} s, {again} came again under their ids, \
         {unread} could not be read at first",
        since.elapsed().as_secs_f64()
    );
    is_empty(&world).await;
    is_honest(world).await;
}

/// What is not there yet, in words.
async fn lacks(world: &World, sent: &[Vec<Sent>]) -> Vec<String> {
    let mut lacks = Vec::new();
    let of_lines = join_all(world.lines.iter().map(|line| world.stores.records_of(line.id))).await;
    for ((line, chats), records) in world.lines.iter().zip(sent).zip(of_lines) {
        let states: BTreeMap<String, State> = records
            .iter()
            .filter(|record| record.direction == Direction::Outgoing)
            .map(|record| (record.id.to_string(), record.state))
            .collect();
        let mut recorded: Vec<&str> = records
            .iter()
            .filter_map(|record| record.whatsapp_id.as_deref())
            .collect();
        recorded.sort_unstable();
        for chat in chats {
            let inbox = world.phones.shown(&chat.person, &line.paired.own).await;
            let shown: BTreeSet<&str> = inbox.iter().map(|entry| entry.id.as_str()).collect();
            let unshown: Vec<&String> = chat
                .out
                .iter()
                .filter(|id| !shown.contains(whatsapp_id(id).as_str()))
                .collect();
            if let Some(first) = unshown.first() {
                let state = states.get(*first);
                let person = &chat.person;
                lacks.push(format!(
                    "{} not shown to {person}, {first} is {state:?}",
                    unshown.len()
                ));
            }
            let unsent = chat.out.iter().filter(|id| {
                !states
                    .get(*id)
                    .is_some_and(|state| matches!(state, State::Sent | State::Delivered | State::Read))
            });
            let unsent: Vec<&String> = unsent.collect();
            if let Some(first) = unsent.first() {
                lacks.push(format!(
                    "{} not sent, {first} is {:?}",
                    unsent.len(),
                    states.get(*first)
                ));
            }
            let unrecorded = chat
                .back
                .iter()
                .filter(|id| recorded.binary_search(&id.as_str()).is_err());
            let unrecorded: Vec<&String> = unrecorded.collect();
            if let Some(first) = unrecorded.first() {
                lacks.push(format!(
                    "{} of {} not recorded, {first}",
                    unrecorded.len(),
                    chat.person
                ));
            }
        }
        let told = line.paired.user.get("/api/instances/main/status").await;
        let connection = &told.json()["data"]["status"];
        if connection != "CONNECTED" {
            lacks.push(format!("an instance is {connection}"));
        }
    }
    lacks
}

/// Every message is there once, in the order of its chat; answers how many were on the wire more than once,
/// and how many a phone could not read at first.
async fn shown_once_and_in_order(world: &World, sent: &[Vec<Sent>]) -> (u64, usize) {
    let (mut again, mut unread) = (0, 0);
    for (line, chats) in world.lines.iter().zip(sent) {
        for chat in chats {
            let inbox = world.phones.shown(&chat.person, &line.paired.own).await;
            let accepted: Vec<String> = chat.out.iter().map(|id| whatsapp_id(id)).collect();
            let mut all: Vec<&str> = inbox.iter().map(|entry| entry.id.as_str()).collect();
            all.sort_unstable();
            // Ids rise with the time of acceptance.
            assert_eq!(
                all, accepted,
                "what {} was shown, and what was accepted",
                chat.person
            );
            // What a phone could not read comes when it is encrypted again. Apps sort it in by its time.
            let read_at_once = inbox.iter().filter(|entry| entry.retries == 0);
            let in_order: Vec<&str> = read_at_once.map(|entry| entry.id.as_str()).collect();
            assert!(
                in_order.is_sorted(),
                "what {} was shown is out of order: {in_order:?}",
                chat.person
            );
            again += inbox.iter().map(|entry| entry.copies - 1).sum::<u64>();
            unread += inbox.len() - in_order.len();
        }
    }
    (again, unread)
}

/// Records of incoming messages beyond one for each.
async fn recorded_twice(world: &World) -> usize {
    let of_lines = join_all(world.lines.iter().map(|line| world.stores.records_of(line.id))).await;
    of_lines.iter().map(|records| recorded_again(records)).sum()
}

/// No job is left, and none was given up.
async fn is_empty(world: &World) {
    let empty = look_for(Duration::from_millis(200), ARRIVAL, async || {
        let left = world.stores.left_in_queues().await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    empty.await.unwrap_or_else(|left| panic!("{}", left.join("; ")));
}

/// Once no daemon lives, nothing says that it is connected.
async fn is_honest(mut world: World) {
    for daemon in std::mem::take(&mut world.daemons) {
        daemon.kill().await;
    }
    for line in &world.lines {
        line.paired.user.until_status("main", "RECONNECTING").await;
    }
}

fn whatsapp_id(message: &str) -> String {
    let id: MessageId = message.parse().expect("a message's id");
    id.to_whatsapp()
}
