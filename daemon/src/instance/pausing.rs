//! The pauses between the sessions of an instance, and what ends them.

use std::ops::ControlFlow;
use std::time::Duration;

use futures::FutureExt as _;
use shared::domain::instance::Pause;
use tracing::info;

use super::Actor;
use super::backoff::{self, Backoff};

impl Actor {
    /// Waits for the next attempt after a lost connection.
    pub(super) async fn pause(&mut self, backoff: &mut Backoff, pause: Duration) -> ControlFlow<()> {
        if !self.observer.set(self.connecting(), None).await {
            return ControlFlow::Break(());
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.wake.notified() => backoff.reset(),
            () = self.stop.cancelled() => return ControlFlow::Break(()),
            () = self.fence.revoked() => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Waits until the instance's last pause is over. A person who asks for a connection ends it,
    /// or shortens it as far as it may be.
    pub(super) async fn wait_out_pause(&mut self) -> ControlFlow<()> {
        // Who asked while there was a connection has had it.
        let _ = self.wake.notified().now_or_never();
        while let Some((pause, left)) = self.left_of_pause() {
            info!(instance.id = %self.id, reason = pause.reason, seconds = left.as_secs(), "nothing knocks at WhatsApp");
            let reason = pause.reason.parse().ok();
            if !self.observer.set(self.connecting(), reason).await {
                return ControlFlow::Break(());
            }
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
