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
//! What cannot be handed over keeps its lane back, and no other: the index is read on behind it, and where it is is remembered
//! (`kept_back.rs`). Such messages are looked at again after a pause that grows, and of a full instance only as many are read as
//! there is room for. Those whose time to be sent runs out meanwhile are told as expired, and need no room for that. Those that
//! were put off wait already, and pass those that have no room.
//!
//! Where the shard's queue is full, the reading stops before what finds no place, and goes on there when there is room: nothing
//! is kept back for that, and what is due first goes first. Meanwhile the index is read ahead for what needs no place.

mod ahead;
mod handing;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use shared::queue::QueueError;
use shared::storage::StorageError;
use shared::storage::keys::{self, Key};
use shared::storage::schedule::Found;
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use self::ahead::Ahead;
use super::agenda::{FIRST_PAUSE, LONGEST_PAUSE};
use super::kept_back::{Again, KeptBack, Place, of_waiting};
use super::room::{Rooms, needs_place};
use crate::announce::AnnounceError;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::Hold;

/// How many messages are read at once.
const PAGE: u16 = 100;

/// How many lanes hand messages over at once.
const LANES_AT_ONCE: usize = 16;

/// How many lanes that are kept back are looked at before what is due meanwhile, and how many messages of each. It takes a
/// second or so.
const LANES_AGAIN: usize = 32;
const MESSAGES_AGAIN: usize = 8;

/// How often the shard's queue is asked for room, while it is full.
const PLACE_EVERY: Duration = Duration::from_secs(2);

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
    kept_back: KeptBack,
    /// The lanes that are still to be looked at again, where that was begun.
    to_look_at: VecDeque<String>,
    /// Whether something moved among those that were.
    has_moved: bool,
    /// What was read last, where something before it is kept back.
    behind: Option<Key>,
    /// Whether something may have been put before what is kept back.
    is_told: bool,
    /// When what is kept back is looked at again.
    again: Option<Instant>,
    pause: Duration,
    /// When the shard's queue is asked for room the next time; `None` where it is not full.
    place_at: Option<Instant>,
    /// Whether it was told that the queue is full, and not yet that it has room.
    was_full: bool,
    ahead: Ahead,
}

/// What came of the messages of a lane that were just read.
struct Read {
    lane: String,
    /// Those that are left, by their places among them.
    left: Vec<usize>,
    /// What stopped them.
    error: Option<NotNow>,
}

/// What came of a lane that was looked at again.
struct Done {
    lane: String,
    /// How many of its messages are gone.
    gone: usize,
    /// What stopped it.
    error: Option<NotNow>,
}

impl<'a> Clerk<'a> {
    /// Hands over messages of this shard.
    pub fn new(deps: &'a Deps, hold: &'a Hold, links: &'a Links) -> Self {
        Self {
            deps,
            hold,
            rooms: Rooms::new(deps, hold.shard, links),
            kept_back: KeptBack::new(Instant::now()),
            to_look_at: VecDeque::new(),
            has_moved: false,
            behind: None,
            is_told: false,
            again: None,
            pause: FIRST_PAUSE,
            place_at: None,
            was_full: false,
            ahead: Ahead::default(),
        }
    }

    /// How long until this looks again at what is kept back, or asks a full queue for room; `None` where nothing is kept back
    /// and the queue has room.
    pub fn until_again(&self) -> Option<Duration> {
        let now = Instant::now();
        if let Some(at) = self.place_at {
            return Some(at.saturating_duration_since(now));
        }
        let again = self.again.map(|again| again.saturating_duration_since(now));
        let anew = self.kept_back.until_read_anew(now);
        [again, anew].into_iter().flatten().min()
    }

    /// Somebody has put a message into the index that is due then: perhaps before what was read last.
    pub fn look_from(&mut self, told: Option<DateTime<Utc>>) {
        let Some(at) = told else { return };
        // It sorts before all that is due at that time.
        let from = keys::due_time(at);
        let is_before = |behind: &Key| from < behind.sk;
        if self.ahead.behind.as_ref().is_some_and(is_before) {
            self.ahead.note(at);
        }
        if self.behind.as_ref().is_some_and(is_before) {
            let pk = keys::due_partition(self.deps.network, self.hold.shard);
            self.behind = Some(Key { pk, sk: from });
            self.is_told = true;
        }
    }

    /// Hands over all that is due, and counts that; answers when the next message is, or its time runs out. What fails stays,
    /// with what comes after it in its lane; other lanes go on. An error where nothing of a page could be handed over, and
    /// something failed: what is behind that page comes first the next time.
    pub async fn hand_over(&mut self, handed: &mut usize) -> Result<Option<DateTime<Utc>>, NotNow> {
        self.rooms.forget();
        let now = Instant::now();
        if self.place_at.is_some_and(|at| at <= now) {
            let is_full = self.rooms.is_full().await;
            self.place_at = is_full.then(|| Instant::now() + PLACE_EVERY);
        }
        let is_time = !self.is_full() && self.kept_back.until_read_anew(now) == Some(Duration::ZERO);
        if is_time || self.kept_back.is_empty() {
            self.kept_back = KeptBack::new(now);
            self.to_look_at.clear();
            self.behind = None;
        }
        let read = self.read(handed).await;
        self.expire().await;
        read?;
        if self.kept_back.is_empty() {
            self.behind = None;
            self.again = None;
            self.pause = FIRST_PAUSE;
        } else if !self.to_look_at.is_empty() {
            self.again = Some(Instant::now());
        } else if self.again.is_none() {
            self.again = Some(Instant::now() + self.pause);
            self.pause = LONGEST_PAUSE.min(self.pause * 2);
        }
        let (deps, shard) = (self.deps, self.hold.shard);
        if !self.is_full() && self.to_look_at.is_empty() && std::mem::take(&mut self.was_full) {
            info!(%shard, "the shard's queue has room for scheduled messages again");
        }
        let last = if self.is_full() {
            &self.ahead.behind
        } else {
            &self.behind
        };
        let next = if self.kept_back.is_full() && !self.is_full() {
            None
        } else {
            let first = deps.schedule.first_behind(deps.network, shard, last.as_ref());
            first.await?
        };
        Ok([next, self.kept_back.next_expiry()].into_iter().flatten().min())
    }

    /// What is kept back is due before what was not looked at yet, unless that was put before it meanwhile. So it comes first,
    /// when it is time for it.
    async fn read(&mut self, handed: &mut usize) -> Result<(), NotNow> {
        let is_told = !self.is_full() && std::mem::take(&mut self.is_told);
        if !is_told && !self.is_full() {
            self.look_again(handed).await;
        }
        if !self.is_full() {
            self.read_on(handed).await?;
        }
        if is_told && !self.is_full() {
            self.look_again(handed).await;
        }
        if self.is_full() {
            self.read_ahead(handed).await?;
        }
        Ok(())
    }

    /// Whether the shard's queue was full when it was asked last.
    fn is_full(&self) -> bool {
        self.place_at.is_some()
    }

    /// The shard's queue is found to be full.
    fn found_full(&mut self) {
        self.place_at = Some(Instant::now() + PLACE_EVERY);
        if !std::mem::replace(&mut self.was_full, true) {
            warn!(shard = %self.hold.shard, "the shard's queue is full: scheduled messages wait for room in it");
        }
    }

    /// Hands over what is due and was not looked at yet, up to what finds the shard's queue full.
    async fn read_on(&mut self, handed: &mut usize) -> Result<(), NotNow> {
        let (deps, shard) = (self.deps, self.hold.shard);
        while !self.kept_back.is_full() {
            let now = deps.clock.now();
            let behind = self.behind.as_ref();
            let page = deps
                .schedule
                .due_behind(deps.network, shard, behind, now, PAGE.into())
                .await?;
            let Some(last) = page.last().map(|found| found.key.clone()) else {
                break;
            };
            let (kept, page): (Vec<_>, Vec<_>) = page
                .into_iter()
                .partition(|found| self.kept_back.holds(&lane_of(found), was_put_off(found)));
            match self.rooms.look(&page, now).await {
                Err(NotNow::Full) => {
                    self.found_full();
                    return Ok(());
                }
                looked => looked?,
            }
            for found in &kept {
                let name = kept_as(found);
                if !self.kept_back.has(&name) {
                    self.kept_back.keep(&name, false);
                }
                self.kept_back.add(&name, found);
            }
            let mut lanes: BTreeMap<String, Vec<Found>> = BTreeMap::new();
            for found in page {
                lanes.entry(lane_of(&found)).or_default().push(found);
            }
            let handing: Vec<_> = lanes
                .iter()
                .map(|(name, lane)| self.hand_over_lane(name, lane))
                .collect();
            let read: Vec<_> = futures::stream::iter(handing)
                .buffer_unordered(LANES_AT_ONCE)
                .collect()
                .await;
            self.behind = Some(last);
            let mut count = 0;
            let mut in_the_way = None;
            for Read { lane, left, error } in read {
                let found = &lanes[&lane];
                count += found.len() - left.len();
                let Some(error) = error else { continue };
                let has_no_room = matches!(error, NotNow::InstanceFull);
                for found in left.iter().map(|place| &found[*place]) {
                    let name = kept_as(found);
                    self.kept_back.keep(&name, has_no_room);
                    self.kept_back.add(&name, found);
                }
                in_the_way = in_the_way.or((!has_no_room).then_some(error));
            }
            *handed += count;
            if count > 0 {
                info!(%shard, count, "handed scheduled messages over");
            }
            if let Some(error) = in_the_way {
                if count == 0 {
                    return Err(error);
                }
                warn!(%shard, error = %chain(&error), "a lane of scheduled messages is kept back");
            }
        }
        Ok(())
    }

    /// Does what is to be done of messages that need no place in the shard's queue, while that is full. The others stay where
    /// they are, and so does what fails: both are read again.
    async fn read_ahead(&mut self, handed: &mut usize) -> Result<(), NotNow> {
        let (deps, shard) = (self.deps, self.hold.shard);
        let time = deps.clock.now();
        if self.ahead.begin(self.behind.as_ref(), time, Instant::now()) {
            self.kept_back.try_again();
        }
        loop {
            let now = deps.clock.now();
            let behind = self.ahead.behind.as_ref();
            let page = deps
                .schedule
                .due_behind(deps.network, shard, behind, now, PAGE.into())
                .await?;
            let Some(last) = page.last().map(|found| found.key.clone()) else {
                return Ok(());
            };
            let (left, page): (Vec<_>, Vec<_>) = page.into_iter().partition(|found| needs_place(found, now));
            // A message whose record says `queued` already, since a process ended right after that, is handed over all the same.
            // It takes room of its instance.
            self.rooms.look(&page, now).await?;
            let handing: Vec<_> = page.iter().map(|found| self.hand_over_one(found)).collect();
            let done: Vec<_> = futures::stream::iter(handing)
                .buffer_unordered(LANES_AT_ONCE)
                .collect()
                .await;
            self.ahead.behind = Some(last);
            for done in done {
                match done {
                    Ok(()) => *handed += 1,
                    Err(error) => {
                        debug!(%shard, error = %chain(&error), "what needs no place in the queue is done later");
                        self.ahead.note(now);
                    }
                }
            }
            let left = left.iter().filter_map(|found| found.entry.as_ref().ok());
            let expiries = left.filter(|entry| entry.subscription.is_some());
            if let Some(next) = expiries.map(|entry| entry.expires_at).min() {
                self.ahead.note(next);
            }
        }
    }

    /// Hands the messages of a lane over, up to what stops that. Where only the instance's room does, those behind it go that
    /// wait already.
    async fn hand_over_lane(&self, name: &str, lane: &[Found]) -> Read {
        let mut read = Read {
            lane: name.to_owned(),
            left: Vec::new(),
            error: None,
        };
        for (place, found) in lane.iter().enumerate() {
            if read.error.is_some() && !was_put_off(found) {
                read.left.push(place);
                continue;
            }
            let Err(error) = self.hand_over_one(found).await else {
                continue;
            };
            let has_no_room = matches!(error, NotNow::InstanceFull);
            read.error = Some(error);
            read.left.push(place);
            if !has_no_room {
                read.left.extend(place + 1..lane.len());
                break;
            }
        }
        read
    }

    /// Tells of messages that are kept back and whose time has run out.
    async fn expire(&mut self) {
        let expired = self.kept_back.expired(self.deps.clock.now(), PAGE.into());
        let this = &*self;
        let telling = expired.into_iter().map(|(lane, place)| async move {
            let told = this.hand_over_kept(&place).await;
            (lane, place.message, told)
        });
        let told: Vec<_> = futures::stream::iter(telling)
            .buffer_unordered(LANES_AT_ONCE)
            .collect()
            .await;
        for (lane, message, told) in told {
            if let Err(error) = &told {
                debug!(message.id = %message, error = %chain(error), "a message that has expired is told of later");
            }
            self.kept_back.told(&lane, message, told.is_ok());
        }
    }

    /// Looks again at some of what is kept back, when it is time for that.
    async fn look_again(&mut self, handed: &mut usize) {
        if self.to_look_at.is_empty() {
            if self.again.is_none_or(|again| again > Instant::now()) {
                return;
            }
            self.kept_back.try_again();
            self.to_look_at = self.kept_back.lanes();
            self.has_moved = false;
        }
        self.again = None;
        let some = LANES_AGAIN.min(self.to_look_at.len());
        let names: Vec<_> = self.to_look_at.drain(..some).collect();
        let lanes: Vec<_> = names
            .iter()
            .filter_map(|name| self.kept_back.again(name, MESSAGES_AGAIN))
            .collect();
        let owners = lanes
            .iter()
            .filter_map(|lane| Some((lane.subscription?, lane.instance?)));
        let owners: Vec<_> = owners.collect();
        // What goes is counted as it goes.
        let coming = usize::from(!lanes.is_empty());
        if let Err(error) = self.rooms.look_for(&owners, coming).await {
            debug!(shard = %self.hold.shard, error = %chain(&error), "what is kept back stays");
            // They are the first when there is room.
            for name in names.into_iter().rev() {
                self.to_look_at.push_front(name);
            }
            self.found_full();
            return;
        }
        let handing: Vec<_> = lanes.iter().map(|lane| self.hand_over_again(lane)).collect();
        let done: Vec<_> = futures::stream::iter(handing)
            .buffer_unordered(LANES_AT_ONCE)
            .collect()
            .await;
        for Done { lane, gone, error } in done {
            *handed += gone;
            self.rooms.sent(gone);
            self.has_moved |= gone > 0 && self.kept_back.was_failing(&lane);
            self.kept_back.gone(&lane, gone);
            let is_stopped = error.is_some();
            if let Some(error) = error {
                debug!(shard = %self.hold.shard, error = %chain(&error), "a lane is still kept back");
                self.kept_back.keep(&lane, matches!(error, NotNow::InstanceFull));
            }
            if gone == 0 {
                continue;
            }
            for half in self.kept_back.turns(&lane) {
                let has_stopped = is_stopped && half == lane;
                if !has_stopped && !self.to_look_at.contains(&half) {
                    self.to_look_at.push_back(half);
                }
            }
        }
        if self.has_moved {
            self.pause = FIRST_PAUSE;
        }
    }

    /// The same as of a lane that was just read. What has no room is not read for that.
    async fn hand_over_again(&self, again: &Again) -> Done {
        for (gone, place) in again.places.iter().enumerate() {
            let has_room = again
                .instance
                .is_none_or(|instance| self.rooms.has_room(instance));
            let handed = if place.needs_room && !has_room {
                Err(NotNow::InstanceFull)
            } else {
                self.hand_over_kept(place).await
            };
            if let Err(error) = handed {
                return stopped(&again.lane, gone, error);
            }
        }
        Done {
            lane: again.lane.clone(),
            gone: again.places.len(),
            error: None,
        }
    }

    /// Reads a message that was kept back, and hands it over. It may have been taken back.
    async fn hand_over_kept(&self, place: &Place) -> Result<(), NotNow> {
        let (deps, shard) = (self.deps, self.hold.shard);
        let found = deps.schedule.get(deps.network, shard, place.at, place.message);
        match found.await? {
            Some(found) => self.hand_over_one(&found).await,
            None => Ok(()),
        }
    }
}

fn stopped(lane: &str, gone: usize, error: NotNow) -> Done {
    Done {
        lane: lane.to_owned(),
        gone,
        error: Some(error),
    }
}

fn lane_of(found: &Found) -> String {
    let entry = found.entry.as_ref().ok();
    let job = entry.and_then(|entry| entry.job.as_ref());
    // What has no job has no order to keep.
    job.map_or_else(|| found.key.sk.clone(), |job| job.group.clone())
}

/// Whether a message was put off. Such a message waits already, and needs no room of its instance.
fn was_put_off(found: &Found) -> bool {
    let entry = found.entry.as_ref().ok();
    entry.is_some_and(|entry| entry.job.is_some() && entry.subscription.is_none())
}

/// What a message is kept back as.
fn kept_as(found: &Found) -> String {
    let lane = lane_of(found);
    if was_put_off(found) {
        of_waiting(&lane)
    } else {
        lane
    }
}
