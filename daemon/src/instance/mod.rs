//! One task per instance that is to be connected: it connects, shows QR codes, connects
//! again after a loss, and writes how things are.

pub mod backoff;
pub mod inbound;
pub mod link;
pub mod receipts;
mod session;
mod status;
pub mod tally;

use std::sync::Arc;

use shared::domain::instance::{Instance, Status};
use shared::ids::{InstanceId, SubscriptionId};
use shared::session_state::Fence;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::backoff::Backoff;
use self::link::Links;
use self::session::{Ended, run_session};
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
}

/// A running actor.
#[derive(Debug)]
pub struct ActorHandle {
    /// The request that it answers.
    pub generation: u64,
    /// Asks it to disconnect in order and end.
    pub stop: CancellationToken,
    /// Where this is cancelled, a session that is logged in unlinks the instance from its
    /// phone as it ends.
    pub unlink: CancellationToken,
    /// Whether it was started for nothing else.
    pub only_unlinks: bool,
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

    /// Starts an actor that makes one session, and unlinks the instance from its phone as
    /// soon as that is logged in.
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
        let generation = instance.desired.generation;
        let actor = Self {
            observer: Observer::new(deps.clone(), instance, fence.clone()),
            deps,
            id: instance.id,
            subscription: instance.subscription,
            fence,
            links,
            stop: stop.clone(),
            unlink: unlink.clone(),
            wake: wake.clone(),
        };
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let session = actor.deps.meter.sessions.count(1);
        let task = tokio::spawn(async move {
            let _guard = guard;
            let _session = session;
            actor.run().await;
        });
        ActorHandle {
            generation,
            stop,
            unlink,
            only_unlinks,
            wake,
            ended,
            task,
        }
    }

    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let connecting = if self.observer.is_paired() {
                Status::Reconnecting
            } else {
                Status::Connecting
            };
            if !self.observer.set(connecting, None).await {
                return;
            }
            let outcome = run_session(&mut self).await;
            self.links.set(self.id, None);
            self.deps.round_trips.forget(self.id);
            match outcome.ended {
                // Where the phone could not be told in one session it is not told.
                Ended::Dropped(why) if self.unlink.is_cancelled() => {
                    warn!(instance.id = %self.id, why, "the instance could not be unlinked from its phone");
                    return;
                }
                Ended::Stopped | Ended::Lost => return,
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
