//! The pauses between the sessions of an instance, and what ends them.
//!
//! A status that is owed to the item is tried for as long as the shard is held. The next session goes by the item: if
//! WhatsApp's demand for a pause were missing there, it would knock at once.

use std::ops::ControlFlow;
use std::time::Duration;

use futures::FutureExt as _;
use shared::domain::instance::{Pause, Status};
use shared::domain::reason::Reason;
use tokio::time::Instant;
use tracing::info;

use super::Actor;
use super::backoff::{self, Backoff};
use super::status::Settled;

impl Actor {
    /// Writes a status, however long that takes. Answers whether somebody asked for a connection before it was
    /// written. `Break` where this owner is done.
    pub(super) async fn settle(
        &mut self,
        status: Status,
        reason: Option<Reason>,
    ) -> ControlFlow<(), Settled> {
        match self.observer.settle(status, reason, &self.stop, &self.wake).await {
            Settled::Over => ControlFlow::Break(()),
            settled => ControlFlow::Continue(settled),
        }
    }

    /// Writes what was noted, under the present status.
    pub(super) async fn settle_noted(&mut self) {
        while self.observer.settle_noted(&self.stop, &self.wake).await == Settled::Asked {}
    }

    /// Writes the status in which the instance ends. `Continue` where somebody asked for a connection before it was
    /// written: that counts as if they had asked right after.
    pub(super) async fn settle_end(&mut self, status: Status, reason: Reason) -> ControlFlow<()> {
        // Requests from before this end are answered by it.
        let _ = self.wake.notified().now_or_never();
        match self.settle(status, Some(reason)).await? {
            Settled::Asked => ControlFlow::Continue(()),
            Settled::Stored | Settled::Over => ControlFlow::Break(()),
        }
    }

    /// Waits for the next attempt after a lost connection.
    pub(super) async fn pause(&mut self, backoff: &mut Backoff, pause: Duration) -> ControlFlow<()> {
        let mut until = Instant::now() + pause;
        while self.settle(self.connecting(), None).await? == Settled::Asked {
            backoff.reset();
            until = Instant::now();
        }
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = self.wake.notified() => backoff.reset(),
            () = self.stop.cancelled() => return ControlFlow::Break(()),
            () = self.fence.revoked() => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Waits until the instance's last pause is over. A person who asks for a connection ends it,
    /// or shortens it as far as it may be.
    pub(super) async fn wait_out_pause(&mut self) -> ControlFlow<()> {
        // Requests from while there was a connection are answered.
        let _ = self.wake.notified().now_or_never();
        while let Some((pause, left)) = self.left_of_pause() {
            info!(instance.id = %self.id, reason = pause.reason, seconds = left.as_secs(), "nothing knocks at WhatsApp");
            let reason = pause.reason.parse().ok();
            if self.settle(self.connecting(), reason).await? == Settled::Asked {
                self.cut_pause();
                continue;
            }
            // Writing the pause may have taken a part of it.
            let Some((_, left)) = self.left_of_pause() else {
                break;
            };
            tokio::select! {
                () = tokio::time::sleep(left) => return ControlFlow::Continue(()),
                () = self.wake.notified() => self.cut_pause(),
                () = self.stop.cancelled() => return ControlFlow::Break(()),
                () = self.fence.revoked() => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }

    fn left_of_pause(&self) -> Option<(Pause, Duration)> {
        let pause = self.observer.pause()?;
        let left = backoff::left(pause, self.deps.clock.now());
        (!left.is_zero()).then(|| (pause.clone(), left))
    }

    /// A person has asked for what this actor is to do.
    pub(super) fn heed_request(&mut self) {
        if self.asked_anew {
            self.cut_pause();
        }
    }

    fn cut_pause(&mut self) {
        if let Some(pause) = self.observer.pause() {
            let cut = backoff::cut(pause, self.deps.clock.now());
            self.observer.note_pause(cut);
        }
    }
}
