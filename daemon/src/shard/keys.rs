//! The keys of those whom a message to many goes to, before it takes its turn on the wire.
//!
//! The first message to a group of a thousand, or the first status to as many, needs a key of each member's devices. Getting
//! them takes as long as it takes, and the queue gives nothing more of a lane while one of its jobs is held. So after a few
//! seconds the agreement goes on in the background (`agreements.rs`) and the message is put off; it comes back soon after the
//! keys are there. What was got is stored: an attempt after a failure, or after a restart, goes on behind it.
//!
//! What is fetched for a message is fetched behind that, since none of it is kept when the message is put off.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::content::Content;
use shared::domain::job::SendJob;
use shared::domain::message::FailureCode;
use shared::domain::recipient::Recipient;
use shared::telemetry::chain;
use tokio::sync::MutexGuard;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::files::is_there;
use super::journey::{End, Journey, Stopped};
use super::lanes::Job;
use super::pace;
use super::previews::wants_preview;
use super::put_off::Later;
use super::send::{Sender, account_changed};
use super::wire::Wire;
use crate::connection::{Crowd, SendError};
use crate::instance::link::Link;
use crate::lease::Hold;

/// How long a message waits for keys in its lane before it is put off.
pub const KEYS_PATIENCE: Duration = Duration::from_secs(3);

/// How many failures in a row, which take about a minute, end an agreement, or the question to how many a message goes.
const TRIES: u32 = 6;

/// How long a message waits in its lane until it is known whether it goes to many.
const COUNTING: Duration = Duration::from_mins(1);

impl Sender<'_> {
    /// Waits until a message to many, for which something is to be fetched, may have that: it is its turn in its chat, and those
    /// whom it goes to have what they need.
    pub async fn before_fetching(
        &self,
        job: &Job,
        send: &SendJob,
        content: &Content,
        journey: &mut Journey,
    ) -> Result<(), Stopped> {
        let is_to_many = send.to == Recipient::Status || send.to.group().is_some();
        let is_complete = is_there(content) && !wants_preview(content);
        if !is_to_many || is_complete || journey.keys_at.is_some() {
            return Ok(());
        }
        self.lane.held.set_waits(&job.received.message_id, true);
        let had = Box::pin(self.until_keys(send, journey)).await;
        self.lane.held.set_waits(&job.received.message_id, false);
        had
    }

    async fn until_keys(&self, send: &SendJob, journey: &mut Journey) -> Result<(), Stopped> {
        let mut links = self.links.watch(send.instance);
        while journey.keys_at.is_none() {
            let link = async { links.wait_for(Option::is_some).await.map(|link| link.clone()) };
            let link = self.unless_over(send, link).await?;
            let link = link.ok().flatten().ok_or(Stopped::LookAgain)?;
            if let Some(account) = &send.account
                && link.account.is_same_as(account) == Some(false)
            {
                return Err(account_changed().into());
            }
            // One that waits for something else needs none of this now.
            if let Some(later) = self.kept_from(&link, send, journey).await? {
                return Err(End::Later(later).into());
            }
            self.comes_in_turn(send, journey)?;
            let crowd = if send.to == Recipient::Status {
                let audience = self.find_audience(&link, send, journey).await?;
                audience.map(Crowd::Audience)
            } else {
                Some(Crowd::Group(send.to.clone()))
            };
            if let Some(crowd) = crowd
                && self.agree(&link, send, crowd, journey).await?
            {
                journey.keys_at = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// The turn again, once the members of the group that a message goes to have what they need. `None` where the message has
    /// paused.
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
        self.comes_in_turn(send, journey)?;
        let group = Crowd::Group(send.to.clone());
        if !Box::pin(self.agree(link, send, group, journey)).await? {
            return Ok(None);
        }
        self.lane.held.set_waits(&job.received.message_id, false);
        let turn = self.unless_over(send, self.lane.turn.lock()).await?;
        Ok(Some(turn))
    }

    /// Puts a message off while keys for its chat are agreed upon, or messages that were put off for that come back before it.
    pub fn comes_in_turn(&self, send: &SendJob, journey: &Journey) -> Result<(), Stopped> {
        let now = self.deps.clock.now();
        let waits = self.wire.agreements.waits_until(send.chat(), send.message, now);
        waits.map_or(Ok(()), |at| Err(End::Later(for_keys(journey, at)).into()))
    }

    /// Agrees on keys with those whom a message goes to, whose turn in its chat it is. `false` where the message has paused.
    pub async fn agree(
        &self,
        link: &Link,
        send: &SendJob,
        crowd: Crowd,
        journey: &mut Journey,
    ) -> Result<bool, Stopped> {
        let (chat, id, agreements) = (send.chat(), send.message, &self.wire.agreements);
        let agreed = match agreements.ended(chat, id) {
            Some(ended) => {
                let ended = self.unless_over(send, ended).await?;
                ended.unwrap_or_else(|panicked| Err(SendError::Failed(Box::new(panicked))))
            }
            None => self.begin(link, send, crowd, journey).await?,
        };
        let error = match agreed {
            // How the send itself ends says more than a refusal here.
            Ok(()) | Err(SendError::Refused(_)) => {
                if agreements.is_through(chat, id) {
                    journey.waits_for = None;
                }
                return Ok(true);
            }
            // There is another link in a moment.
            Err(SendError::NotConnected | SendError::Interrupted { .. }) => {
                debug!(message.id = %id, "the connection ended while keys were agreed upon");
                let pause = pace::after(1, rand::random());
                self.unless_over(send, tokio::time::sleep(pause)).await?;
                return Ok(false);
            }
            Err(error) => error,
        };
        warn!(message.id = %id, error = %chain(&error), "a message is put off for keys that cannot be had");
        let asked = if let SendError::Throttled { after, .. } = error {
            journey.waits_for = Some(FailureCode::RateOverlimit);
            after
        } else {
            None
        };
        let later = self.again_later(journey, asked);
        let at = agreements.put_off(chat, id, self.deps.clock.now(), later.at);
        Err(End::Later(Later { at, ..later }).into())
    }

    /// Begins to agree on keys. Where that takes long the message is put off, and it goes on.
    async fn begin(
        &self,
        link: &Link,
        send: &SendJob,
        crowd: Crowd,
        journey: &Journey,
    ) -> Result<Result<(), SendError>, Stopped> {
        // One that was put off because they could not be had finds out whether they can.
        let tries = if journey.put_offs > 0 { 1 } else { TRIES };
        let counting = tried(self.wire, tries, || link.connection.are_many(&crowd));
        let counting = tokio::time::timeout(COUNTING, counting);
        match self
            .unless_over(send, counting)
            .await?
            .unwrap_or(Err(SendError::Timeout))
        {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
        let agreeing = agree(
            link.clone(),
            Arc::clone(self.wire),
            self.hold.clone(),
            crowd,
            tries,
        );
        let mut agreeing = Box::pin(agreeing);
        let in_time = tokio::time::timeout(self.deps.keys_patience, &mut agreeing);
        if let Ok(agreed) = self.unless_over(send, in_time).await? {
            return Ok(agreed);
        }
        debug!(message.id = %send.message, "keys take long: they are agreed upon in the background");
        let (chat, now) = (send.chat(), self.deps.clock.now());
        let agreement = self.tasks.spawn(agreeing);
        let at = self.wire.agreements.goes_on(chat, send.message, agreement, now);
        Err(End::Later(for_keys(journey, at)).into())
    }
}

/// A message waits for keys that are agreed upon. Nothing has failed.
fn for_keys(journey: &Journey, at: DateTime<Utc>) -> Later {
    Later {
        code: journey.waits_for.unwrap_or(FailureCode::Expired),
        at,
        told: None,
    }
}

/// Agrees on keys over a link, until that has failed so many times in a row or the shard is given up.
async fn agree(link: Link, wire: Arc<Wire>, hold: Hold, crowd: Crowd, tries: u32) -> Result<(), SendError> {
    tokio::select! {
        biased;
        () = super::over(&hold) => Err(SendError::NotConnected),
        agreed = tried(&wire, tries, || link.connection.agree_on_keys(&crowd)) => agreed,
    }
}

/// Asks, until that has failed so many times in a row.
async fn tried<T, Asking>(wire: &Wire, tries: u32, mut asks: impl FnMut() -> Asking) -> Result<T, SendError>
where
    Asking: Future<Output = Result<T, SendError>>,
{
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let error = match asks().await {
            Err(
                error @ (SendError::State(_)
                | SendError::Unavailable(_)
                | SendError::Failed(_)
                | SendError::Timeout),
            ) => error,
            Err(SendError::Throttled { after, source }) => {
                wire.look_ups.slow(began, after, rand::random());
                return Err(SendError::Throttled { after, source });
            }
            ended => return ended,
        };
        failures += 1;
        if failures >= tries {
            return Err(error);
        }
        warn!(failures, error = %chain(&error), "keys of many could not be agreed upon");
        tokio::time::sleep(pace::after(failures, rand::random())).await;
    }
}
