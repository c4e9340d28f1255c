//! Beats, so that other daemons see that this one lives, and stops this daemon in time where beats fail.
//!
//! Beating and stopping are one task with a client of its own, so that nothing else delays them: no slow look at the
//! leases, no take, no release and no flood of sessions that begin. It beats only while something runs where the shards are
//! served: see [`Progress`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use shared::clock::Clock;
use shared::storage::StorageError;
use shared::storage::leases::{Beat, Leases, Vitals};
use shared::telemetry::chain;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::Holder;
use super::progress::Progress;
use super::vigil::Vigil;
use crate::meter::resident_bytes;

/// The time between two beats.
pub(super) const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// How long one beat may take. A beat that hangs makes room for the next one, on another connection. The shortest
/// lease has time for three.
const BEAT_DEADLINE: Duration = Duration::from_secs(1);

/// Where beats go.
#[async_trait]
pub(super) trait Pulse: Send + Sync + 'static {
    /// Stores a beat.
    async fn beat(&self, beat: &Beat) -> Result<(), StorageError>;
}

#[async_trait]
impl Pulse for Leases {
    async fn beat(&self, beat: &Beat) -> Result<(), StorageError> {
        Leases::beat(self, beat).await
    }
}

/// What a watchdog is made of.
pub(super) struct Watchdog<H> {
    pub pulse: Arc<dyn Pulse>,
    pub daemon: String,
    pub duration: Duration,
    pub clock: Arc<dyn Clock>,
    pub started_at: DateTime<Utc>,
    pub holder: Arc<H>,
    pub vigil: Vigil,
    pub progress: Progress,
}

/// Revokes every fence when the watchdog ends, in whatever way, since nothing else would.
struct FailSafe(Vigil);

impl Drop for FailSafe {
    fn drop(&mut self) {
        self.0.revoke_all();
    }
}

type Beating = Pin<Box<dyn Future<Output = (Instant, Result<(), String>)> + Send>>;

impl<H: Holder> Watchdog<H> {
    /// Beats until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let _fail_safe = FailSafe(self.vigil.clone());
        let mut ticks = tokio::time::interval(BEAT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beating: Option<Beating> = None;
        loop {
            tokio::select! {
                biased;
                () = end_of(self.vigil.until()) => {
                    if let Some(shards @ 1..) = self.vigil.expire(Instant::now()) {
                        error!(shards, "could not beat for too long: dropping all shards");
                    }
                }
                (begun, beaten) = outcome(&mut beating) => {
                    beating = None;
                    match beaten {
                        Ok(()) => self.vigil.beaten(begun, Instant::now()),
                        Err(why) => warn!(error = why, "could not beat"),
                    }
                }
                () = stop.cancelled() => return,
                _ = ticks.tick(), if beating.is_none() => beating = self.beat(),
                () = self.vigil.drained(), if beating.is_none() => beating = self.beat(),
            }
        }
    }

    /// A beat; `None` where this daemon must not be taken for one that serves its shards.
    fn beat(&mut self) -> Option<Beating> {
        let goes_on = self.progress.goes_on(Instant::now());
        self.vigil.note_standstill(self.progress.stands_still());
        if !goes_on {
            return None;
        }
        let beat = Beat {
            daemon: self.daemon.clone(),
            counter: self.vigil.next_beat(),
            duration_ms: u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX),
            at: self.clock.now(),
            round_trips_since: self.holder.round_trips_since(),
            draining: self.vigil.is_draining(),
            vitals: Some(Vitals {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started_at: self.started_at,
                resident_bytes: resident_bytes(),
                load: self.holder.load(),
            }),
        };
        let pulse = Arc::clone(&self.pulse);
        Some(Box::pin(async move {
            let begun = Instant::now();
            let beaten = match tokio::time::timeout(BEAT_DEADLINE, pulse.beat(&beat)).await {
                Ok(beaten) => beaten.map_err(|error| chain(&error)),
                Err(_) => Err("no answer in time".to_owned()),
            };
            (begun, beaten)
        }))
    }
}

async fn end_of(term: Option<Instant>) {
    match term {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

async fn outcome(beating: &mut Option<Beating>) -> (Instant, Result<(), String>) {
    match beating {
        Some(beating) => beating.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use shared::clock::SteppedClock;
    use shared::domain::shard::Shard;
    use shared::session_state::Fence;
    use shared::storage::leases::Load;
    use tokio::runtime::{Builder, Handle};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::lease::Hold;
    use crate::lease::progress::LONGEST_STANDSTILL;
    use crate::lease::vigil::STOP_MARGIN;

    /// Shorter than a beat that hangs.
    const TERM: Duration = Duration::from_millis(400);

    /// Takes beats until it hangs, and never answers from then on.
    #[derive(Default)]
    struct Heart {
        taken: AtomicU64,
        draining: AtomicBool,
        hangs: AtomicBool,
    }

    #[async_trait]
    impl Pulse for Heart {
        async fn beat(&self, beat: &Beat) -> Result<(), StorageError> {
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            self.draining.store(beat.draining, Ordering::SeqCst);
            self.taken.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    /// Has nothing in hand, and panics when it is asked, if it is told to.
    #[derive(Default)]
    struct Idle {
        panics: AtomicBool,
    }

    impl Holder for Idle {
        fn serve(&self, _hold: Hold) -> JoinHandle<()> {
            tokio::spawn(async {})
        }

        fn runtime(&self) -> Handle {
            Handle::current()
        }

        fn round_trips_since(&self) -> Option<DateTime<Utc>> {
            None
        }

        fn load(&self) -> Load {
            assert!(!self.panics.load(Ordering::SeqCst), "as the test wants it");
            Load::default()
        }
    }

    struct Case {
        heart: Arc<Heart>,
        holder: Arc<Idle>,
        vigil: Vigil,
        stop: CancellationToken,
        running: JoinHandle<()>,
    }

    impl Case {
        /// Guards a fence in the life that lasts now.
        fn guards(&self, fence: &Fence, now: Instant) -> bool {
            let life = self.vigil.life(now);
            life.is_some_and(|life| self.vigil.guard(Shard(0), fence, life, now))
        }
    }

    fn case(term: Duration) -> Case {
        case_of(term, Progress::of(Handle::current(), LONGEST_STANDSTILL))
    }

    fn case_of(term: Duration, progress: Progress) -> Case {
        let (heart, holder) = (Arc::new(Heart::default()), Arc::new(Idle::default()));
        let (vigil, stop) = (Vigil::new(term + STOP_MARGIN), CancellationToken::new());
        let watchdog = Watchdog {
            pulse: heart.clone(),
            daemon: "a".to_owned(),
            duration: term + STOP_MARGIN,
            clock: Arc::new(SteppedClock::at(DateTime::UNIX_EPOCH)),
            started_at: DateTime::UNIX_EPOCH,
            holder: holder.clone(),
            vigil: vigil.clone(),
            progress,
        };
        Case {
            heart,
            holder,
            vigil,
            stop: stop.clone(),
            running: tokio::spawn(watchdog.run(stop)),
        }
    }

    async fn in_time<T>(future: impl Future<Output = T>) -> T {
        let deadline = Duration::from_secs(30);
        tokio::time::timeout(deadline, future).await.expect("in time")
    }

    #[tokio::test]
    async fn everything_falls_while_a_beat_hangs_and_beating_goes_on() {
        // Before its first beat, whose term may be over by the time that this test looks.
        let began = Instant::now();
        // One interval and a little more: the second beat hangs.
        let case = case(BEAT_INTERVAL + TERM);
        in_time(case.vigil.revived()).await;
        case.heart.hangs.store(true, Ordering::SeqCst);
        let fence = Fence::new(1);
        assert!(case.guards(&fence, began));
        in_time(fence.revoked()).await;
        assert_eq!(case.heart.taken.load(Ordering::SeqCst), 1);
        let fell = Instant::now();
        assert_eq!(case.vigil.life(fell), None);
        case.heart.hangs.store(false, Ordering::SeqCst);
        in_time(case.vigil.revived()).await;
        assert!(case.vigil.life(fell).is_some());
        case.stop.cancel();
        in_time(case.running).await.expect("no panic");
        assert_eq!(case.vigil.life(Instant::now()), None, "nobody beats any more");
    }

    /// It would keep its shards from daemons that serve them.
    #[tokio::test]
    async fn everything_falls_while_nothing_runs_where_shards_are_served() {
        let (let_go, held) = mpsc::channel::<()>();
        let stop = CancellationToken::new();
        let stops = stop.clone().drop_guard();
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let serving = runtime.handle().clone();
        // It runs nothing before it is let go.
        let driving = thread::spawn(move || {
            if held.recv().is_ok() {
                runtime.block_on(stop.cancelled());
            }
        });
        let began = Instant::now();
        let case = case_of(BEAT_INTERVAL + TERM, Progress::of(serving, BEAT_INTERVAL / 2));
        in_time(case.vigil.revived()).await;
        let fence = Fence::new(1);
        assert!(case.guards(&fence, began));
        in_time(fence.revoked()).await;
        assert_eq!(case.heart.taken.load(Ordering::SeqCst), 1);
        let_go.send(()).expect("it waits");
        in_time(case.vigil.revived()).await;
        case.stop.cancel();
        in_time(case.running).await.expect("no panic");
        drop(stops);
        driving.join().expect("no panic");
    }

    #[tokio::test]
    async fn a_panic_takes_everything_with_it() {
        let case = case(Duration::from_mins(1));
        in_time(case.vigil.revived()).await;
        let fence = Fence::new(1);
        assert!(case.guards(&fence, Instant::now()));
        case.holder.panics.store(true, Ordering::SeqCst);
        in_time(fence.revoked()).await;
        assert!(in_time(case.running).await.expect_err("it panics").is_panic());
    }

    #[tokio::test]
    async fn handing_over_is_told_at_once() {
        let case = case(Duration::from_mins(1));
        in_time(case.vigil.revived()).await;
        case.vigil.drain();
        in_time(async {
            while !case.heart.draining.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        case.stop.cancel();
        in_time(case.running).await.expect("no panic");
    }
}
