//! Unlinks an instance from its phone. The wish outlives every failure: each holder of the shard tries again, with
//! growing pauses. It ends when WhatsApp has confirmed, the account turns out to be gone, or nobody needs to be told
//! any more.

use std::ops::ControlFlow;
use std::time::Duration;

use shared::domain::instance::Status;
use shared::domain::reason::Reason;
use tracing::{info, warn};

use super::session::Ended;
use super::status::Settled;
use super::{Actor, Answered};

/// The first and the longest pause after an attempt that failed. Each is twice the last, and lasts between half and
/// the whole of that, at random.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// The pause after WhatsApp has refused the login for a cause that waiting does not mend, but a newer build may.
const REFUSED_PAUSE: Duration = Duration::from_hours(12);

impl Actor {
    /// Makes sessions until one has unlinked the instance.
    pub(super) async fn run_to_unlink(&mut self) {
        let mut pause = FIRST_PAUSE;
        self.heed_request();
        while !self.is_too_late_to_unlink() {
            if self.wait_out_pause().await.is_break() {
                return;
            }
            let Some(start) = self.begin(false).await else {
                return;
            };
            let (status, reason) = (Status::Reconnecting, Some(Reason::LogoutPending));
            if !self.observer.set(status, reason).await {
                // A task that waits for the table keeps no place.
                start.over();
                if self.settle(status, reason).await.is_break() {
                    return;
                }
                continue;
            }
            let (outcome, _) = self.session(start).await;
            if !self.observer.is_paired() {
                if self.observer.owes_account() {
                    self.settle_noted().await;
                }
                info!(instance.id = %self.id, "unlinked from its phone");
                return;
            }
            let ended = match outcome.ended {
                Ended::Lost => return,
                Ended::Stopped if self.stop.is_cancelled() => return,
                Ended::Stopped => Ended::Dropped("WhatsApp has not confirmed the unlinking".to_owned()),
                ended => ended,
            };
            let whole = match self.answer(ended) {
                Answered::Over => return,
                Answered::End(Status::Banned, reason) => {
                    let mut settled = ControlFlow::Continue(Settled::Asked);
                    // This actor does not answer requests for a connection.
                    while settled == ControlFlow::Continue(Settled::Asked) {
                        settled = self.settle(Status::Banned, Some(reason)).await;
                    }
                    return;
                }
                Answered::End(_, reason) => {
                    warn!(instance.id = %self.id, %reason, "the instance cannot be unlinked from its phone now");
                    REFUSED_PAUSE
                }
                Answered::Pause => continue,
                Answered::Lost => {
                    let whole = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    whole
                }
            };
            tokio::select! {
                () = tokio::time::sleep(whole.mul_f64(rand::random_range(0.5..=1.0))) => {}
                () = self.stop.cancelled() => return,
                () = self.fence.revoked() => return,
            }
        }
    }

    fn is_too_late_to_unlink(&self) -> bool {
        let now = self.deps.clock.now();
        self.unlink_until.is_some_and(|until| now >= until)
    }
}
