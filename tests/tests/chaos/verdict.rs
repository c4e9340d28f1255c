//! What must hold in the end. All that does not is named, not the first of it alone.

mod chats;
mod lines;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Datelike as _, Utc};
use futures::future::join_all;
use serde_json::Value;
use shared::clock::{Clock as _, SystemClock};
use shared::domain::message::State;
use testbed::wait::look_for;
use tokio::time::Instant;

pub use self::lines::Counts;
use self::lines::Line;
use crate::size::Size;
use crate::strike::Log;
use crate::traffic::OfChat;
use crate::world::World;

/// The pause between two looks at what is not there yet.
const LOOK: Duration = Duration::from_secs(1);

/// Receipts are lost that a daemon had not queued when it was killed. Those are few: one of so many messages at most.
const LOST_OF: usize = 3;

/// What a daemon logs of a message that lacks something before the wire. It is put off for that where it lacks it for long.
const LACKS: [&str; 2] = [
    "a message is put off for its file",
    "nobody knows who sees a status",
];

/// Waits for all that must come, and answers what is wrong, and what is counted beside that. `began` is when the run began.
pub async fn judge(
    world: &World,
    sent: &[Vec<OfChat>],
    log: Log,
    size: &Size,
    began: DateTime<Utc>,
) -> (Vec<String>, Counts) {
    let patience = size.patience;
    let deadline = Instant::now() + patience;
    let mut open: Vec<usize> = (0..sent.len()).collect();
    let arrived = look_for(LOOK, patience, async || {
        let looks = open
            .iter()
            .map(|n| async move { Line::look(world, *n, &sent[*n]).await.lacks() });
        let lacks = join_all(looks).await;
        let of_lines = open.iter().copied().zip(&lacks);
        open = of_lines
            .filter_map(|(n, lacks)| (!lacks.is_empty()).then_some(n))
            .collect();
        let lacks: Vec<String> = lacks.into_iter().flatten().collect();
        let Some(first) = lacks.first() else {
            return Ok(());
        };
        log.say(&format!("{} things are not there yet: {first}", lacks.len()));
        Err(lacks)
    });
    let mut wrong = arrived.await.err().unwrap_or_default();
    wrong.extend(until_empty(world, deadline).await);
    until_receipts(world, sent, size.receipts).await;
    wrong.extend(until_told(world, sent, deadline).await);

    let (mut counts, wanting) = (Counts::default(), wanting(world));
    let is_one_month = SystemClock.now().month() == began.month();
    for (n, chats) in sent.iter().enumerate() {
        let line = Line::look(world, n, chats).await;
        wrong.extend(line.faults(world, is_one_month, &wanting, &mut counts).await);
    }
    if counts.receipts_lost * LOST_OF > counts.accepted {
        let (lost, accepted) = (counts.receipts_lost, counts.accepted);
        wrong.push(format!("the receipts of {lost} messages of {accepted} are lost"));
    }
    if !is_one_month {
        log.say("the month has changed meanwhile: the quotas of this one say nothing");
    }
    log.say(&counts.to_string());
    (wrong, counts)
}

/// Waits until no job is left: what is left at the deadline, and what was given up.
async fn until_empty(world: &World, deadline: Instant) -> Vec<String> {
    let left = deadline.saturating_duration_since(Instant::now());
    let empty = look_for(LOOK, left, async || {
        let left = world.stores.left_in_queues().await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    empty.await.err().unwrap_or_default()
}

/// Waits until every message is delivered, or until what is not is not going to be.
async fn until_receipts(world: &World, sent: &[Vec<OfChat>], patience: Duration) {
    let delivered = look_for(LOOK, patience, async || {
        let looks = sent.iter().enumerate();
        let looks =
            looks.map(|(n, chats)| async move { Line::look(world, n, chats).await.in_state(State::Sent) });
        let undelivered: usize = join_all(looks).await.into_iter().sum();
        if undelivered == 0 {
            Ok(())
        } else {
            Err(undelivered)
        }
    });
    // What is lost is counted afterwards.
    let _ = delivered.await;
}

/// Waits until every receipt that is stored is told: what is not.
async fn until_told(world: &World, sent: &[Vec<OfChat>], deadline: Instant) -> Vec<String> {
    let left = deadline.saturating_duration_since(Instant::now());
    let told = look_for(LOOK, left, async || {
        let looks = sent.iter().enumerate();
        let looks = looks.map(|(n, chats)| async move { Line::look(world, n, chats).await.untold() });
        let untold: Vec<String> = join_all(looks).await.into_iter().flatten().collect();
        if untold.is_empty() { Ok(()) } else { Err(untold) }
    });
    told.await.err().unwrap_or_default()
}

/// The ids of the messages that lacked something before the wire, as the daemons' logs say.
fn wanting(world: &World) -> BTreeSet<String> {
    let mut wanting = BTreeSet::new();
    for log in world.starter.logs() {
        let lines = log
            .lines()
            .filter(|line| LACKS.iter().any(|said| line.contains(*said)));
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        wanting.extend(lines.filter_map(|line| line["message.id"].as_str().map(str::to_owned)));
    }
    wanting
}
