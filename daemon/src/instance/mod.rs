//! One task per instance that is to be connected: it connects, shows codes to pair by,
//! connects again after a loss, and writes how things are.

pub mod backoff;
pub mod inbound;
pub mod link;
mod pairing;
pub mod receipts;
mod session;
pub mod starts;
mod status;
pub mod tally;
mod unlinking;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use shared::domain::instance::{Instance, PairingRequest, Status};
use shared::ids::{InstanceId, SubscriptionId};
use shared::session_state::Fence;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::backoff::Backoff;
use self::link::Links;
use self::session::{Ended, Outcome, run_session};
use self::starts::{LONGEST_START, Start};
use self::status::Observer;
use crate::deps::Deps;

/// Keeps one instance connected until it is told to stop or cannot be.
#[derive(Debug)]
pub struct Actor {
    deps: Arc<Deps>,
    id: InstanceId,
    subscription: SubscriptionId,
    fence: Fence,
    links: Arc<Links>,
    stop: CancellationToken,
    unlink: CancellationToken,
    wake: Arc<Notify>,
    observer: Observer,
    /// By which code the instance is to be paired; `None` for QR codes.
    pairing: Option<PairingRequest>,
    /// Whether a pairing code was shown for this request: there is one a request.
    code_shown: bool,
    /// Whether somebody waits for what comes of the next attempt.
    is_awaited: bool,
    /// When it is of no use any more to unlink the instance.
    unlink_until: Option<DateTime<Utc>>,
}

/// A running actor.
#[derive(Debug)]
pub struct ActorHandle {
    /// The request that it answers, the latest that it was told of.
    generation: Arc<AtomicU64>,
    /// Asks it to disconnect in order and end.
    pub stop: CancellationToken,
    /// Where this is cancelled, a session that is logged in unlinks the instance from its
    /// phone as it ends.
    pub unlink: CancellationToken,
    /// Whether it was started for nothing else.
    pub only_unlinks: bool,
    /// Whether it pairs by a code, where it has to pair.
    pub pairs_by_code: bool,
    /// Ends the pause before its next attempt.
    pub wake: Arc<Notify>,
    /// Cancelled when it has ended.
    pub ended: CancellationToken,
    /// Its task.
    pub task: tokio::task::JoinHandle<()>,
}

impl Actor {
    /// Starts the actor of an instance under a shard's lease.
    pub fn start(deps: Arc<Deps>, instance: &Instance, fence: Fence, links: Arc<Links>) -> ActorHandle {
        Self::start_for(deps, instance, fence, links, false)
    }

    /// Starts an actor that makes sessions for nothing else than to unlink the instance from its
    /// phone, and ends when that is done.
    pub fn start_to_unlink(
        deps: Arc<Deps>,
        instance: &Instance,
        fence: Fence,
        links: Arc<Links>,
    ) -> ActorHandle {
        Self::start_for(deps, instance, fence, links, true)
    }

    fn start_for(
        deps: Arc<Deps>,
        instance: &Instance,
        fence: Fence,
        links: Arc<Links>,
        only_unlinks: bool,
    ) -> ActorHandle {
        let unlink = CancellationToken::new();
        if only_unlinks {
            unlink.cancel();
        }
        let stop = CancellationToken::new();
        let wake = Arc::new(Notify::new());
        let generation = Arc::new(AtomicU64::new(instance.desired.generation));
        let pairing = instance.desired.pairing.clone().filter(|_| !only_unlinks);
        let pairs_by_code = pairing.is_some();
        let actor = Self {
            observer: Observer::new(deps.clone(), instance, fence.clone(), generation.clone()),
            deps,
            id: instance.id,
            subscription: instance.subscription,
            fence,
            links,
            stop: stop.clone(),
            unlink: unlink.clone(),
            wake: wake.clone(),
            pairing,
            // By whoever held the shard before.
            code_shown: instance.observed.status == Status::AwaitingPairingCode
                && instance.observed.generation == instance.desired.generation,
            is_awaited: instance.account.is_none()
                || instance.observed.generation < instance.desired.generation,
            unlink_until: instance.unlink_until(),
        };
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let session = actor.deps.meter.sessions.count(1);
        let task = tokio::spawn(async move {
            let _guard = guard;
            let _session = session;
            if only_unlinks {
                actor.run_to_unlink().await;
            } else {
                actor.run().await;
            }
        });
        ActorHandle {
            generation,
            stop,
            unlink,
            only_unlinks,
            pairs_by_code,
            wake,
            ended,
            task,
        }
    }

    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let is_awaited = self.is_awaited || !self.observer.is_paired();
            let Some(start) = self.begin(is_awaited).await else {
                return;
            };
            self.is_awaited = false;
            let connecting = if self.observer.is_paired() {
                Status::Reconnecting
            } else {
                Status::Connecting
            };
            if !self.observer.set(connecting, None).await {
                return;
            }
            let outcome = self.session(start).await;
            match outcome.ended {
                Ended::Stopped | Ended::Lost => return,
                // Whoever looks again when it has ended sees to the rest.
                Ended::Dropped(_) if self.unlink.is_cancelled() => return,
                Ended::For(status, reason) => {
                    info!(instance.id = %self.id, status = %status, reason, "the session has ended for good");
                    self.observer.set(status, Some(reason)).await;
                    return;
                }
                Ended::Dropped(why) => {
                    warn!(instance.id = %self.id, why, "the connection is lost");
                    self.observer.note_error(why);
                }
            }
            if self.pause(&mut backoff, outcome.connected_at).await.is_break() {
                return;
            }
        }
    }

    /// Waits until a session may begin; `None` where this actor is to end before.
    async fn begin(&self, is_awaited: bool) -> Option<Start> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            () = self.fence.revoked() => None,
            start = self.deps.starts.begin(is_awaited) => Some(start),
        }
    }

    /// Runs a session to its end. The place in which it began is free when it is connected, shows a
    /// code, or has taken too long.
    async fn session(&mut self, start: Start) -> Outcome {
        self.observer.begins(start.clone());
        let outcome = {
            let mut session = std::pin::pin!(run_session(self));
            tokio::select! {
                outcome = &mut session => outcome,
                () = tokio::time::sleep(LONGEST_START) => {
                    start.over();
                    session.await
                }
            }
        };
        start.over();
        self.links.set(self.id, None);
        self.deps.round_trips.forget(self.id);
        outcome
    }

    async fn pause(
        &mut self,
        backoff: &mut Backoff,
        connected_at: Option<Instant>,
    ) -> std::ops::ControlFlow<()> {
        let reconnecting = if self.observer.is_paired() {
            Status::Reconnecting
        } else {
            Status::Connecting
        };
        if !self.observer.set(reconnecting, None).await {
            return std::ops::ControlFlow::Break(());
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.pause(connected_at.map(|at| at.elapsed()))) => {}
            () = self.wake.notified() => backoff.reset(),
            () = self.stop.cancelled() => return std::ops::ControlFlow::Break(()),
            () = self.fence.revoked() => return std::ops::ControlFlow::Break(()),
        }
        std::ops::ControlFlow::Continue(())
    }
}

impl ActorHandle {
    /// The request that it answers.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Tells it of a later request. The attempt that runs answers that one too; a pause before the
    /// next is cut short.
    pub fn tell(&self, generation: u64) {
        self.generation.fetch_max(generation, Ordering::Relaxed);
        self.wake.notify_one();
    }
}
