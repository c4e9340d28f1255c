//! What the keeper and the watchdog share: until when this daemon counts itself as alive, and the fences that are
//! revoked when that time is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::domain::shard::Shard;
use shared::session_state::Fence;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A daemon that cannot beat stops this long before the end of its lease: long enough to drop its sockets.
pub(super) const STOP_MARGIN: Duration = Duration::from_millis(700);

/// Until when a daemon counts itself as alive, by what it knows of its own beats.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// How long a beat counts.
    term: Duration,
    /// The end of the last beat's term; `None` before the first, and once it has passed.
    until: Option<Instant>,
}

impl Life {
    /// Of a daemon whose shards others may take after a silence of `duration`.
    pub fn new(duration: Duration) -> Self {
        Self {
            term: duration.saturating_sub(STOP_MARGIN),
            until: None,
        }
    }

    /// A beat came through that began at `begun`. It counts from then, since another daemon may have seen it that
    /// early. Answers whether a life begins with it.
    pub fn beaten(&mut self, begun: Instant) -> bool {
        let revives = self.until.is_none();
        self.until = self.until.max(Some(begun + self.term));
        revives
    }

    /// Whether it lasts.
    pub fn lasts(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// It is over, until the next beat.
    pub fn end(&mut self) {
        self.until = None;
    }
}

/// Whether this daemon counts itself as alive. Clones share their state.
#[derive(Debug, Clone)]
pub(super) struct Vigil(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    revived: Notify,
    drained: Notify,
}

#[derive(Debug)]
struct State {
    life: Life,
    fences: BTreeMap<Shard, Fence>,
    draining: bool,
    counter: u64,
}

impl Vigil {
    /// For a daemon whose shards others may take after a silence of `duration`.
    pub fn new(duration: Duration) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                life: Life::new(duration),
                fences: BTreeMap::new(),
                draining: false,
                counter: 0,
            }),
            revived: Notify::new(),
            drained: Notify::new(),
        }))
    }

    /// The state, also behind a lock that a panic has poisoned: it still guards the fences.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next beat.
    pub fn next_beat(&self) -> u64 {
        let mut state = self.state();
        state.counter += 1;
        state.counter
    }

    /// A beat came through that began at `begun`.
    pub fn beaten(&self, begun: Instant) {
        if self.state().life.beaten(begun) {
            self.0.revived.notify_one();
        }
    }

    /// When the last beat's term ends; `None` where there is none to wait for.
    pub fn until(&self) -> Option<Instant> {
        self.state().life.until
    }

    /// Whether this daemon counts as alive.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.state().life.lasts(now)
    }

    /// Waits until it counts as alive again, or for the first time.
    pub async fn revived(&self) {
        self.0.revived.notified().await;
    }

    /// Guards a shard's fence from now on. Where this daemon does not count as alive the fence is
    /// revoked instead, and the answer is `false`.
    pub fn guard(&self, shard: Shard, fence: &Fence, now: Instant) -> bool {
        let mut state = self.state();
        if state.life.lasts(now) {
            state.fences.insert(shard, fence.clone());
            true
        } else {
            fence.revoke();
            false
        }
    }

    /// Stops guarding a shard's fence, under which nothing is written any more.
    pub fn dismiss(&self, shard: Shard) {
        self.state().fences.remove(&shard);
    }

    /// Revokes every fence if the last beat's term is over by now; answers how many there were.
    pub fn expire(&self, now: Instant) -> Option<usize> {
        let mut state = self.state();
        if state.life.lasts(now) {
            return None;
        }
        Some(Self::end(&mut state))
    }

    /// Revokes every fence, and lets this daemon count as dead until the next beat.
    pub fn revoke_all(&self) {
        Self::end(&mut self.state());
    }

    fn end(state: &mut State) -> usize {
        state.life.end();
        let live = state.fences.values().filter(|fence| !fence.is_revoked());
        let revoked = live.inspect(|fence| fence.revoke()).count();
        state.fences.clear();
        revoked
    }

    /// This daemon begins to hand over, and its beat is to say so at once.
    pub fn drain(&self) {
        self.state().draining = true;
        self.0.drained.notify_one();
    }

    /// Whether it hands over.
    pub fn is_draining(&self) -> bool {
        self.state().draining
    }

    /// Waits until it begins to hand over.
    pub async fn drained(&self) {
        self.0.drained.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(4);

    #[test]
    fn fences_fall_when_no_beat_has_come_through_for_too_long() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let vigil = Vigil::new(DURATION);
        let early = Fence::new(1);
        assert!(!vigil.guard(Shard(0), &early, at(0)), "it has not beaten yet");
        assert!(early.is_revoked());

        vigil.beaten(at(0));
        let fence = Fence::new(2);
        assert!(vigil.guard(Shard(0), &fence, at(10)));
        vigil.beaten(at(1_000));
        assert_eq!(vigil.until(), Some(at(4_300)));
        vigil.beaten(at(500));
        assert_eq!(
            vigil.until(),
            Some(at(4_300)),
            "an earlier beat's answer comes late"
        );
        assert_eq!(vigil.expire(at(4_299)), None);
        assert!(!fence.is_revoked());
        assert_eq!(vigil.expire(at(4_300)), Some(1));
        assert!(fence.is_revoked());
        assert!(!vigil.is_fresh(at(4_300)));
        assert!(!vigil.guard(Shard(0), &Fence::new(3), at(4_300)));

        vigil.beaten(at(5_000));
        assert!(vigil.is_fresh(at(5_001)), "it beats again");
        assert!(vigil.guard(Shard(0), &Fence::new(3), at(5_001)));
        assert!(fence.is_revoked(), "what fell stays so");
    }

    #[test]
    fn what_is_dismissed_falls_no_more() {
        let start = Instant::now();
        let vigil = Vigil::new(DURATION);
        vigil.beaten(start);
        let (gone, stays) = (Fence::new(1), Fence::new(1));
        assert!(vigil.guard(Shard(0), &gone, start) && vigil.guard(Shard(1), &stays, start));
        vigil.dismiss(Shard(0));
        vigil.revoke_all();
        assert!(!gone.is_revoked() && stays.is_revoked());
    }
}
