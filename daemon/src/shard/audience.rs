//! Who sees a status, before the status takes its turn on the wire.
//!
//! Finding them takes long where many numbers of the address book are to be looked up, and fails where WhatsApp does not say whom
//! the account's owner lets see statuses, or the account has no LID. Meanwhile the lane's turn is others', and nothing is on the
//! wire that might have arrived. Where they cannot be found for a while the status is put off, as a message is for its file.
//!
//! They are found anew for each attempt and kept nowhere: nobody is to see a status whom the account's owner has taken out
//! meanwhile.

use std::time::Duration;

use shared::domain::job::SendJob;
use shared::domain::message::{Failure, FailureCode};
use shared::domain::recipient::Recipient;
use shared::telemetry::chain;
use tokio::sync::MutexGuard;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::journey::{End, Journey, Stopped};
use super::lanes::Job;
use super::pace;
use super::send::Sender;
use crate::connection::{Audience, Crowd, SendError};
use crate::files::Place;
use crate::instance::link::Link;

/// How long finding those who see a status may take. What was found out until then is not asked for again.
pub const AUDIENCE_DEADLINE: Duration = Duration::from_secs(30);

impl Sender<'_> {
    /// Those who see the message, where it is a status, with what they need to read it, and the lane's turn again. `None` where
    /// they could not be found now: the message has paused.
    pub async fn with_audience<'a>(
        &'a self,
        job: &Job,
        link: &Link,
        send: &SendJob,
        journey: &mut Journey,
        turn: MutexGuard<'a, ()>,
    ) -> Result<Option<(Option<Audience>, MutexGuard<'a, ()>)>, Stopped> {
        if send.to != Recipient::Status {
            return Ok(Some((None, turn)));
        }
        drop(turn);
        self.lane.held.set_waits(&job.received.message_id, true);
        self.comes_in_turn(send, journey)?;
        let Some(audience) = Box::pin(self.find_audience(link, send, journey)).await? else {
            return Ok(None);
        };
        let crowd = Crowd::Audience(audience.clone());
        if !Box::pin(self.agree(link, send, crowd, journey)).await? {
            return Ok(None);
        }
        self.lane.held.set_waits(&job.received.message_id, false);
        let turn = self.unless_over(send, self.lane.turn.lock()).await?;
        Ok(Some((Some(audience), turn)))
    }

    /// Those who see a status. `None` where they could not be found now: the message has paused.
    pub async fn find_audience(
        &self,
        link: &Link,
        send: &SendJob,
        journey: &mut Journey,
    ) -> Result<Option<Audience>, Stopped> {
        // Most of them are looked up as numbers are.
        if let Some(later) = self.after_look_ups() {
            return Err(End::Later(later).into());
        }
        self.unless_over(send, self.until_look_ups()).await?;
        if journey.unready.is_some() && !journey.was_just_read() {
            let looked = self.unless_over(send, self.look_at_record(send, journey)).await?;
            if let Some(end) = looked {
                return Err(end.into());
            }
        }
        let began = Instant::now();
        let finding = tokio::time::timeout(self.deps.audience_deadline, link.connection.audience());
        let found = self.unless_over(send, finding).await?;
        let place = Place::Audience(send.instance);
        let away = &self.deps.files.away;
        let error = match found.unwrap_or(Err(SendError::Timeout)) {
            Ok(audience) => {
                self.wire.look_ups.ease(began);
                away.works(&place);
                if journey.unready.take().is_some() {
                    journey.waits_for = None;
                }
                return Ok(Some(audience));
            }
            Err(error) => error,
        };
        let pause = match error {
            // There is another link in a moment.
            SendError::NotConnected | SendError::Interrupted { .. } => {
                debug!(message.id = %send.message, "the connection ended while a status's audience was looked for");
                pace::after(1, rand::random())
            }
            SendError::Refused(code) => return Err(End::Failed(Failure::of(code)).into()),
            SendError::State(_)
            | SendError::Throttled { .. }
            | SendError::Unavailable(_)
            | SendError::Failed(_)
            | SendError::Timeout => {
                warn!(message.id = %send.message, error = %chain(&error), "nobody knows who sees a status");
                let asked = if let SendError::Throttled { after, .. } = error {
                    journey.waits_for = Some(FailureCode::RateOverlimit);
                    self.wire.look_ups.slow(began, after, rand::random());
                    after
                } else {
                    journey.waits_for = None;
                    None
                };
                let fails_for = away.fails(&place, Instant::now());
                self.pause_or_later(journey, began, fails_for, asked)
                    .map_err(End::Later)?
            }
        };
        self.unless_over(send, tokio::time::sleep(pause)).await?;
        Ok(None)
    }
}
