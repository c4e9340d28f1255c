//! Bringing one message to the server: over as many connections, and with as many pauses, as its
//! time allows.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::content::Said;
use shared::domain::job::{PutOff, SendJob};
use shared::domain::message::{Failure, FailureCode, MessageRecord, State};
use shared::fault;
use shared::storage::StorageError;
use shared::telemetry::chain;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::lanes::Job;
use super::pace;
use super::pacer::STRANGER;
use super::reachout::Restriction;
use super::send::{Sender, account_changed};
use super::verdict::{self, Verdict};
use crate::connection::SendError;
use crate::instance::link::Link;

/// How long the server may take to acknowledge a message before it is sent again under
/// the same id, and how long it may take to get onto the wire.
const ACK_DEADLINE: Duration = Duration::from_secs(20);

/// A message that is alone on the wire is to blame once connections have ended under it this often in a row.
const CUTS: u32 = 3;

/// How long a connection has to stand without a suspected message before an end under that message tells something of
/// it.
const STANDS: Duration = Duration::from_secs(3);

/// How long the round trip after that may take.
const PROBE_DEADLINE: Duration = Duration::from_secs(10);

/// How long a link may still be shown after it has ended.
const LINK_LAG: Duration = Duration::from_millis(200);

/// How long after a broken-off send the session's end may be told.
const END_LAG: Duration = Duration::from_secs(15);

/// How long a record that was read is believed: a message that waits may be taken back.
const FRESH: Duration = Duration::from_secs(2);

/// After so many attempts a refusal counts though WhatsApp does not explain it.
const ASKED_IN_VAIN: u32 = 4;

/// How often a recipient has to be found without devices before that is believed: the server's lists are empty at
/// times.
const LOOKS_FOR_DEVICES: u32 = 4;

/// What this process knows of a message's way so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journey {
    /// It was on the wire, or may have been, and has no acknowledgement: it may have arrived.
    pub may_be_out: bool,
    /// Its job was received before, by another process: nobody knows what came of that.
    pub is_unknown: bool,
    /// Attempts that failed, for the pauses between them.
    failures: u32,
    /// What it waits for, where that has a code.
    pub waits_for: Option<FailureCode>,
    /// Until when, where WhatsApp says so.
    waits_until: Option<DateTime<Utc>>,
    /// How often was done what this side can do about a missing token of trust.
    trust_refreshes: u32,
    /// It was on the wire when a connection ended, and goes out alone from then on.
    is_suspect: bool,
    /// How often in a row a connection ended while it was alone on the wire.
    cuts: u32,
    /// The number of the last of these links.
    cut_link: u64,
    /// When its record was read last.
    pub read_at: Option<Instant>,
    /// When the recipient was shown that somebody types.
    pub typed_at: Option<Instant>,
}

impl Journey {
    /// The journey of a message whose job was received just now, and perhaps before.
    pub fn begun(was_received_before: bool) -> Self {
        Self {
            is_unknown: was_received_before,
            ..Self::default()
        }
    }

    /// What becomes of the message when its time runs out.
    pub fn out_of_time(&self) -> (State, Failure) {
        if self.may_be_out {
            (State::Failed, Failure::of(FailureCode::NoAcknowledgement))
        } else {
            let code = self.waits_for.unwrap_or(FailureCode::Expired);
            let until = self
                .waits_until
                .filter(|_| code == FailureCode::ReachoutRestricted);
            (State::Expired, Failure::of(code).until(until))
        }
    }

    /// Goes on with the journey of a job that was put off, perhaps by another process.
    pub fn goes_on(&mut self, put_off: &PutOff) {
        self.waits_for = self.waits_for.or(put_off.code.parse().ok());
        self.waits_until = self.waits_until.or(put_off.until);
        self.may_be_out |= put_off.may_be_out;
    }

    /// The connection stood, whatever came of the message.
    fn clear(&mut self) {
        self.is_suspect = false;
        self.cuts = 0;
    }

    fn cut(&mut self, was_alone: bool, link: u64) {
        self.is_suspect = true;
        self.cut_link = link;
        self.cuts = if was_alone { self.cuts + 1 } else { 0 };
    }
}

/// How a message's sending ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The server has it.
    Sent,
    /// No waiting helps.
    Failed(Failure),
    /// Its time ran out.
    OutOfTime,
    /// WhatsApp lets the account begin no chats until then, and this would be one.
    Restricted(Restriction),
    /// It ends every connection.
    Poison,
    /// Its instance is gone.
    Gone,
    /// Its record, this one, says that nothing is left to do: it was taken back, or a receipt has come.
    Past(Box<MessageRecord>),
    /// Its record cannot be read, or says what a newer version knows: nobody can say whether it is to be sent.
    Unread,
    /// Another owner, or this one anew, goes on with it.
    GivenUp,
}

/// Why a round was not followed by another.
pub enum Stopped {
    /// It is over.
    End(End),
    /// The instance's links are forgotten: it may be gone.
    LookAgain,
}

impl From<End> for Stopped {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// What came of sending over one connection.
enum Attempt {
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
        if let Some(restriction) = self.wire.reachout.of(send.chat(), self.deps.clock.now()) {
            // An earlier message of the chat was put off: this one stays behind it.
            return Err(End::Restricted(restriction).into());
        }
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
        self.keep_pace(&link, send).await?;
        // Before the wire, where it would be in the way of other lanes.
        if !self.type_before(&link, links, send, journey).await? {
            return Ok(());
        }
        self.lane.held.set_waiting(self.wire.pace.until().is_some());
        let entering = self.wire.enter(send.message, journey.is_suspect);
        let present = self.unless_over(send, entering).await?;
        self.lane.held.set_waiting(false);
        if journey.read_at.is_none_or(|at| at.elapsed() > FRESH) {
            let looked = self.unless_over(send, self.look_at_record(send, journey)).await?;
            if let Some(end) = looked {
                return Err(end.into());
            }
        }
        if links.has_changed().unwrap_or(true) {
            return Ok(());
        }
        let (spelt, attempt) = match self.unless_over(send, self.as_spelt(&link, send)).await? {
            Ok(spelt) => {
                let attempt = self.over(&link, &spelt, said).await;
                (spelt, attempt)
            }
            Err(error) => (Cow::Borrowed(send), Attempt::Failed(error)),
        };
        let (began, was_alone) = (present.began, present.is_alone());
        drop(present);
        drop(turn);
        self.judge(attempt, &link, &spelt, journey, began, was_alone)
            .await?;
        self.lane.held.set_waits(&job.received.message_id, true);
        let pause = if journey.is_suspect || journey.failures == 0 {
            LINK_LAG
        } else {
            pace::after(journey.failures, rand::random())
        };
        self.unless_over(send, tokio::time::sleep(pause)).await
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

    /// What follows from an attempt: an end, or a pause and another.
    async fn judge(
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
                        look_behind(link, send, Some(error), failures).await?;
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
                    SendError::Failed(_) => look_behind(link, send, None, failures).await?,
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
        let (reachout, now) = (&self.wire.reachout, self.deps.clock.now());
        if let Some(restriction) = reachout.now(now) {
            return Err(End::Restricted(reachout.adds(send.chat(), restriction)));
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
                Err(End::Restricted(reachout.adds(send.chat(), restriction)))
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

    /// Reads a message's record before it goes to the wire: the message may have been taken back while it waited.
    async fn look_at_record(&self, send: &SendJob, journey: &mut Journey) -> Option<End> {
        match self.is_to_be_sent(send, journey).await {
            Ok(end) => end,
            Err(error) => {
                warn!(message.id = %send.message, error = %chain(&error), "a record cannot be read before its message is sent");
                Some(End::Unread)
            }
        }
    }

    /// What the record has against sending the message; `None` for nothing.
    pub async fn is_to_be_sent(
        &self,
        send: &SendJob,
        journey: &mut Journey,
    ) -> Result<Option<End>, StorageError> {
        let began = Instant::now();
        let record = self.deps.messages.get(send.instance, send.message).await?;
        journey.read_at = Some(began);
        Ok(match record {
            Some(record) if record.state == State::Unknown => {
                let is_left = self.left(send).is_some();
                if is_left {
                    warn!(message.id = %send.message, "left the job of a message in a state of a newer version");
                }
                is_left.then_some(End::Unread)
            }
            Some(record) if record.state.is_past_sending() => Some(End::Past(Box::new(record))),
            _ => None,
        })
    }

    /// Sends over one connection and waits for the server's answer.
    async fn over(&self, link: &Link, send: &SendJob, said: &Said) -> Attempt {
        let mut ack = link.acks.expect(send.message);
        let sending = link.connection.send(send.message, &send.to, said);
        let written = tokio::time::timeout(ACK_DEADLINE, sending).await;
        if let Err(error) = written.unwrap_or(Err(SendError::Timeout)) {
            // The failure may have come after the wire, and the server's answer is here.
            return match (ack.try_recv(), error) {
                (Ok(answer), _) => answered(answer),
                (Err(_), SendError::Interrupted { may_be_out }) => cut_short(link, may_be_out).await,
                (Err(_), error) => Attempt::Failed(error),
            };
        }
        fault::point("after-wire");
        match tokio::time::timeout(ACK_DEADLINE, ack).await {
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
    link.connection.probe(PROBE_DEADLINE).await.is_ok() && !links.has_changed().unwrap_or(true)
}

/// Asks WhatsApp what stands behind a failure.
async fn explained(link: &Link, send: &SendJob, error: Option<u32>) -> Option<Failure> {
    match link.connection.explain(&send.to, error).await {
        Ok(failure) => failure,
        Err(why) => {
            debug!(message.id = %send.message, error = %chain(&why), "a failure was not explained");
            None
        }
    }
}

/// Asks whether something lasting is behind a failure that may pass: at the first failure, then more and more seldom.
async fn look_behind(link: &Link, send: &SendJob, error: Option<u32>, failures: u32) -> Result<(), End> {
    if !failures.is_power_of_two() {
        return Ok(());
    }
    match explained(link, send, error).await {
        Some(failure)
            if failure.code == FailureCode::NoRecipientDevice.as_str() && failures < LOOKS_FOR_DEVICES =>
        {
            Ok(())
        }
        Some(failure) => Err(End::Failed(failure)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_the_wire_does_not_expire() {
        let code = |journey: Journey| {
            let (state, failure) = journey.out_of_time();
            (state, failure.code, failure.retryable)
        };
        let told = |state, code: FailureCode, again| (state, code.as_str().to_owned(), again);
        assert_eq!(
            code(Journey::default()),
            told(State::Expired, FailureCode::Expired, true)
        );
        let throttled = Journey {
            waits_for: Some(FailureCode::RateOverlimit),
            ..Journey::default()
        };
        assert_eq!(
            code(throttled.clone()),
            told(State::Expired, FailureCode::RateOverlimit, true)
        );
        let out = Journey {
            may_be_out: true,
            ..throttled
        };
        assert_eq!(
            code(out),
            told(State::Failed, FailureCode::NoAcknowledgement, false)
        );
    }

    #[test]
    fn only_cuts_alone_and_in_a_row_count() {
        let mut journey = Journey::default();
        journey.cut(false, 1);
        assert!(journey.is_suspect && journey.cuts == 0);
        journey.cut(true, 2);
        journey.cut(true, 3);
        assert_eq!(journey.cuts, 2);
        journey.clear();
        assert!(!journey.is_suspect && journey.cuts == 0);
    }
}
