//! What the keeper and the watchdog share: until when this daemon counts itself as alive, the fences that are revoked when
//! that time is over, and whether anything runs where its shards are served.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::domain::shard::Shard;
use shared::session_state::Fence;
use shared::term::Term;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::LastBeat;

/// A daemon that cannot beat stops this long before the end of its lease: long enough to drop its sockets.
pub(super) const STOP_MARGIN: Duration = Duration::from_millis(700);

/// Until when a daemon counts itself as alive, by what it knows of its own beats.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// How long a beat counts.
    term: Duration,
    /// The end of the last beat's term; `None` before the first, and once it has passed.
    until: Option<Instant>,
    /// How many lives have ended.
    number: u64,
}

impl Life {
    /// Of a daemon whose shards others may take after a silence of `duration`.
    pub fn new(duration: Duration) -> Self {
        Self {
            term: duration.saturating_sub(STOP_MARGIN),
            until: None,
            number: 0,
        }
    }

    /// A beat came through that began at `begun`. It counts from then, since another daemon may have seen it that
    /// early. Answers whether a life begins with it.
    pub fn beaten(&mut self, begun: Instant) -> bool {
        let revives = self.until.is_none();
        self.until = self.until.max(Some(begun + self.term));
        revives
    }

    /// When the last beat's term ends; `None` where there is none to wait for.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether it lasts.
    pub fn lasts(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// The number of the life that lasts. Each has another: what one began, the next one must not rely upon, since
    /// others may have acted between them.
    pub fn current(&self, now: Instant) -> Option<u64> {
        self.lasts(now).then_some(self.number)
    }

    /// It is over, until the next beat.
    pub fn end(&mut self) {
        if self.until.take().is_some() {
            self.number += 1;
        }
    }
}

/// Whether this daemon counts itself as alive. Clones share their state.
#[derive(Debug, Clone)]
pub(super) struct Vigil(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The life's end, for fences that nobody comes to revoke.
    term: Term,
    last_beat: LastBeat,
    revived: Notify,
    drained: Notify,
}

#[derive(Debug)]
struct State {
    life: Life,
    fences: BTreeMap<Shard, Fence>,
    draining: bool,
    /// Whether nothing runs where the shards are served: see [`super::progress`].
    stands_still: bool,
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
                stands_still: false,
                counter: 0,
            }),
            term: Term::default(),
            last_beat: LastBeat::default(),
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

    /// A beat came through that began at `begun`. Where the time was over by `now` and this process stood still
    /// meanwhile, everything falls first: a life that was over goes on for nobody.
    pub fn beaten(&self, begun: Instant, now: Instant) {
        self.0.last_beat.note(begun);
        let mut state = self.state();
        if !state.life.lasts(now) {
            Self::end(&mut state);
        }
        let revives = state.life.beaten(begun);
        if let Some(until) = state.life.until() {
            self.0.term.extend(until);
        }
        if revives {
            self.0.revived.notify_one();
        }
    }

    /// When the last beat that came through began.
    pub fn last_beat(&self) -> LastBeat {
        self.0.last_beat.clone()
    }

    /// The fence of a shard that was taken, to be guarded. It falls with the life, also before anyone has looked at the
    /// time.
    pub fn fence(&self, token: u64) -> Fence {
        Fence::within(token, self.0.term.clone())
    }

    /// When the last beat's term ends; `None` where there is none to wait for.
    pub fn until(&self) -> Option<Instant> {
        self.state().life.until()
    }

    /// The number of the life in which this daemon counts as alive, if it does: see [`Life::current`].
    pub fn life(&self, now: Instant) -> Option<u64> {
        self.state().life.current(now)
    }

    /// Whether it may take shards: it counts as alive, and something runs where they would be served.
    pub fn may_take(&self, now: Instant) -> bool {
        let state = self.state();
        state.life.lasts(now) && !state.stands_still
    }

    /// Notes whether nothing runs where the shards are served.
    pub fn note_standstill(&self, stands_still: bool) {
        self.state().stands_still = stands_still;
    }

    /// Waits until it counts as alive again, or for the first time.
    pub async fn revived(&self) {
        self.0.revived.notified().await;
    }

    /// Guards from now on the fence of a shard that was taken in this life. Where that life is over the fence is
    /// revoked instead, and the answer is `false`: others may have taken the shard before the next life began.
    pub fn guard(&self, shard: Shard, fence: &Fence, life: u64, now: Instant) -> bool {
        let mut state = self.state();
        if state.life.current(now) == Some(life) {
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
        let fences = std::mem::take(&mut state.fences);
        fences.values().map(|fence| usize::from(fence.revoke())).sum()
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
        assert_eq!(vigil.last_beat().get(), None);
        let early = Fence::new(1);
        assert!(!vigil.guard(Shard(0), &early, 0, at(0)), "it has not beaten yet");
        assert!(early.is_revoked());

        vigil.beaten(at(0), at(0));
        let fence = Fence::new(2);
        let life = vigil.life(at(10)).expect("it lives");
        assert!(vigil.guard(Shard(0), &fence, life, at(10)));
        vigil.beaten(at(1_000), at(1_010));
        assert_eq!(vigil.until(), Some(at(4_300)));
        vigil.beaten(at(500), at(1_020));
        assert_eq!(vigil.last_beat().get(), Some(at(1_000)));
        assert_eq!(
            vigil.until(),
            Some(at(4_300)),
            "an earlier beat's answer comes late"
        );
        assert_eq!(vigil.expire(at(4_299)), None);
        assert!(!fence.is_revoked());
        assert_eq!(vigil.expire(at(4_300)), Some(1));
        assert!(fence.is_revoked());
        assert_eq!(vigil.life(at(4_300)), None);
        assert!(!vigil.guard(Shard(0), &Fence::new(3), life, at(4_300)));

        vigil.beaten(at(5_000), at(5_001));
        let next = vigil.life(at(5_001)).expect("it beats again");
        assert!(vigil.guard(Shard(0), &Fence::new(3), next, at(5_001)));
        assert!(fence.is_revoked(), "what fell stays so");
    }

    #[test]
    fn what_was_taken_in_one_life_is_not_served_in_the_next() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let vigil = Vigil::new(DURATION);
        vigil.beaten(at(0), at(0));
        let life = vigil.life(at(3_000)).expect("it lives");
        assert_eq!(vigil.expire(at(3_300)), Some(0));
        vigil.beaten(at(4_000), at(4_900));
        let late = Fence::new(1);
        assert!(!vigil.guard(Shard(0), &late, life, at(5_000)));
        assert!(late.is_revoked(), "another may have it by now");
        let next = vigil.life(at(5_000)).expect("it lives again");
        assert!(vigil.guard(Shard(0), &Fence::new(2), next, at(5_000)));
    }

    #[test]
    fn a_beat_that_is_heard_after_the_time_was_over_keeps_nothing() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let vigil = Vigil::new(DURATION);
        vigil.beaten(at(0), at(0));
        let life = vigil.life(at(0)).expect("it lives");
        let fence = Fence::new(1);
        assert!(vigil.guard(Shard(0), &fence, life, at(0)));
        // Nobody looked at the time in between, as while a process stands still.
        vigil.beaten(at(3_200), at(4_200));
        assert!(fence.is_revoked());
        assert!(vigil.life(at(4_200)).is_some_and(|next| next != life));
    }

    #[test]
    fn a_fence_falls_in_time_though_nobody_looks_at_it() {
        let vigil = Vigil::new(Duration::from_mins(1));
        let now = Instant::now();
        vigil.beaten(now, now);
        let fence = vigil.fence(1);
        assert!(vigil.guard(Shard(0), &fence, 0, now));
        assert!(!fence.is_revoked());

        // The process stood still right after its beat.
        let brief = Duration::from_millis(1);
        let vigil = Vigil::new(STOP_MARGIN + brief);
        let now = Instant::now();
        vigil.beaten(now, now);
        let fence = vigil.fence(1);
        assert!(vigil.guard(Shard(0), &fence, 0, now));
        std::thread::sleep(brief);
        assert!(fence.is_revoked(), "others may have the shard");
        let later = now + Duration::from_hours(1);
        assert_eq!(vigil.expire(later), Some(1), "it is told of all the same");
        vigil.beaten(later, later);
        assert!(fence.is_revoked(), "what fell stays so");
    }

    #[test]
    fn what_is_dismissed_falls_no_more() {
        let start = Instant::now();
        let vigil = Vigil::new(DURATION);
        vigil.beaten(start, start);
        let life = vigil.life(start).expect("it lives");
        let (gone, stays) = (Fence::new(1), Fence::new(1));
        assert!(vigil.guard(Shard(0), &gone, life, start) && vigil.guard(Shard(1), &stays, life, start));
        vigil.dismiss(Shard(0));
        vigil.revoke_all();
        assert!(!gone.is_revoked() && stays.is_revoked());
    }
}
