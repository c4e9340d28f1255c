//! What follows from an attempt: an end, or a pause and another.

use shared::domain::job::SendJob;
use shared::domain::message::{Failure, FailureCode};
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::attempt::Attempt;
use super::deviceless::Deviceless;
use super::journey::{End, Journey};
use super::reachout::Restriction;
use super::send::Sender;
use super::verdict::{self, Verdict};
use crate::connection::SendError;
use crate::instance::link::Link;

/// A message that is alone on the wire is to blame once connections have ended under it this often in a row.
const CUTS: u32 = 3;

/// After so many attempts a refusal counts though WhatsApp does not explain it.
const ASKED_IN_VAIN: u32 = 4;

impl Sender<'_> {
    /// What follows from an attempt: an end, or a pause and another.
    pub async fn judge(
        &self,
        attempt: Attempt,
        link: &Link,
        send: &SendJob,
        journey: &mut Journey,
        began: Instant,
        was_alone: bool,
    ) -> Result<(), End> {
        let (id, pace) = (send.message, &self.wire.pace);
        let slow = |at_least| pace.slow(began, at_least, rand::random());
        match &attempt {
            Attempt::CutShort {
                may_be_out,
                is_told_of: false,
            } => {
                // WhatsApp has no room, or we ended the connection: the message has no part in it.
                journey.may_be_out |= may_be_out;
                journey.cut_link = link.number;
                journey.failures = 0;
                slow(None);
                return Ok(());
            }
            Attempt::CutShort { may_be_out, .. } => {
                journey.may_be_out |= may_be_out;
                journey.cut(was_alone, link.number);
                let cuts = journey.cuts;
                warn!(message.id = %id, was_alone, cuts, "the connection ended under this message");
                return if cuts >= CUTS { Err(End::Poison) } else { Ok(()) };
            }
            // There is another link in a moment, and nothing was tried.
            Attempt::Failed(SendError::NotConnected | SendError::Interrupted { .. }) => {
                journey.failures = 0;
                return Ok(());
            }
            _ => journey.clear(),
        }
        journey.failures = journey.failures.saturating_add(1);
        let failures = journey.failures;
        match attempt {
            Attempt::Acknowledged => {
                pace.ease(began);
                let (people, fence) = (&self.deps.people, &self.hold.fence);
                people.reach(send.instance, fence, &link.connection, &send.to);
                return Err(End::Sent);
            }
            Attempt::Refused(error) => {
                warn!(message.id = %id, error, failures, "WhatsApp refused a message");
                match verdict::of(error, &send.to) {
                    Verdict::Final(code) => {
                        return Err(End::Failed(Failure::of(code).with_error(error)));
                    }
                    Verdict::Asked(code) => {
                        let told = explained(link, send, Some(error)).await;
                        let failure = told.unwrap_or_else(|| Failure::of(code));
                        return Err(End::Failed(failure.with_error(error)));
                    }
                    Verdict::Distrusted => return self.without_trust(link, send, journey, error).await,
                    Verdict::Slower => {
                        journey.waits_for = Some(FailureCode::RateOverlimit);
                        slow(None);
                    }
                    Verdict::Busy => {
                        journey.waits_for = None;
                        slow(None);
                    }
                    Verdict::Waits(code) => {
                        journey.waits_for = code;
                        look_behind(link, send, Some(error), journey).await?;
                    }
                }
            }
            Attempt::Unanswered => {
                journey.may_be_out = true;
                warn!(message.id = %id, failures, "no acknowledgement in time");
            }
            Attempt::Failed(error) => {
                warn!(message.id = %id, failures, error = %chain(&error), "a send failed");
                match error {
                    SendError::Refused(code) => return Err(End::Failed(Failure::of(code))),
                    SendError::Throttled { after, .. } => {
                        journey.waits_for = Some(FailureCode::RateOverlimit);
                        slow(after);
                    }
                    SendError::Timeout => {
                        journey.may_be_out = true;
                        slow(None);
                    }
                    SendError::State(_) | SendError::Unavailable(_) => slow(None),
                    SendError::Failed(_) => look_behind(link, send, None, journey).await?,
                    SendError::NotConnected | SendError::Interrupted { .. } => {}
                }
            }
            Attempt::CutShort { .. } => {}
        }
        Ok(())
    }

    /// What becomes of a message for which WhatsApp misses a proof of trust. While the account may begin no chats the
    /// message is put off. Otherwise what this side can do about it is done once.
    async fn without_trust(
        &self,
        link: &Link,
        send: &SendJob,
        journey: &mut Journey,
        error: u32,
    ) -> Result<(), End> {
        let reachout = &self.wire.reachout;
        // Of several that are refused at once one asks.
        let _asking = reachout.asking.lock().await;
        let now = self.deps.clock.now();
        if let Some(restriction) = reachout.now(now) {
            return Err(End::Later(reachout.adds(send.chat(), restriction).later(send)));
        }
        let told = match link.connection.explain(&send.to, Some(error)).await {
            Ok(told) => told,
            Err(why) if journey.failures < ASKED_IN_VAIN => {
                debug!(message.id = %send.message, error = %chain(&why), "a refusal was not explained: asking again");
                journey.waits_for = Some(FailureCode::TrustTokenMissing);
                return Ok(());
            }
            Err(_) => None,
        };
        match told {
            Some(failure) if failure.code == FailureCode::ReachoutRestricted.as_str() => {
                let restriction = Restriction::begun(failure.retry_after, now);
                warn!(instance.id = %send.instance, until = %restriction.until, "WhatsApp lets the account begin no chats");
                Err(End::Later(reachout.adds(send.chat(), restriction).later(send)))
            }
            Some(failure) if failure.code != FailureCode::TrustTokenMissing.as_str() => {
                Err(End::Failed(failure.with_error(error)))
            }
            _ if journey.trust_refreshes == 0 => {
                journey.trust_refreshes += 1;
                journey.waits_for = Some(FailureCode::TrustTokenMissing);
                if let Err(why) = link.connection.refresh_trust(&send.to).await {
                    // The next attempt tells whether it was needed.
                    debug!(message.id = %send.message, error = %chain(&why), "a token of trust was not refreshed");
                }
                Ok(())
            }
            _ => {
                let failure = Failure::of(FailureCode::TrustTokenMissing);
                Err(End::Failed(failure.with_error(error)))
            }
        }
    }
}

/// Asks WhatsApp what stands behind a failure.
async fn explained(link: &Link, send: &SendJob, error: Option<u32>) -> Option<Failure> {
    let told = link.connection.explain(&send.to, error).await;
    told.unwrap_or_else(|why| {
        note_unexplained(send, &why);
        None
    })
}

fn note_unexplained(send: &SendJob, why: &SendError) {
    debug!(message.id = %send.message, error = %chain(why), "a failure was not explained");
}

/// Asks whether something lasting is behind a failure that may pass: at the first failure, then more and more seldom; but each
/// time while the recipient seems to have no device.
async fn look_behind(
    link: &Link,
    send: &SendJob,
    error: Option<u32>,
    journey: &mut Journey,
) -> Result<(), End> {
    if !journey.failures.is_power_of_two() && !journey.deviceless.is_suspected() {
        return Ok(());
    }
    match link.connection.explain(&send.to, error).await {
        Ok(Some(failure)) if failure.code == FailureCode::NoRecipientDevice.as_str() => {
            journey.waits_for = Some(FailureCode::NoRecipientDevice);
            if journey.deviceless.found_again(Instant::now()) {
                return Err(End::Failed(failure));
            }
        }
        Ok(Some(failure)) => return Err(End::Failed(failure)),
        Ok(None) => {
            journey.deviceless = Deviceless::default();
            let waits_for = journey.waits_for.take();
            journey.waits_for = waits_for.filter(|code| *code != FailureCode::NoRecipientDevice);
        }
        Err(why) => note_unexplained(send, &why),
    }
    Ok(())
}
