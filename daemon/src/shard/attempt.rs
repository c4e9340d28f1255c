//! Bringing one message to the server: over as many connections, and with as many pauses, as its
//! time allows.

use std::borrow::Cow;
use std::time::Duration;

use shared::domain::content::Said;
use shared::domain::job::SendJob;
use shared::domain::message::{MessageRecord, State};
use shared::domain::recipient::Recipient;
use shared::fault;
use shared::storage::StorageError;
use shared::telemetry::chain;
use tokio::sync::{MutexGuard, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::destination::other_spelling_of;
use super::journey::{End, Journey, Stopped};
use super::lanes::Job;
use super::pace;
use super::pacer::STRANGER;
use super::send::{Sender, account_changed};
use super::traced;
use super::verdict::{self, Verdict};
use crate::connection::{Audience, SendError};
use crate::instance::link::Link;
use crate::meter::Retry;

/// How long a message may take to get onto the wire. The session has shorter deadlines for each part of that, and tells whether the
/// message may be out where one is over.
const WIRE_DEADLINE: Duration = Duration::from_mins(1);

/// How long the server may take to acknowledge a message before it is sent again under the same id.
const ACK_DEADLINE: Duration = Duration::from_secs(20);

/// How long a connection has to stand without a suspected message before an end under that message tells something of
/// it.
const STANDS: Duration = Duration::from_secs(3);

/// How long nothing at all may come during the round trip after that.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// How long a link may still be shown after it has ended.
const LINK_LAG: Duration = Duration::from_millis(200);

/// How long after a broken-off send the session's end may be told.
const END_LAG: Duration = Duration::from_secs(15);

/// What came of sending over one connection.
pub enum Attempt {
    /// The server took it.
    Acknowledged,
    /// The server refused it with an error.
    Refused(u32),
    /// It went out, and the server has not answered in time.
    Unanswered,
    /// The connection ended on the way. `is_told_of` where that tells something of the message.
    CutShort { may_be_out: bool, is_told_of: bool },
    /// It did not go out.
    Failed(SendError),
}

impl Attempt {
    /// Why another attempt of a message to `to` follows, where one does; `None` where nothing was tried.
    fn retry(&self, to: &Recipient) -> Option<Retry> {
        match self {
            Self::Acknowledged | Self::Failed(SendError::NotConnected | SendError::Interrupted { .. }) => {
                None
            }
            Self::Refused(error) if verdict::of(*error, to) == Verdict::Slower => Some(Retry::Throttled),
            Self::Failed(SendError::Throttled { .. }) => Some(Retry::Throttled),
            Self::Refused(_) => Some(Retry::Refused),
            Self::Unanswered => Some(Retry::Unanswered),
            Self::CutShort { .. } => Some(Retry::ConnectionEnded),
            Self::Failed(_) => Some(Retry::NotSent),
        }
    }
}

/// The connections of an instance, one after the other.
pub type Links = watch::Receiver<Option<Link>>;

impl Sender<'_> {
    /// Brings the message to the server. `None` where the instance has to be looked at again first.
    pub async fn until_acked(
        &self,
        job: &Job,
        send: &SendJob,
        said: &Said,
        journey: &mut Journey,
    ) -> Option<End> {
        let mut links = self.links.watch(send.instance);
        loop {
            let round = self.round(&mut links, job, send, said, journey).await;
            // A pause, or a lane's wait for its instance, ends with the round.
            self.lane.held.set_waits(&job.received.message_id, false);
            match round {
                Ok(()) => {}
                Err(Stopped::End(end)) => return Some(end),
                Err(Stopped::LookAgain) => return None,
            }
        }
    }

    /// One attempt and, where it failed, the pause after it. A lane has one message on the wire at a time; while this
    /// one pauses it is the next chat's turn.
    async fn round(
        &self,
        links: &mut Links,
        job: &Job,
        send: &SendJob,
        said: &Said,
        journey: &mut Journey,
    ) -> Result<(), Stopped> {
        let mut turn = self.unless_over(send, self.lane.turn.lock()).await?;
        self.lane.held.set_waiting(links.borrow().is_none());
        let link = async { links.wait_for(Option::is_some).await.map(|link| link.clone()) };
        let link = self.unless_over(send, link).await?;
        let Some(link) = link.map_err(|_| Stopped::LookAgain)? else {
            return Ok(());
        };
        self.lane.held.set_waiting(false);
        if let Some(account) = &send.account
            && link.account.is_same_as(account) == Some(false)
        {
            return Err(account_changed().into());
        }
        if journey.cuts > 0 && link.number != journey.cut_link + 1 {
            debug!(message.id = %send.message, "a connection has ended without this message");
            journey.cuts = 0;
        }
        if journey.cuts > 0 {
            drop(turn);
            if !self.unless_over(send, stands(&link, links)).await? {
                debug!(message.id = %send.message, "the connection does not stand without this message either");
                journey.cuts = 0;
                return Ok(());
            }
            turn = self.unless_over(send, self.lane.turn.lock()).await?;
        }
        let Some(turn) = self.with_keys(job, &link, send, journey, turn).await? else {
            return Ok(());
        };
        // Before the wire, where it would be in the way of other lanes.
        let Some((spelt, turn)) = self.destined(job, &link, send, journey, turn).await? else {
            return Ok(());
        };
        let spelt = &*spelt;
        let Some((audience, turn)) = self.with_audience(job, &link, spelt, journey, turn).await? else {
            return Ok(());
        };
        self.keep_pace(&link, spelt).await?;
        if !self.type_before(&link, links, spelt, journey).await? {
            return Ok(());
        }
        self.lane.held.set_waiting(self.wire.pace.until().is_some());
        let entering = self.wire.enter(send.message, journey.is_suspect);
        let present = self.unless_over(send, entering).await?;
        self.lane.held.set_waiting(false);
        if !journey.was_just_read() {
            let looked = self.unless_over(send, self.look_at_record(send, journey)).await?;
            if let Some(end) = looked {
                return Err(end.into());
            }
        }
        if links.has_changed().unwrap_or(true) {
            return Ok(());
        }
        journey.attempts = journey.attempts.saturating_add(1);
        let span = traced::attempt(journey.attempts);
        let attempt = self.over(&link, spelt, said, audience.as_ref()).await;
        traced::attempted(span, &attempt);
        let (began, was_alone) = (present.began, present.is_alone());
        drop(present);
        drop(turn);
        let retry = attempt.retry(&spelt.to);
        self.judge(attempt, &link, spelt, journey, began, was_alone)
            .await?;
        if let Some(retry) = retry {
            self.deps.meter.retries.add(retry);
        }
        self.lane.held.set_waits(&job.received.message_id, true);
        let pause = if journey.is_suspect || journey.failures == 0 {
            LINK_LAG
        } else {
            pace::after(journey.failures, rand::random())
        };
        self.unless_over(send, tokio::time::sleep(pause)).await
    }

    /// The job, to the number that WhatsApp knows, where nothing puts it off. What has to be found out for that is found out
    /// while it is other chats' turn. `None` where it could not be, and the message has paused.
    async fn destined<'a>(
        &'a self,
        job: &Job,
        link: &Link,
        send: &'a SendJob,
        journey: &mut Journey,
        turn: MutexGuard<'a, ()>,
    ) -> Result<Option<(Cow<'a, SendJob>, MutexGuard<'a, ()>)>, Stopped> {
        let is_restricted = self.wire.reachout.now(self.deps.clock.now()).is_some();
        if !is_restricted && other_spelling_of(send).is_none() {
            return Ok(Some((Cow::Borrowed(send), turn)));
        }
        drop(turn);
        self.lane.held.set_waits(&job.received.message_id, true);
        // Most messages need none of this, and none of them takes room for it.
        if let Some(later) = Box::pin(self.kept_from(link, send, journey)).await? {
            return Err(End::Later(later).into());
        }
        let Some(spelt) = Box::pin(self.as_spelt(link, send, journey)).await? else {
            return Ok(None);
        };
        self.lane.held.set_waits(&job.received.message_id, false);
        let turn = self.unless_over(send, self.lane.turn.lock()).await?;
        Ok(Some((spelt, turn)))
    }

    /// Waits for the message's place among those that the instance sends in a minute.
    async fn keep_pace(&self, link: &Link, send: &SendJob) -> Result<(), Stopped> {
        let pacer = &self.wire.pacer;
        if !pacer.is_set() {
            return Ok(());
        }
        self.lane.held.set_waiting(true);
        let meeting = link.connection.has_written_to(&send.to);
        let places = if self.unless_over(send, meeting).await? {
            1
        } else {
            STRANGER
        };
        self.unless_over(send, pacer.wait(places, rand::random())).await
    }

    /// Reads a message's record before it goes to the wire: the message may have been taken back while it waited.
    pub async fn look_at_record(&self, send: &SendJob, journey: &mut Journey) -> Option<End> {
        match self.is_to_be_sent(send, journey).await {
            Ok(end) => end,
            Err(error) => {
                warn!(message.id = %send.message, error = %chain(&error), "a record cannot be read before its message is sent");
                Some(End::Unread)
            }
        }
    }

    /// Reads the record, and answers what it has against sending the message; `None` for nothing.
    pub async fn is_to_be_sent(
        &self,
        send: &SendJob,
        journey: &mut Journey,
    ) -> Result<Option<End>, StorageError> {
        let began = Instant::now();
        let record = self.deps.messages.get(send.instance, send.message).await?;
        journey.read_at = Some(began);
        Ok(self.against(send, record))
    }

    /// What a record that was read just now has against sending the message; `None` for nothing. A message without one is sent:
    /// its job is the promise.
    pub fn against(&self, send: &SendJob, record: Option<MessageRecord>) -> Option<End> {
        match record {
            Some(record) if record.state == State::Unknown => {
                let is_left = self.left(send).is_some();
                if is_left {
                    warn!(message.id = %send.message, "left the job of a message in a state of a newer version");
                }
                is_left.then_some(End::Unread)
            }
            Some(record) if record.state.is_past_sending() => Some(End::Past(Box::new(record))),
            _ => None,
        }
    }

    /// Sends over one connection and waits for the server's answer.
    async fn over(&self, link: &Link, send: &SendJob, said: &Said, audience: Option<&Audience>) -> Attempt {
        let mut ack = link.acks.expect(send.message);
        let sending = match audience {
            Some(audience) => link.connection.send_status(send.message, said, audience),
            None => link.connection.send(send.message, &send.to, said),
        };
        let written = tokio::time::timeout(WIRE_DEADLINE, sending).await;
        if let Err(error) = written.unwrap_or(Err(SendError::Timeout)) {
            // The failure may have come after the wire, and the server's answer is here.
            return match (ack.try_recv(), error) {
                (Ok(answer), _) => answered(answer),
                (Err(_), SendError::Interrupted { may_be_out }) => cut_short(link, may_be_out).await,
                (Err(_), error) => Attempt::Failed(error),
            };
        }
        let (out_at, out) = (self.deps.clock.now(), Instant::now());
        fault::point("after-wire");
        match tokio::time::timeout(ACK_DEADLINE, ack).await {
            Ok(Ok(None)) => {
                let meter = &self.deps.meter;
                let waited = (out_at - send.waits_since()).to_std();
                meter.sent_after.note(waited.unwrap_or_default());
                meter.acknowledged_after.note(out.elapsed());
                Attempt::Acknowledged
            }
            Ok(Ok(answer)) => answered(answer),
            Ok(Err(_)) => cut_short(link, true).await,
            Err(_) => Attempt::Unanswered,
        }
    }

    /// Waits for `what`, but no longer than the message's time, the lease and the hold of its job.
    pub async fn unless_over<T>(&self, send: &SendJob, what: impl Future<Output = T>) -> Result<T, Stopped> {
        let left = self.left(send).ok_or(End::OutOfTime)?;
        tokio::select! {
            biased;
            () = super::over(self.hold) => Err(End::GivenUp.into()),
            () = self.lane.back.cancelled() => Err(End::GivenUp.into()),
            done = what => Ok(done),
            () = tokio::time::sleep(left) => Err(End::OutOfTime.into()),
        }
    }
}

fn answered(error: Option<u32>) -> Attempt {
    error.map_or(Attempt::Acknowledged, Attempt::Refused)
}

/// A connection has ended under a message. That tells something of the message only if its bytes may have been on the
/// wire.
async fn cut_short(link: &Link, may_be_out: bool) -> Attempt {
    let is_told_of = may_be_out && link.acks.blames_wire(END_LAG).await;
    Attempt::CutShort {
        may_be_out,
        is_told_of,
    }
}

/// Whether a connection stands while a suspected message is not on it.
async fn stands(link: &Link, links: &mut Links) -> bool {
    tokio::select! {
        () = tokio::time::sleep(STANDS) => {}
        _ = links.changed() => return false,
    }
    link.connection.probe(PROBE_PATIENCE).await.is_ok() && !links.has_changed().unwrap_or(true)
}
