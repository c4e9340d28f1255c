//! Messages that are due: hands each over to the shard's queue when its time has come.
//!
//! They rest in the due index ([`shared::storage::schedule`]). In memory is only when the next one is due. That is read
//! from the index when the shard is taken and once a minute, and told by a nudge when a message is accepted for soon.
//!
//! In order, of each message, so that it is lost nowhere and cancelled wherever its record says so:
//!
//! 1. Its record goes from `scheduled` to `queued`. If it was taken back meanwhile this fails, and it is not sent.
//! 2. Its job goes to the queue, with a deduplication id made of the message's id and its time.
//! 3. Its entry is removed.
//!
//! After a crash the entry is there, and the same is done again. A second job does no harm: the lane sends a message
//! once. The messages of a lane are handed over one after the other, so a chat keeps the order of their times.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use shared::clock::Clock;
use shared::domain::message::{Change, MessageRecord, State};
use shared::fault;
use shared::nature::Nature;
use shared::queue::{LOOKED_AT, MAX_WAIT, OutgoingMessage, QueueError};
use shared::storage::StorageError;
use shared::storage::messages::Transition;
use shared::storage::schedule::{Entry, Found, QueuedLater};
use shared::telemetry::chain;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::park;
use crate::announce::AnnounceError;
use crate::deps::Deps;
use crate::lease::Hold;

/// How many messages are read at once.
const PAGE: u16 = 100;

/// How many lanes hand messages over at once.
const LANES_AT_ONCE: usize = 16;

/// The longest time between two looks at the clock. It may be set meanwhile.
const CLOCK_EVERY: Duration = Duration::from_secs(1);

/// How many messages the shard's queue may hold before others are handed over: fewer than those among which it looks
/// for free groups, so that no instance's scheduled messages hide those of others.
const QUEUE_HOLDS: u64 = LOOKED_AT as u64 - 10_000;

/// How long a call to the queue may take.
const QUEUE_DEADLINE: Duration = Duration::from_secs(5);

/// The pause after a failure; it doubles each time that nothing was handed over before it, to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When the shard's next message is due, as far as known.
#[derive(Debug, Default)]
pub struct Agenda {
    next: Mutex<Option<DateTime<Utc>>>,
    changed: Notify,
}

impl Agenda {
    /// Notes that a message is due then.
    pub fn note(&self, at: DateTime<Utc>) {
        let mut next = self.next.lock().expect("no holder panics");
        if next.is_none_or(|next| at < next) {
            *next = Some(at);
            self.changed.notify_one();
        }
    }

    /// Forgets what was known: the index is about to be read. What is noted meanwhile stays.
    fn clear(&self) {
        *self.next.lock().expect("no holder panics") = None;
    }

    /// Waits until a message is due, but no longer than `longest`.
    async fn due(&self, clock: &dyn Clock, longest: Duration) {
        let end = Instant::now() + longest;
        loop {
            let next = *self.next.lock().expect("no holder panics");
            let left = next.map(|next| (next - clock.now()).to_std().unwrap_or_default());
            let until_end = end.saturating_duration_since(Instant::now());
            if until_end.is_zero() || left.is_some_and(|left| left.is_zero()) {
                return;
            }
            let pause = left.map_or(until_end, |left| left.min(CLOCK_EVERY).min(until_end));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.changed.notified() => {}
            }
        }
    }
}

/// Why a message is not handed over now. The same is tried again.
#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error("the table is in the way")]
    Table(#[from] StorageError),
    #[error("the queue is in the way")]
    Queue(#[from] QueueError),
    #[error("the event could not be told")]
    Event(#[from] AnnounceError),
    #[error("the shard's queue is full")]
    Full,
}

/// Hands over what is due until the shard is given up.
pub async fn keep(deps: &Deps, hold: &Hold, agenda: &Agenda) {
    let clerk = Clerk { deps, hold };
    let settled = Instant::now() + MAX_WAIT;
    let mut pause = FIRST_PAUSE;
    while !super::is_over(hold) {
        let begun = Instant::now();
        agenda.clear();
        let mut handed = 0;
        let done = tokio::select! {
            done = clerk.hand_over(&mut handed) => done,
            () = super::over(hold) => return,
        };
        match done {
            Ok(first) => {
                pause = FIRST_PAUSE;
                if let Some(first) = first {
                    agenda.note(first);
                }
                // What the last owner was told of a moment ago may not come here.
                let is_settled = begun >= settled;
                let longest = if is_settled {
                    super::SWEEP_INTERVAL
                } else {
                    super::FIRST_SWEEPS_INTERVAL
                };
                tokio::select! {
                    () = agenda.due(deps.clock.as_ref(), longest) => {}
                    () = super::over(hold) => {}
                }
            }
            Err(error) => {
                warn!(shard = %hold.shard, error = %chain(&error), "scheduled messages are handed over later");
                if handed > 0 {
                    pause = FIRST_PAUSE;
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = super::over(hold) => {}
                }
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

/// Hands messages of one shard over.
struct Clerk<'a> {
    deps: &'a Deps,
    hold: &'a Hold,
}

impl Clerk<'_> {
    /// Hands over all that is due, and counts that; answers when the next message is. What fails stays, with what comes
    /// after it in its lane; other lanes go on.
    async fn hand_over(&self, handed: &mut usize) -> Result<Option<DateTime<Utc>>, NotNow> {
        let (deps, shard) = (self.deps, self.hold.shard);
        loop {
            let first = deps.schedule.first(deps.network, shard).await?;
            let now = deps.clock.now();
            if first.is_none_or(|first| now < first) {
                return Ok(first);
            }
            let page = deps.schedule.due(deps.network, shard, now, PAGE.into()).await?;
            if page.len() >= usize::from(PAGE) {
                self.require_room().await?;
            }
            let mut lanes: BTreeMap<String, Vec<Found>> = BTreeMap::new();
            for found in page {
                lanes.entry(lane_of(&found)).or_default().push(found);
            }
            let lanes = futures::stream::iter(lanes.into_values()).map(|lane| self.hand_over_lane(lane));
            let done: Vec<_> = lanes.buffer_unordered(LANES_AT_ONCE).collect().await;
            let count: usize = done.iter().map(|(count, _)| count).sum();
            *handed += count;
            info!(%shard, count, "handed scheduled messages over");
            if let Some(error) = done.into_iter().find_map(|(_, error)| error) {
                return Err(error);
            }
            if count == 0 {
                // The former owner was faster, or the clock was set back.
                return Ok(None);
            }
        }
    }

    /// How many messages of a lane were handed over, and what stopped that.
    async fn hand_over_lane(&self, lane: Vec<Found>) -> (usize, Option<NotNow>) {
        for (count, found) in lane.iter().enumerate() {
            if let Err(error) = self.hand_over_one(found).await {
                return (count, Some(error));
            }
        }
        (lane.len(), None)
    }

    async fn hand_over_one(&self, found: &Found) -> Result<(), NotNow> {
        let deps = self.deps;
        match &found.entry {
            Ok(entry) => {
                if let Some(job) = &entry.job {
                    self.hand_over_job(entry, job).await?;
                } else {
                    let record = deps.messages.get(entry.instance, entry.message).await?;
                    self.tell(record).await?;
                }
            }
            Err(error) => {
                let reason = chain(error);
                let body = found.body.as_deref().unwrap_or_default();
                park::set_aside_body(deps, self.hold, body, "scheduled", &found.key.sk, &reason).await?;
            }
        }
        Ok(deps.schedule.remove(&found.key).await?)
    }

    /// Queues a message's job, where its record has nothing against it.
    async fn hand_over_job(&self, entry: &Entry, job: &QueuedLater) -> Result<(), NotNow> {
        let deps = self.deps;
        let (instance, message) = (entry.instance, entry.message);
        let change = Change {
            state: State::Queued,
            at: deps.clock.now(),
            failure: None,
        };
        match deps.messages.change(instance, message, &change).await {
            Ok(Transition::Made { .. }) => self.count(entry).await,
            Ok(Transition::AlreadyPast { record: Some(record) })
                if record.state.is_past_sending() && record.state != State::Unknown =>
            {
                debug!(message.id = %message, state = %record.state, "a scheduled message is past sending");
                return self.tell(Some(*record)).await;
            }
            // It was begun before, or only a newer version can read its record. Its lane looks at that again.
            Ok(Transition::AlreadyPast { .. }) | Err(StorageError::Corrupt { .. }) => {}
            Ok(Transition::Missing) => {
                debug!(message.id = %message, "a message that was never accepted, or whose instance is gone");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        fault::point("after-due-state");
        let sends = deps.names.sends(self.hold.shard.0);
        // The queue may remember an earlier job of a message that was put off, and must not take this for that.
        let dedup_id = format!("{message}@{}", entry.at.timestamp_millis());
        let message = OutgoingMessage::fifo(job.body.clone(), job.group.clone(), dedup_id);
        in_time("send", deps.queue.send(&sends, message)).await?;
        fault::point("after-due-send");
        Ok(())
    }

    /// From now on the message waits. After a crash it is not counted, or not again.
    async fn count(&self, entry: &Entry) {
        let Some(subscription) = entry.subscription else {
            return;
        };
        let counters = &self.deps.counters;
        let counted = counters.count_as_waiting(subscription, entry.instance, entry.at);
        if let Err(error) = counted.await {
            warn!(message.id = %entry.message, error = %chain(&error), "a message waits and is not counted as waiting");
        }
    }

    /// Tells of a message that was taken back before it was due.
    async fn tell(&self, record: Option<MessageRecord>) -> Result<(), NotNow> {
        let Some(record) = record else { return Ok(()) };
        match self.deps.announcer.message_is(&record).await {
            Err(error) if error.nature() == Nature::Permanent => {
                error!(message.id = %record.id, error = %chain(&error), "a message's state can never be told");
                Ok(())
            }
            told => Ok(told?),
        }
    }

    /// Fails while the shard's queue holds so many messages that more would keep it from finding others' groups.
    async fn require_room(&self) -> Result<(), NotNow> {
        let sends = self.deps.names.sends(self.hold.shard.0);
        let depth = in_time("depth", self.deps.queue.depth(&sends)).await?;
        if depth.visible + depth.in_flight + depth.delayed < QUEUE_HOLDS {
            Ok(())
        } else {
            Err(NotNow::Full)
        }
    }
}

fn lane_of(found: &Found) -> String {
    let entry = found.entry.as_ref().ok();
    let job = entry.and_then(|entry| entry.job.as_ref());
    // What has no job has no order to keep.
    job.map_or_else(|| found.key.sk.clone(), |job| job.group.clone())
}

async fn in_time<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    let done = tokio::time::timeout(QUEUE_DEADLINE, call).await;
    done.unwrap_or(Err(QueueError::Timeout { operation }))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use futures::FutureExt as _;
    use shared::clock::SteppedClock;

    use super::*;

    #[tokio::test]
    async fn only_the_earliest_time_counts() {
        let clock = SteppedClock::at(DateTime::UNIX_EPOCH);
        let agenda = Agenda::default();
        let at = |seconds| clock.now() + TimeDelta::seconds(seconds);
        agenda.note(at(20));
        agenda.note(at(10));
        agenda.note(at(30));
        let long = Duration::from_mins(1);
        assert!(agenda.due(&clock, long).now_or_never().is_none());
        clock.advance(TimeDelta::seconds(10));
        assert!(agenda.due(&clock, long).now_or_never().is_some(), "it is time");
        agenda.clear();
        assert!(
            agenda.due(&clock, long).now_or_never().is_none(),
            "nothing is known"
        );
        assert!(agenda.due(&clock, Duration::ZERO).now_or_never().is_some());
    }
}
