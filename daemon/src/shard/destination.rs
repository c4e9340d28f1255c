//! The number that a message goes to, where people write it otherwise than WhatsApp spells it.
//!
//! A message to a number that WhatsApp does not know arrives nowhere, though its person is there under another spelling. So
//! a number that may have one is looked up before its first message: once, since the directory of people remembers it. The
//! message's chat stays what it was, and with it the order of that chat's messages.
//!
//! It is looked up before the message takes its place on the wire, where only its chat waits for that. WhatsApp counts
//! look-ups by themselves: where it wants fewer of them, the instance makes none for a while, and messages that need none go
//! on.

use std::borrow::Cow;

use chrono::TimeDelta;
use shared::domain::job::SendJob;
use shared::domain::message::FailureCode;
use shared::domain::phone::other_spelling;
use shared::domain::question::Found;
use shared::domain::recipient::Recipient;
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::warn;

use super::journey::{End, Journey, Stopped};
use super::pace;
use super::put_off::Later;
use super::send::Sender;
use crate::connection::SendError;
use crate::instance::link::Link;

/// For how long a message waits in its lane until numbers may be looked up again.
const MOMENT: TimeDelta = TimeDelta::minutes(1);

/// How many look-ups of a number fail in a row, which takes about a minute, before its message is put off.
const LOOK_UPS: u32 = 6;

/// Why nobody knows how WhatsApp spells a number.
enum Unspelt {
    /// It is looked up later.
    Later(Later),
    /// It could not be looked up.
    Failed(SendError),
}

/// The other form of the number that a message goes to, where people write it in two.
pub fn other_spelling_of(send: &SendJob) -> Option<String> {
    send.to.phone().and_then(other_spelling)
}

impl Sender<'_> {
    /// The job, to the number that WhatsApp knows. `None` where that could not be found out now: the message has paused.
    pub async fn as_spelt<'a>(
        &self,
        link: &Link,
        send: &'a SendJob,
        journey: &mut Journey,
    ) -> Result<Option<Cow<'a, SendJob>>, Stopped> {
        if other_spelling_of(send).is_none() {
            return Ok(Some(Cow::Borrowed(send)));
        }
        let began = Instant::now();
        let error = match self.unless_over(send, self.spelling(link, send)).await? {
            Ok(to) => {
                if std::mem::take(&mut journey.look_ups) > 0 {
                    journey.waits_for = None;
                }
                return Ok(Some(to.filter(|to| *to != send.to).map_or(
                    Cow::Borrowed(send),
                    |to| {
                        Cow::Owned(SendJob {
                            chat: Some(send.chat().clone()),
                            to,
                            ..send.clone()
                        })
                    },
                )));
            }
            Err(Unspelt::Later(later)) => return Err(End::Later(later).into()),
            Err(Unspelt::Failed(error)) => error,
        };
        let pause = match error {
            // There is another link in a moment.
            SendError::NotConnected | SendError::Interrupted { .. } => pace::after(1, rand::random()),
            error => {
                journey.look_ups = journey.look_ups.saturating_add(1);
                let failures = journey.look_ups;
                warn!(message.id = %send.message, failures, error = %chain(&error), "a number could not be looked up");
                if let SendError::Throttled { after, .. } = error {
                    journey.waits_for = Some(FailureCode::RateOverlimit);
                    self.wire.look_ups.slow(began, after, rand::random());
                }
                if journey.put_offs > 0 || failures >= LOOK_UPS {
                    return Err(End::Later(self.again_later(journey, None)).into());
                }
                pace::after(failures, rand::random())
            }
        };
        self.unless_over(send, tokio::time::sleep(pause)).await?;
        Ok(None)
    }

    /// Waits while WhatsApp wants to be asked less, or the instance to be silent.
    pub async fn until_look_ups(&self) {
        let paces = [&self.wire.look_ups, &self.wire.pace];
        while let Some(until) = paces.iter().filter_map(|pace| pace.until()).max() {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Until when a message that may need a look-up is put off, where WhatsApp wants none for longer than a moment. All are
    /// put off until the same time, so that those of a chat keep their order.
    pub fn after_look_ups(&self) -> Option<Later> {
        let left = self
            .wire
            .look_ups
            .until()?
            .saturating_duration_since(Instant::now());
        let left = TimeDelta::from_std(left).ok().filter(|left| *left > MOMENT)?;
        Some(Later {
            code: FailureCode::RateOverlimit,
            at: self.deps.clock.now() + left,
            told: None,
        })
    }

    /// The number that WhatsApp knows; `None` where it is the one that was given, or nobody is found by any.
    async fn spelling(&self, link: &Link, send: &SendJob) -> Result<Option<Recipient>, Unspelt> {
        let (people, fence) = (&self.deps.people, &self.hold.fence);
        let known = people.who_is(send.instance, &send.to).await;
        let spelt = known.as_spelt(&send.to);
        // Whoever has a LID or was found by this very number is there.
        let is_found = known.person.lid.is_some() || known.is_known_as(self.deps.clock.now()).is_some();
        if spelt != send.to || is_found || link.connection.other_name(&send.to).await.is_some() {
            return Ok(Some(spelt));
        }
        if let Some(later) = self.after_look_ups() {
            return Err(Unspelt::Later(later));
        }
        self.until_look_ups().await;
        let began = Instant::now();
        let found = link.connection.look_up(&send.to).await;
        let found = found.map_err(Unspelt::Failed)?;
        self.wire.look_ups.ease(began);
        let there = match &found {
            Found::There { person, .. } => person.phone.clone().map(Recipient::Phone),
            // How the send itself ends says more.
            Found::Absent | Found::Unsaid => None,
        };
        if there.is_some() {
            people.find(send.instance, fence, &[(send.to.clone(), found)]);
        }
        Ok(there)
    }
}
