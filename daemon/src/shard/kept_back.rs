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
mod tests {
    use chrono::TimeDelta;
    use shared::domain::network::Network;
    use shared::domain::shard::Shard;
    use shared::storage::keys;
    use shared::storage::schedule::{Entry, QueuedLater};

    use super::*;

    const LANE: &str = "a lane";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn id(number: u32) -> MessageId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        MessageId::from_bytes(bytes)
    }

    /// A message that was due in this second, and expires ten seconds later.
    fn found(lane: &str, number: u32, waits_already: bool) -> Found {
        let due = at(number.into());
        let entry = Entry {
            at: due,
            message: id(number),
            instance: InstanceId::from_bytes([1; 16]),
            subscription: (!waits_already).then(|| SubscriptionId::from_bytes([2; 16])),
            expires_at: due + TimeDelta::seconds(10),
            job: Some(QueuedLater {
                group: lane.to_owned(),
                body: String::new(),
            }),
        };
        Found {
            key: keys::due(Network::Sandbox, Shard(0), due, id(number)),
            entry: Ok(entry),
            body: None,
        }
    }

    fn kept(lane: &str, count: u32) -> KeptBack {
        let mut kept = KeptBack::new(Instant::now());
        kept.keep(lane, true);
        for number in 0..count {
            kept.add(lane, &found(lane, number, false));
        }
        kept
    }

    fn messages(kept: &KeptBack, lane: &str) -> Vec<MessageId> {
        let again = kept.again(lane, usize::MAX).expect("a lane");
        again.places.iter().map(|place| place.message).collect()
    }

    #[test]
    fn a_lane_is_kept_back_until_all_of_it_is_gone() {
        let mut kept = kept(LANE, 3);
        assert!(kept.has(LANE) && !kept.was_failing(LANE));
        assert_eq!(messages(&kept, LANE), [id(0), id(1), id(2)]);
        kept.gone(LANE, 2);
        assert_eq!(messages(&kept, LANE), [id(2)]);
        kept.keep(LANE, false);
        assert!(kept.was_failing(LANE));
        kept.gone(LANE, 1);
        assert!(kept.is_empty() && kept.places == 0);
        assert_eq!(kept.until_read_anew(Instant::now()), None);
    }

    #[test]
    fn what_was_put_off_passes_what_has_no_room_and_nothing_else() {
        let mut kept = kept(LANE, 1);
        let put_off = of_waiting(LANE);
        assert!(kept.holds(LANE, false) && !kept.holds(LANE, true));
        kept.keep(&put_off, false);
        kept.add(&put_off, &found(LANE, 1, true));
        kept.add(LANE, &found(LANE, 2, false));
        assert_eq!(messages(&kept, &put_off), [id(1)]);
        assert_eq!(messages(&kept, LANE), [id(0)], "the next one is behind the other");
        assert!(kept.holds(LANE, true), "those that were put off keep their order");
        kept.keep(LANE, false);
        assert!(
            kept.again(&put_off, 9).is_none(),
            "it is not the room that is missing"
        );
        kept.gone(LANE, 1);
        assert_eq!(messages(&kept, &put_off), [id(1)]);
        assert!(kept.again(LANE, 9).is_none());
        kept.gone(&put_off, 1);
        assert_eq!(messages(&kept, LANE), [id(2)]);
        assert!(!kept.has(&put_off) && kept.holds(LANE, true));
    }

    /// They may alternate, and each has its turn as soon as the one before it is gone.
    #[test]
    fn when_one_half_of_a_lane_has_moved_the_other_has_its_turn() {
        let mut kept = kept(LANE, 1);
        let put_off = of_waiting(LANE);
        kept.keep(LANE, false);
        kept.keep(&put_off, false);
        kept.add(&put_off, &found(LANE, 1, true));
        kept.add(LANE, &found(LANE, 2, false));
        kept.add(&put_off, &found(LANE, 3, true));
        assert_eq!(kept.turns(LANE), [LANE]);
        kept.gone(LANE, 1);
        assert_eq!(kept.turns(LANE), [put_off.as_str()]);
        kept.gone(&put_off, 1);
        assert_eq!(kept.turns(&put_off), [LANE]);
        kept.gone(LANE, 1);
        assert_eq!(kept.turns(LANE), [put_off.as_str()]);
        kept.gone(&put_off, 1);
        assert!(kept.turns(&put_off).is_empty() && kept.is_empty());
    }

    #[test]
    fn lanes_are_looked_at_in_the_order_of_their_messages() {
        let mut kept = kept("late", 1);
        kept.gone("late", 1);
        for (lane, number) in [("late", 9), ("early", 3)] {
            kept.keep(lane, true);
            kept.add(lane, &found(lane, number, false));
        }
        assert_eq!(kept.lanes(), ["early", "late"]);
    }

    #[test]
    fn of_many_the_first_are_remembered_and_the_index_is_read_anew_for_the_others() {
        let most = u32::try_from(MOST_OF_LANE).expect("few");
        let mut kept = kept(LANE, most + 5);
        assert_eq!(messages(&kept, LANE).len(), MOST_OF_LANE);
        let now = kept.read_at;
        assert_eq!(kept.until_read_anew(now), Some(READ_ANEW_AT_LAST));
        kept.gone(LANE, 1);
        kept.add(LANE, &found(LANE, most + 6, false));
        assert_eq!(
            messages(&kept, LANE).len(),
            MOST_OF_LANE - 1,
            "what lies between is not known"
        );
        kept.gone(LANE, MOST_OF_LANE);
        assert!(kept.has(LANE), "the index has more of it");
        assert_eq!(kept.until_read_anew(now), Some(READ_ANEW));
        assert_eq!(kept.until_read_anew(now + READ_ANEW), Some(Duration::ZERO));
        assert!(kept.lanes().is_empty());
    }

    /// The index is read again from a time of which somebody told.
    #[test]
    fn what_is_known_is_not_remembered_twice_and_what_comes_between_has_its_place() {
        let mut kept = KeptBack::new(Instant::now());
        kept.keep(LANE, true);
        for number in [1, 5, 3, 1, 5] {
            kept.add(LANE, &found(LANE, number, false));
        }
        assert_eq!(messages(&kept, LANE), [id(1), id(3), id(5)]);
        assert_eq!(kept.places, 3);
    }

    #[test]
    fn where_much_is_remembered_each_lane_has_a_few_places_all_the_same() {
        let mut kept = KeptBack::new(Instant::now());
        let lanes = MOST / MOST_OF_LANE + 2;
        for lane in 0..lanes {
            let name = lane.to_string();
            kept.keep(&name, true);
            for number in 0..u32::try_from(MOST_OF_LANE).expect("few") {
                kept.add(&name, &found(&name, number, false));
            }
        }
        let last = (lanes - 1).to_string();
        assert_eq!(messages(&kept, &last).len(), LEAST_OF_LANE);
        assert!(kept.places <= MOST + MOST_OF_LANE);
    }

    #[test]
    fn what_expires_is_known_and_told_once() {
        let mut kept = kept(LANE, 3);
        kept.add(LANE, &found(LANE, 3, true));
        assert_eq!(kept.next_expiry(), Some(at(10)));
        assert_eq!(kept.expired(at(9), 9), []);
        let expired = kept.expired(at(60), 9);
        assert_eq!(expired.len(), 3, "one waits already, and its lane tells of it");
        kept.told(LANE, id(1), true);
        kept.told(LANE, id(0), false);
        assert_eq!(kept.next_expiry(), Some(at(12)));
        kept.try_again();
        assert_eq!(kept.next_expiry(), Some(at(10)));
        assert_eq!(messages(&kept, LANE), [id(0), id(2), id(3)]);
        assert_eq!(kept.places, 3);
    }
}
