//! Unlinks an instance from its phone. The wish outlives every failure: it is tried again, with
//! growing pauses and by each next holder of the shard, until WhatsApp has confirmed it, the
//! account turns out to be gone, or nobody needs to be told any more.

use std::time::Duration;

use shared::domain::instance::{LOGOUT_PENDING, Status};
use tracing::{info, warn};

use super::Actor;
use super::session::Ended;

/// The first pause after an attempt that failed, and the longest: each is twice the last, between
/// half and the whole of that at random.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

impl Actor {
    /// Makes sessions until one has unlinked the instance.
    pub(super) async fn run_to_unlink(mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.is_too_late_to_unlink() {
            let Some(start) = self.begin(false).await else {
                return;
            };
            if !self
                .observer
                .set(Status::Reconnecting, Some(LOGOUT_PENDING))
                .await
            {
                return;
            }
            let outcome = self.session(start).await;
            if !self.observer.is_paired() {
                info!(instance.id = %self.id, "unlinked from its phone");
                return;
            }
            let why = match outcome.ended {
                Ended::Lost => return,
                Ended::Stopped if self.stop.is_cancelled() => return,
                Ended::For(Status::Banned, reason) => {
                    self.observer.set(Status::Banned, Some(reason)).await;
                    return;
                }
                Ended::Stopped => "WhatsApp has not confirmed it".to_owned(),
                Ended::For(_, reason) => reason.to_owned(),
                Ended::Dropped(why) => why,
            };
            warn!(instance.id = %self.id, why, "the instance could not be unlinked from its phone yet");
            self.observer.note_error(why);
            let whole = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(rand::random_range(whole / 2..=whole))) => {}
                () = self.stop.cancelled() => return,
                () = self.fence.revoked() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn is_too_late_to_unlink(&self) -> bool {
        let now = self.deps.clock.now();
        self.unlink_until.is_some_and(|until| now >= until)
    }
}
