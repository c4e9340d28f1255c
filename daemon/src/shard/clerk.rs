//! Hands messages that are due over to the shard's queue.
//!
//! In order, of each message, so that it is lost nowhere and cancelled wherever its record says so:
//!
//! 1. Its record goes from `scheduled` to `queued`, or says that the message is not put off any more. If the message was
//!    taken back meanwhile this fails, and it is not sent.
//! 2. Its job goes to the queue, with a deduplication id made of the message's id and its time.
//! 3. Its entry is removed.
//!
//! After a crash the entry is there, and the same is done again. A second job does no harm: the lane sends a message
//! once. The messages of a lane are handed over one after the other, so a chat keeps the order of their times.
//!
//! What cannot be handed over keeps its lane back, and no other: the index is read on behind it. Such entries are looked at
//! again from the front after a pause that grows, and meanwhile only what is behind them is read.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use shared::domain::counting;
use shared::domain::job::Job;
use shared::domain::message::{Change, MessageRecord, State};
use shared::domain::payload;
use shared::fault;
use shared::nature::Nature;
use shared::queue::{OutgoingMessage, QueueError};
use shared::storage::StorageError;
use shared::storage::keys::Key;
use shared::storage::messages::{Away, Transition};
use shared::storage::schedule::{Entry, Found, QueuedLater};
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::agenda::{FIRST_PAUSE, LONGEST_PAUSE};
use super::park;
use super::room::{Rooms, in_time};
use crate::announce::AnnounceError;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::instance::tally;
use crate::lease::Hold;

/// How many messages are read at once.
const PAGE: u16 = 100;

/// How many lanes hand messages over at once.
const LANES_AT_ONCE: usize = 16;

/// How many lanes may be kept back before nothing is read on behind them.
const KEPT_BACK: usize = 10_000;

/// Why a message is not handed over now. The same is tried again.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// The table did not answer, or refused.
    #[error("the table is in the way")]
    Table(#[from] StorageError),
    /// The queue did not.
    #[error("the queue is in the way")]
    Queue(#[from] QueueError),
    /// What the message's state is could not be told.
    #[error("the event could not be told")]
    Event(#[from] AnnounceError),
    /// As many messages wait in the shard's queue as may.
    #[error("the shard's queue is full")]
    Full,
    /// As many messages of the instance wait as may.
    #[error("as many messages of the instance wait as may")]
    InstanceFull,
}

/// Hands messages of one shard over.
#[derive(Debug)]
pub struct Clerk<'a> {
    deps: &'a Deps,
    hold: &'a Hold,
    rooms: Rooms<'a>,
    /// The lanes that are kept back since the last look from the front, and whether only because their instance is full.
    kept_back: HashMap<String, bool>,
    /// The same of the look before.
    kept_back_before: HashMap<String, bool>,
    /// What was read last, where something before it is kept back.
    behind: Option<Key>,
    /// Whether all was read that was due.
    is_through: bool,
    /// When what is kept back is looked at again.
    again: Option<Instant>,
    pause: Duration,
}

impl<'a> Clerk<'a> {
    /// Hands over messages of this shard.
    pub fn new(deps: &'a Deps, hold: &'a Hold, links: &'a Links) -> Self {
        Self {
            deps,
            hold,
            rooms: Rooms::new(deps, hold.shard, links),
            kept_back: HashMap::new(),
            kept_back_before: HashMap::new(),
            behind: None,
            is_through: true,
            again: None,
            pause: FIRST_PAUSE,
        }
    }

    /// How long until what is kept back is looked at again; `None` where nothing is.
    pub fn until_again(&self) -> Option<Duration> {
        self.again
            .map(|again| again.saturating_duration_since(Instant::now()))
    }

    /// Hands over all that is due, and counts that; answers when the next message is. What fails stays, with what comes
    /// after it in its lane; other lanes go on. An error where nothing of a page could be handed over, and something
    /// failed: what is behind that page comes first the next time.
    pub async fn hand_over(&mut self, handed: &mut usize) -> Result<Option<DateTime<Utc>>, NotNow> {
        self.begin();
        let (deps, shard) = (self.deps, self.hold.shard);
        let mut has_moved = false;
        loop {
            let now = deps.clock.now();
            let behind = self.behind.as_ref();
            let page = deps
                .schedule
                .due_behind(deps.network, shard, behind, now, PAGE.into())
                .await?;
            let Some(last) = page.last().map(|found| found.key.clone()) else {
                break;
            };
            let page: Vec<_> = page
                .into_iter()
                .filter(|found| !self.kept_back.contains_key(&lane_of(found)))
                .collect();
            self.rooms.look(&page).await?;
            let mut lanes: BTreeMap<String, Vec<Found>> = BTreeMap::new();
            for found in page {
                lanes.entry(lane_of(&found)).or_default().push(found);
            }
            let lanes = futures::stream::iter(lanes).map(|(name, lane)| self.hand_over_lane(name, lane));
            let done: Vec<_> = lanes.buffer_unordered(LANES_AT_ONCE).collect().await;
            self.behind = Some(last);
            let mut count = 0;
            let mut in_the_way = None;
            for (lane, moved, error) in done {
                count += moved;
                has_moved |= moved > 0 && self.kept_back_before.get(&lane) == Some(&false);
                if let Some(error) = error {
                    let is_full = matches!(error, NotNow::InstanceFull);
                    self.kept_back.insert(lane, is_full);
                    in_the_way = in_the_way.or((!is_full).then_some(error));
                }
            }
            *handed += count;
            if count > 0 {
                info!(%shard, count, "handed scheduled messages over");
            }
            if let Some(error) = in_the_way {
                if self.kept_back.len() >= KEPT_BACK {
                    self.end(has_moved);
                    return Err(error);
                }
                if count == 0 {
                    return Err(error);
                }
                warn!(%shard, error = %chain(&error), "a lane of scheduled messages is kept back");
            }
        }
        self.end(has_moved);
        let next = deps
            .schedule
            .first_behind(deps.network, shard, self.behind.as_ref());
        Ok(next.await?)
    }

    /// Goes on behind what was read last or, once all was read and it is time for that, looks from the front.
    fn begin(&mut self) {
        self.rooms.forget();
        let is_time = self.again.is_none_or(|again| again <= Instant::now());
        if self.is_through && is_time {
            self.again = None;
            self.behind = None;
            self.kept_back_before = std::mem::take(&mut self.kept_back);
        }
        self.is_through = false;
    }

    /// Sets when what is kept back is looked at again: the later, the longer nothing of it moves.
    fn end(&mut self, has_moved: bool) {
        self.is_through = true;
        if self.kept_back.is_empty() {
            self.behind = None;
            self.again = None;
            self.pause = FIRST_PAUSE;
            return;
        }
        if has_moved {
            self.pause = FIRST_PAUSE;
        }
        if self.again.is_none() {
            self.again = Some(Instant::now() + self.pause);
            self.pause = LONGEST_PAUSE.min(self.pause * 2);
        }
    }

    /// How many messages of a lane were handed over, and what stopped that.
    async fn hand_over_lane(&self, name: String, lane: Vec<Found>) -> (String, usize, Option<NotNow>) {
        for (count, found) in lane.iter().enumerate() {
            if let Err(error) = self.hand_over_one(found).await {
                return (name, count, Some(error));
            }
        }
        (name, lane.len(), None)
    }

    async fn hand_over_one(&self, found: &Found) -> Result<(), NotNow> {
        let deps = self.deps;
        match &found.entry {
            Ok(entry) => match (&entry.job, entry.subscription) {
                (Some(job), Some(_)) => self.hand_over_scheduled(entry, job).await?,
                (Some(job), None) => self.hand_over_put_off(entry, job).await?,
                (None, _) => self.follow_notice(entry).await?,
            },
            Err(error) => {
                let reason = chain(error);
                let body = found.body.as_deref().unwrap_or_default();
                park::set_aside_body(deps, self.hold, body, "scheduled", &found.key.sk, &reason).await?;
            }
        }
        Ok(deps.schedule.remove(&found.key).await?)
    }

    /// Queues a scheduled message's job, where its record has nothing against it.
    async fn hand_over_scheduled(&self, entry: &Entry, job: &QueuedLater) -> Result<(), NotNow> {
        let deps = self.deps;
        let (instance, message) = (entry.instance, entry.message);
        self.rooms.take(instance)?;
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
                self.rooms.give_back(instance);
                return self.tell(&record).await;
            }
            // It was begun before, or only a newer version can read its record. Its lane looks at that again.
            Ok(Transition::AlreadyPast { .. }) | Err(StorageError::Corrupt { .. }) => {}
            Ok(Transition::Missing) => {
                debug!(message.id = %message, "a message that was never accepted, or whose instance is gone");
                self.rooms.give_back(instance);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        fault::point("after-due-state");
        self.queue(entry, job).await?;
        fault::point("after-due-send");
        Ok(())
    }

    /// The same of a message that was put off. It has counted as waiting all the while.
    async fn hand_over_put_off(&self, entry: &Entry, job: &QueuedLater) -> Result<(), NotNow> {
        let deps = self.deps;
        let (instance, message) = (entry.instance, entry.message);
        match deps.messages.bring_back(instance, message, entry.at).await? {
            Away::Done { before } => {
                let now = deps.clock.now();
                // A job that cannot be read was put off in this month as well as in another.
                let waits_since = waits_since(&job.body).unwrap_or(now);
                let counters = counting::back(State::Queued, before, waits_since, now);
                tally::count(deps, instance, counters.as_slice(), now).await;
            }
            Away::Past(record) if record.state == State::Cancelled && may_be_out(&job.body) => {
                debug!(message.id = %message, "a message that was taken back may be out, and is revoked");
            }
            Away::Past(record) if record.state == State::Unknown => {}
            Away::Past(record) if record.state.is_past_sending() => {
                debug!(message.id = %message, state = %record.state, "a message that was put off is past sending");
                return self.tell(&record).await;
            }
            Away::Past(_) => {
                debug!(message.id = %message, "a message was put off twice, and this is not its last time");
                return Ok(());
            }
            // Its lane looks at that.
            Away::Unreadable => {}
            Away::Missing => {
                debug!(message.id = %message, "a message whose instance is gone");
                return Ok(());
            }
        }
        fault::point("after-due-state");
        self.queue(entry, job).await?;
        fault::point("after-due-send");
        Ok(())
    }

    /// Tells of a message that was taken back before it was due. One that was put off may be out: its lane revokes it.
    async fn follow_notice(&self, notice: &Entry) -> Result<(), NotNow> {
        let (deps, shard) = (self.deps, self.hold.shard);
        let (instance, message) = (notice.instance, notice.message);
        let Some(record) = deps.messages.get(instance, message).await? else {
            return Ok(());
        };
        if record.state == State::Cancelled
            && let Some(at) = record.put_off_at
            && let Some(found) = deps.schedule.get(deps.network, shard, at, message).await?
        {
            if let Ok(Entry { job: Some(job), .. }) = &found.entry
                && may_be_out(&job.body)
            {
                let entry = Entry { at, ..notice.clone() };
                self.queue(&entry, job).await?;
            }
            deps.schedule.remove(&found.key).await?;
        }
        self.tell(&record).await
    }

    async fn queue(&self, entry: &Entry, job: &QueuedLater) -> Result<(), NotNow> {
        let sends = self.deps.names.sends(self.hold.shard.0);
        // The queue may remember an earlier job of a message that was put off, and must not take this for that.
        let dedup_id = format!("{}@{}", entry.message, entry.at.timestamp_millis());
        let message = OutgoingMessage::fifo(job.body.clone(), job.group.clone(), dedup_id);
        in_time("send", self.deps.queue.send(&sends, message)).await?;
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
    async fn tell(&self, record: &MessageRecord) -> Result<(), NotNow> {
        match self.deps.announcer.message_is(record).await {
            Err(error) if error.nature() == Nature::Permanent => {
                error!(message.id = %record.id, error = %chain(&error), "a message's state can never be told");
                Ok(())
            }
            told => Ok(told?),
        }
    }
}

fn lane_of(found: &Found) -> String {
    let entry = found.entry.as_ref().ok();
    let job = entry.and_then(|entry| entry.job.as_ref());
    // What has no job has no order to keep.
    job.map_or_else(|| found.key.sk.clone(), |job| job.group.clone())
}

/// Whether the message of a job that was put off may be out. One that only a newer version can read may be.
fn may_be_out(body: &str) -> bool {
    let job = payload::decode::<Job>(body);
    job.map_or(true, |Job::Send(send)| {
        send.put_off.is_some_and(|put_off| put_off.may_be_out)
    })
}

fn waits_since(body: &str) -> Option<DateTime<Utc>> {
    let Job::Send(send) = payload::decode::<Job>(body).ok()?;
    Some(send.waits_since())
}
