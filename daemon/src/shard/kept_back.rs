//! What was read of the due index and could not be handed over: by lanes, and only where it is.
//!
//! So each of these messages is read once more, when there is room for it, and not each time that somebody looks whether
//! there is; and each is known whose time to be sent runs out meanwhile. Of a lane with many of them the first are remembered.
//! The others stay behind those in the index, which is read anew for them when these are gone.
//!
//! The messages of a lane that were put off are kept back by themselves. They wait already, and where the instance is full only
//! they can make room: so they pass those that have none. Else the two keep their order.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::ids::{InstanceId, MessageId, SubscriptionId};
use shared::storage::schedule::Found;
use tokio::time::Instant;

/// How many places of one lane are remembered, and how many where [`MOST`] are already.
const MOST_OF_LANE: usize = 256;
const LEAST_OF_LANE: usize = 8;

/// How many places of a shard are remembered. Each takes some 60 bytes.
const MOST: usize = 20_000;

/// How many lanes may be kept back before nothing is read on behind them.
const MOST_LANES: usize = 10_000;

/// How often the index is read anew for what is not remembered, where all is gone that was.
const READ_ANEW: Duration = Duration::from_mins(2);

/// The same where something is left. By then a message that is not remembered is told as expired, and one is found that was put
/// before what was read, and of which nobody told.
const READ_ANEW_AT_LAST: Duration = Duration::from_mins(15);

/// What follows the name of a lane in the name of its messages that were put off.
const WAITING: char = '~';

/// What the messages of a lane are kept back as that were put off.
pub fn of_waiting(lane: &str) -> String {
    format!("{lane}{WAITING}")
}

/// What the other messages of the same lane are kept back as.
fn others(name: &str) -> String {
    name.strip_suffix(WAITING)
        .map_or_else(|| of_waiting(name), str::to_owned)
}

/// Where a message is that is kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When it was due.
    pub at: DateTime<Utc>,
    /// The message.
    pub message: MessageId,
    /// Whether it takes its instance's room: it is not among those that wait yet.
    pub needs_room: bool,
    /// Until when it is worth sending.
    pub expires_at: DateTime<Utc>,
    /// Whether it was tried in vain to tell that it has expired.
    is_tried: bool,
}

/// A lane that is kept back.
#[derive(Debug)]
struct Lane {
    instance: Option<InstanceId>,
    /// Of the messages that need its instance's room.
    subscription: Option<SubscriptionId>,
    /// The first of its messages, in their order.
    places: VecDeque<Place>,
    /// Whether the index has more of it, behind these.
    has_more: bool,
    /// Whether only because its instance is full.
    is_full: bool,
}

/// What is kept back of a shard.
#[derive(Debug)]
pub struct KeptBack {
    lanes: HashMap<String, Lane>,
    places: usize,
    /// When the index was read from its front.
    read_at: Instant,
}

/// A lane that is looked at again.
#[derive(Debug)]
pub struct Again {
    /// Its name.
    pub lane: String,
    /// Whose it is.
    pub instance: Option<InstanceId>,
    /// Of those of its messages that need room.
    pub subscription: Option<SubscriptionId>,
    /// The first of its messages.
    pub places: Vec<Place>,
}

impl Place {
    fn of(found: &Found) -> Option<Self> {
        let entry = found.entry.as_ref().ok()?;
        Some(Self {
            at: entry.at,
            message: entry.message,
            needs_room: entry.subscription.is_some() && entry.job.is_some(),
            expires_at: entry.expires_at,
            is_tried: false,
        })
    }

    /// What the messages of a lane are handed over by.
    fn order(&self) -> (DateTime<Utc>, MessageId) {
        (self.at, self.message)
    }

    /// Whether it goes before those that are kept back of `lane`; `false` where none of them is remembered.
    fn goes_before(&self, lane: &Lane) -> bool {
        let first = lane.places.front();
        first.is_some_and(|first| self.order() < first.order())
    }

    /// Whether it is to be told that its time has run out. One that was put off waits already, and goes to its lane for that.
    fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.needs_room && !self.is_tried && self.expires_at <= now
    }
}

impl KeptBack {
    /// Nothing is kept back, and the index is read from its front at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            lanes: HashMap::new(),
            places: 0,
            read_at: now,
        }
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Whether so many lanes are that nothing is to be read on behind them.
    pub fn is_full(&self) -> bool {
        self.lanes.len() >= MOST_LANES
    }

    /// Whether this lane is.
    pub fn has(&self, lane: &str) -> bool {
        self.lanes.contains_key(lane)
    }

    /// Whether a message of this lane waits for others of it that are kept back. One that was put off passes those that only have
    /// no room.
    pub fn holds(&self, lane: &str, was_put_off: bool) -> bool {
        let passes = |lane: &Lane| was_put_off && lane.is_full;
        self.has(&of_waiting(lane)) || self.lanes.get(lane).is_some_and(|lane| !passes(lane))
    }

    /// Whether a lane was kept back before for something else than a full instance.
    pub fn was_failing(&self, lane: &str) -> bool {
        self.lanes.get(lane).is_some_and(|lane| !lane.is_full)
    }

    /// Keeps a lane back, or still: only because its instance is full, or not.
    pub fn keep(&mut self, lane: &str, is_full: bool) {
        let lane = self.lanes.entry(lane.to_owned()).or_insert_with(|| Lane {
            instance: None,
            subscription: None,
            places: VecDeque::new(),
            has_more: false,
            is_full,
        });
        lane.is_full = is_full;
    }

    /// Remembers where a message of a lane is that is kept back. It may be known already.
    pub fn add(&mut self, lane: &str, found: &Found) {
        let Some(lane) = self.lanes.get_mut(lane) else {
            return;
        };
        let most = if self.places < MOST {
            MOST_OF_LANE
        } else {
            LEAST_OF_LANE
        };
        // What cannot be read has no place.
        let (Some(place), Ok(entry)) = (Place::of(found), &found.entry) else {
            lane.has_more = true;
            return;
        };
        let Err(at) = lane.places.binary_search_by_key(&place.order(), Place::order) else {
            return;
        };
        if at == lane.places.len() && (lane.has_more || at >= most) {
            // Nor has what lies behind something that is not remembered.
            lane.has_more = true;
            return;
        }
        lane.instance = Some(entry.instance);
        lane.subscription = lane.subscription.or(entry.subscription);
        lane.places.insert(at, place);
        self.places += 1;
        if lane.places.len() > MOST_OF_LANE {
            lane.places.pop_back();
            lane.has_more = true;
            self.places -= 1;
        }
    }

    /// The lanes that have messages to look at again, those first whose messages were due first.
    pub fn lanes(&self) -> VecDeque<String> {
        let mut lanes: Vec<_> = self
            .lanes
            .iter()
            .filter_map(|(name, lane)| Some((lane.places.front()?.at, name)))
            .collect();
        lanes.sort_unstable();
        lanes.into_iter().map(|(_, name)| name.clone()).collect()
    }

    /// A lane with its first messages whose turn it is, `most` at most; `None` where there is none.
    pub fn again(&self, name: &str, most: usize) -> Option<Again> {
        let lane = self.lanes.get(name)?;
        let before = self
            .lanes
            .get(&others(name))
            .filter(|others| !(name.ends_with(WAITING) && others.is_full));
        let turn = |place: &&Place| before.is_none_or(|before| place.goes_before(before));
        let places: Vec<_> = lane.places.iter().take_while(turn).take(most).copied().collect();
        (!places.is_empty()).then(|| Again {
            lane: name.to_owned(),
            instance: lane.instance,
            subscription: lane.subscription,
            places,
        })
    }

    /// The halves of a lane that have messages whose turn it is, given the name of one: what was put off, and the others.
    pub fn turns(&self, name: &str) -> Vec<String> {
        let mut halves = vec![name.to_owned(), others(name)];
        halves.retain(|half| self.again(half, 1).is_some());
        halves
    }

    /// The first messages of a lane, so many, are gone. A lane of which the index has no more is not kept back from then on.
    pub fn gone(&mut self, name: &str, count: usize) {
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        let count = count.min(lane.places.len());
        lane.places.drain(..count);
        self.places -= count;
        if lane.places.is_empty() && !lane.has_more {
            self.lanes.remove(name);
        }
    }

    /// Messages whose time to be sent has run out, `most` at most, each with its lane and its instance.
    pub fn expired(&self, now: DateTime<Utc>, most: usize) -> Vec<(String, Place)> {
        let lanes = self.lanes.iter().flat_map(|(name, lane)| {
            let expired = lane.places.iter().filter(|place| place.has_expired(now));
            expired.map(|place| (name.clone(), *place))
        });
        lanes.take(most).collect()
    }

    /// When the time of the next message runs out.
    pub fn next_expiry(&self) -> Option<DateTime<Utc>> {
        let places = self.lanes.values().flat_map(|lane| &lane.places);
        let untold = places.filter(|place| place.needs_room && !place.is_tried);
        untold.map(|place| place.expires_at).min()
    }

    /// It was told that this message has expired, and it is gone; or that could not be told now.
    pub fn told(&mut self, name: &str, message: MessageId, is_told: bool) {
        let Some(lane) = self.lanes.get_mut(name) else {
            return;
        };
        let Some(at) = lane.places.iter().position(|place| place.message == message) else {
            return;
        };
        if !is_told {
            lane.places[at].is_tried = true;
            return;
        }
        lane.places.remove(at);
        self.places -= 1;
        if lane.places.is_empty() && !lane.has_more {
            self.lanes.remove(name);
        }
    }

    /// Those that could not be told as expired are tried again.
    pub fn try_again(&mut self) {
        let places = self.lanes.values_mut().flat_map(|lane| &mut lane.places);
        places.for_each(|place| place.is_tried = false);
    }

    /// How long until the index is to be read from its front; `None` where nothing is kept back.
    pub fn until_read_anew(&self, now: Instant) -> Option<Duration> {
        let is_used_up = |lane: &Lane| lane.has_more && lane.places.is_empty();
        let term = if self.is_empty() {
            return None;
        } else if self.lanes.values().any(is_used_up) {
            READ_ANEW
        } else {
            READ_ANEW_AT_LAST
        };
        Some((self.read_at + term).saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests;
