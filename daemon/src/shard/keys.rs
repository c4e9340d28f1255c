//! The keys of a large group's members, before a message to it takes its turn on the wire.
//!
//! The first message to a group of a thousand needs a key of each member's devices. Getting them takes as long as it takes;
//! meanwhile the lane's turn is others', and only later messages of the group wait behind this one. What was got is stored,
//! so an attempt after a failure, or after a restart, goes on behind it.

use shared::domain::job::SendJob;
use shared::domain::message::FailureCode;
use shared::telemetry::chain;
use tokio::sync::MutexGuard;
use tokio::time::Instant;
use tracing::warn;

use super::journey::{End, Journey, Stopped};
use super::lanes::Job;
use super::pace;
use super::send::Sender;
use crate::connection::SendError;
use crate::instance::link::Link;

/// How many failures in a row, which take about a minute, put a message off.
const TRIES: u32 = 6;

impl Sender<'_> {
    /// The turn again, once the members of the group that a message goes to have what they need. `None` where that failed,
    /// and the message has paused.
    pub async fn with_keys<'a>(
        &'a self,
        job: &Job,
        link: &Link,
        send: &SendJob,
        journey: &mut Journey,
        turn: MutexGuard<'a, ()>,
    ) -> Result<Option<MutexGuard<'a, ()>>, Stopped> {
        if send.to.group().is_none() {
            return Ok(Some(turn));
        }
        drop(turn);
        self.lane.held.set_waits(&job.received.message_id, true);
        let began = Instant::now();
        let agreed = self
            .unless_over(send, link.connection.agree_on_keys(&send.to))
            .await?;
        let pause = match agreed {
            // How the send itself ends says more than a refusal here.
            Ok(()) | Err(SendError::Refused(_)) => {
                if std::mem::take(&mut journey.look_ups) > 0 {
                    journey.waits_for = None;
                }
                self.lane.held.set_waits(&job.received.message_id, false);
                let turn = self.unless_over(send, self.lane.turn.lock()).await?;
                return Ok(Some(turn));
            }
            // There is another link in a moment.
            Err(SendError::NotConnected | SendError::Interrupted { .. }) => pace::after(1, rand::random()),
            Err(error) => {
                journey.look_ups = journey.look_ups.saturating_add(1);
                let failures = journey.look_ups;
                warn!(message.id = %send.message, failures, error = %chain(&error), "a group's members have no keys yet");
                let mut asked = None;
                if let SendError::Throttled { after, .. } = error {
                    journey.waits_for = Some(FailureCode::RateOverlimit);
                    self.wire.look_ups.slow(began, after, rand::random());
                    asked = after;
                }
                if journey.put_offs > 0 || failures >= TRIES {
                    return Err(End::Later(self.again_later(journey, asked)).into());
                }
                pace::after(failures, rand::random()).max(asked.unwrap_or_default())
            }
        };
        self.unless_over(send, tokio::time::sleep(pause)).await?;
        Ok(None)
    }
}
