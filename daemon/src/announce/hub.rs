//! The realtime way out: the last events of this process and, where several daemons tell each other, of all of them.
//!
//! It is ephemeral, and nobody waits for it. A ring of [`KEPT`] events and [`KEPT_BYTES`] stands in memory; where it is full
//! the oldest goes, and is counted. Each event has a place, counted from the first. Who resumes from an event that has gone
//! is told so, and starts afresh. What is told again is there once.
//!
//! Where events of other daemons may be missing a new epoch begins: nobody resumes from before it, and whoever follows is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use shared::ids::{EventId, SubscriptionId};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

pub use super::shown::{MAX_BYTES, Origin, Shown};

/// How many events the hub of a process keeps.
pub const KEPT: usize = 4_096;

/// How many bytes they have together, as JSON.
pub const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// For how long somebody counts as following a subscription after that was noted last. So a client that is away for a moment
/// misses nothing of what is made for followers alone.
const FOLLOWED: Duration = Duration::from_mins(5);

/// After how long without a follower nobody resumes from before. It is shorter, since other daemons may have noted the last
/// follower some seconds earlier than this one, and make nothing for it any more.
const RESUMABLE: Duration = Duration::from_mins(4);

/// How far apart two events may come here that came to another daemon in the other order: a way that takes longer counts as
/// broken, and a new epoch begins.
const CROSSING: Duration = Duration::from_secs(15);

/// How many subscriptions that are followed are remembered.
const MOST_FOLLOWED: usize = 65_536;

/// The events that were asked for next have gone, or were never here: start afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the events behind this one are not kept any more")]
pub struct Gone;

/// The last events, oldest first.
#[derive(Debug)]
pub struct Hub {
    ring: Mutex<Ring>,
    came: Notify,
    kept: usize,
    kept_bytes: usize,
    followed: Mutex<HashMap<SubscriptionId, Followed>>,
}

/// That somebody follows a subscription.
#[derive(Debug, Clone, Copy)]
struct Followed {
    /// When that was noted last.
    at: Instant,
    /// The place from which on everything is there that is made for followers alone.
    since: u64,
}

impl Followed {
    fn lasts(self, now: Instant) -> bool {
        now.duration_since(self.at) < FOLLOWED
    }

    /// As it is noted again.
    fn again(self, now: Instant, end: u64) -> Self {
        let is_whole = now.duration_since(self.at) < RESUMABLE;
        let since = if is_whole { self.since } else { end };
        Self { at: now, since }
    }
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Kept>,
    /// The place of the first of them.
    first: u64,
    /// Which epoch it is, and the place with which it began.
    epoch: u64,
    began: u64,
    places: HashMap<EventId, u64>,
    bytes: usize,
    dropped: u64,
}

/// An event, and when it came.
#[derive(Debug)]
struct Kept {
    shown: Arc<Shown>,
    came_at: Instant,
}

impl Kept {
    /// Whether another daemon may have had this one behind `other`, which came after it here. Of events of this process all
    /// daemons know the order.
    fn may_cross(&self, other: &Self) -> bool {
        self.shown.origin == Origin::Elsewhere || other.shown.origin == Origin::Elsewhere
    }
}

impl Ring {
    fn end(&self) -> u64 {
        self.first + u64::try_from(self.events.len()).unwrap_or(u64::MAX)
    }

    fn drop_first(&mut self) {
        if let Some(Kept { shown, .. }) = self.events.pop_front() {
            self.places.remove(&shown.id);
            self.bytes -= shown.bytes;
            self.first += 1;
        }
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::keeping(KEPT, KEPT_BYTES)
    }
}

impl Hub {
    /// A hub that keeps the last `kept` events, of `kept_bytes` together.
    pub fn keeping(kept: usize, kept_bytes: usize) -> Self {
        Self {
            ring: Mutex::default(),
            came: Notify::new(),
            kept: kept.max(1),
            kept_bytes,
            followed: Mutex::default(),
        }
    }

    /// Shows an event. One that is there already is not shown again: it was told again.
    pub fn show(&self, shown: Shown) {
        self.show_at(shown, Instant::now());
    }

    fn show_at(&self, shown: Shown, came_at: Instant) {
        let mut ring = self.ring();
        let place = ring.end();
        if ring.places.contains_key(&shown.id) {
            return;
        }
        ring.places.insert(shown.id, place);
        ring.bytes += shown.bytes;
        let shown = Arc::new(shown);
        ring.events.push_back(Kept { shown, came_at });
        while ring.events.len() > self.kept || (ring.bytes > self.kept_bytes && ring.events.len() > 1) {
            ring.drop_first();
            ring.dropped += 1;
        }
        drop(ring);
        self.came.notify_waiters();
    }

    /// Begins another epoch, since events that others told may be missing.
    pub fn start_afresh(&self) {
        let mut ring = self.ring();
        ring.epoch += 1;
        ring.began = ring.end();
        drop(ring);
        self.came.notify_waiters();
    }

    /// Which epoch it is.
    pub fn epoch(&self) -> u64 {
        self.ring().epoch
    }

    /// The events behind this one, or all that are kept.
    pub fn after(&self, event: Option<EventId>) -> Result<Vec<Arc<Shown>>, Gone> {
        let ring = self.ring();
        let from = match event {
            None => ring.first,
            Some(id) => *ring.places.get(&id).ok_or(Gone)? + 1,
        };
        Ok(ring.from(from, usize::MAX))
    }

    /// The place from which somebody goes on who follows this subscription and has this event of this epoch: nothing is missing
    /// from there on, also of what is made for followers alone. It is the place behind the event, or an earlier one where another
    /// daemon, at which the event was heard, may have had what came before it here only after it.
    pub fn place_behind(&self, event: EventId, subscription: SubscriptionId) -> Result<u64, Gone> {
        let since = self.followed().get(&subscription).ok_or(Gone)?.since;
        let ring = self.ring();
        let place = *ring.places.get(&event).ok_or(Gone)?;
        if place < ring.began.max(since) {
            return Err(Gone);
        }
        Ok(ring.first_crossing(place, subscription).unwrap_or(place + 1))
    }

    /// The place of the next event that comes.
    pub fn end(&self) -> u64 {
        self.ring().end()
    }

    /// Up to `most` events from this place on.
    pub fn from(&self, place: u64, most: usize) -> Result<Vec<Arc<Shown>>, Gone> {
        let ring = self.ring();
        if place < ring.first {
            return Err(Gone);
        }
        Ok(ring.from(place, most))
    }

    /// Ends with the next event from now on, whenever it is waited for: asked for before a look at [`Self::from`], it misses
    /// none.
    pub fn came(&self) -> Notified<'_> {
        self.came.notified()
    }

    /// How many events had to go for later ones.
    pub fn dropped(&self) -> u64 {
        self.ring().dropped
    }

    /// Notes that somebody follows these subscriptions, here or at another daemon.
    pub fn follow(&self, subscriptions: impl IntoIterator<Item = SubscriptionId>) {
        self.follow_at(subscriptions, Instant::now());
    }

    fn follow_at(&self, subscriptions: impl IntoIterator<Item = SubscriptionId>, now: Instant) {
        let end = self.end();
        let mut followed = self.followed();
        followed.retain(|_, followed| followed.lasts(now));
        for subscription in subscriptions {
            if let Some(before) = followed.get_mut(&subscription) {
                *before = before.again(now, end);
            } else if followed.len() < MOST_FOLLOWED {
                followed.insert(subscription, Followed { at: now, since: end });
            }
        }
    }

    /// Whether somebody follows this subscription.
    pub fn is_followed(&self, subscription: SubscriptionId) -> bool {
        self.is_followed_at(subscription, Instant::now())
    }

    fn is_followed_at(&self, subscription: SubscriptionId, at: Instant) -> bool {
        let followed = self.followed().get(&subscription).copied();
        followed.is_some_and(|followed| followed.lasts(at))
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<SubscriptionId, Followed>> {
        self.followed.lock().expect("no holder panics")
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().expect("no holder panics")
    }
}

impl Ring {
    fn from(&self, place: u64, most: usize) -> Vec<Arc<Shown>> {
        let events = self.events.iter().skip(self.index(place)).take(most);
        events.map(|kept| Arc::clone(&kept.shown)).collect()
    }

    /// The place of the first event of this subscription before the one of this place that another daemon may have had behind it.
    fn first_crossing(&self, place: u64, subscription: SubscriptionId) -> Option<u64> {
        let event = self.events.get(self.index(place))?;
        let before = (self.first..place)
            .rev()
            .zip(self.events.range(..self.index(place)).rev());
        before
            .take_while(|(_, kept)| event.came_at.duration_since(kept.came_at) <= CROSSING)
            .filter(|(_, kept)| kept.shown.subscription == subscription && kept.may_cross(event))
            .map(|(place, _)| place)
            .last()
    }

    fn index(&self, place: u64) -> usize {
        usize::try_from(place.saturating_sub(self.first)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shown::tests::shown;
    use super::*;

    fn ids(events: &[Arc<Shown>]) -> Vec<EventId> {
        events.iter().map(|event| event.id).collect()
    }

    #[test]
    fn the_ring_is_bounded_and_says_what_has_gone() {
        let hub = Hub::keeping(3, KEPT_BYTES);
        let told: Vec<_> = (0..5).map(shown).collect();
        for shown in &told {
            hub.show(shown.clone());
        }
        let wanted: Vec<_> = told[2..].iter().map(|shown| shown.id).collect();
        assert_eq!(ids(&hub.after(None).expect("all")), wanted);
        assert_eq!(ids(&hub.after(Some(wanted[0])).expect("behind it")), wanted[1..]);
        assert!(hub.after(Some(wanted[2])).expect("behind it").is_empty());
        assert!(hub.after(Some(told[1].id)).is_err());
        assert_eq!(hub.dropped(), 2);
        assert_eq!(hub.end(), 5);
        assert_eq!(ids(&hub.from(3, 1).expect("kept")), [wanted[1]]);
        assert!(hub.from(1, 9).is_err());
    }

    #[test]
    fn bytes_are_bounded_as_well() {
        let bytes = shown(0).bytes;
        let hub = Hub::keeping(100, 3 * bytes);
        for n in 0..10 {
            hub.show(shown(n));
        }
        assert_eq!(hub.after(None).expect("all").len(), 3);
        assert_eq!(hub.dropped(), 7);
    }

    #[test]
    fn what_is_told_again_is_there_once() {
        let hub = Hub::keeping(3, KEPT_BYTES);
        for n in [0, 1, 0, 1, 0] {
            hub.show(shown(n));
        }
        assert_eq!(ids(&hub.after(None).expect("all")), [shown(0).id, shown(1).id]);
        assert_eq!(hub.dropped(), 0);
    }

    #[test]
    fn nobody_resumes_from_before_an_epoch() {
        let hub = Hub::default();
        let whose = shown(0).subscription;
        hub.follow([whose]);
        hub.show(shown(0));
        let place = hub.end();
        assert_eq!((hub.place_behind(shown(0).id, whose), hub.epoch()), (Ok(1), 0));
        hub.start_afresh();
        assert_eq!(
            (hub.place_behind(shown(0).id, whose), hub.epoch()),
            (Err(Gone), 1)
        );
        hub.show(shown(1));
        assert_eq!(hub.place_behind(shown(1).id, whose), Ok(2));
        // What has come all the same is told.
        assert_eq!(ids(&hub.from(place, 9).expect("kept")), [shown(1).id]);
    }

    #[test]
    fn whoever_comes_from_another_daemon_is_told_what_may_have_crossed() {
        let (hub, now) = (Hub::default(), Instant::now());
        let (whose, other) = (shown(0).subscription, SubscriptionId::from_bytes([1; 16]));
        hub.follow([whose]);
        let of = |n, subscription| Shown {
            subscription,
            ..shown(n)
        };
        hub.show_at(of(0, whose).from_elsewhere(), now);
        hub.show_at(of(1, other).from_elsewhere(), now + CROSSING);
        hub.show_at(of(2, whose), now + CROSSING);
        hub.show_at(of(3, whose), now + CROSSING);
        hub.show_at(of(4, whose).from_elsewhere(), now + 2 * CROSSING);
        hub.show_at(of(5, whose), now + 3 * CROSSING + Duration::from_secs(1));
        let behind = |n| hub.place_behind(shown(n).id, whose).expect("kept");
        assert_eq!(behind(0), 1, "nothing came before");
        assert_eq!(behind(3), 0, "the first came from elsewhere");
        assert_eq!(
            behind(4),
            2,
            "and so did this one; what is of others does not matter"
        );
        assert_eq!(behind(5), 6, "all others came long before");
        // Where there are no others nothing is told twice.
        let alone = Hub::default();
        alone.follow([whose]);
        alone.show_at(of(0, whose), now);
        alone.show_at(of(1, whose), now);
        assert_eq!(alone.place_behind(shown(1).id, whose), Ok(2));
    }

    #[tokio::test]
    async fn whoever_asks_before_it_looks_misses_nothing() {
        let hub = Hub::default();
        let came = hub.came();
        hub.show(shown(0));
        came.await;
        assert_eq!(ids(&hub.after(None).expect("all")), [shown(0).id]);
    }

    #[test]
    fn a_subscription_is_followed_for_a_while() {
        let hub = Hub::default();
        let subscription = SubscriptionId::from_bytes([1; 16]);
        assert!(!hub.is_followed(subscription));
        hub.follow([subscription]);
        assert!(hub.is_followed(subscription));
        let later = Instant::now() + FOLLOWED;
        assert!(!hub.is_followed_at(subscription, later));
    }

    #[test]
    fn nobody_resumes_over_a_time_in_which_nothing_was_made_for_followers() {
        let (hub, now) = (Hub::default(), Instant::now());
        let whose = shown(0).subscription;
        hub.show(shown(0));
        let behind = |n| hub.place_behind(shown(n).id, whose);
        assert_eq!(behind(0), Err(Gone), "nobody follows");
        hub.follow_at([whose], now);
        assert_eq!(behind(0), Err(Gone), "nobody followed then");
        hub.show(shown(1));
        let soon = now + RESUMABLE / 2;
        hub.follow_at([whose], soon);
        assert_eq!(behind(1), Ok(2), "somebody was away for a moment");
        // Nothing has come since, which does not say that nothing has happened.
        hub.follow_at([whose], soon + RESUMABLE);
        assert_eq!(behind(1), Err(Gone));
        hub.show(shown(2));
        assert_eq!(behind(2), Ok(3));
        hub.follow_at([whose], soon + RESUMABLE + FOLLOWED);
        assert_eq!(behind(2), Err(Gone));
    }
}
