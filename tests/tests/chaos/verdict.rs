//! What must hold in the end. All that does not is named, not the first of it alone.

mod chats;
mod lines;

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Utc};
use futures::future::join_all;
use shared::clock::{Clock as _, SystemClock};
use shared::domain::message::State;
use testbed::wait::look_for;
use tokio::time::Instant;

use self::lines::{Counts, Line};
use crate::strike::Log;
use crate::traffic::OfChat;
use crate::world::World;

/// The pause between two looks at what is not there yet.
const LOOK: Duration = Duration::from_secs(1);

/// How long receipts may take once all else is there. Those that are lost never come.
const RECEIPTS: Duration = Duration::from_secs(15);

/// Waits for all that must come, and answers what is wrong. `began` is when the run began.
pub async fn judge(
    world: &World,
    sent: &[Vec<OfChat>],
    log: Log,
    patience: Duration,
    began: DateTime<Utc>,
) -> Vec<String> {
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
    until_receipts(world, sent).await;

    let mut counts = Counts::default();
    let is_one_month = SystemClock.now().month() == began.month();
    for (n, chats) in sent.iter().enumerate() {
        let line = Line::look(world, n, chats).await;
        wrong.extend(line.faults(world, is_one_month, &mut counts).await);
    }
    if !is_one_month {
        log.say("the month has changed meanwhile: the quotas of this one say nothing");
    }
    log.say(&counts.to_string());
    wrong
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
async fn until_receipts(world: &World, sent: &[Vec<OfChat>]) {
    let delivered = look_for(LOOK, RECEIPTS, async || {
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
