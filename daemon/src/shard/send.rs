//! One send: from its job to its stored state.
//!
//! A job may come twice, and its daemon may end at any point of this. It is sent under an
//! id that derives from the message's own, its state is read first and written before the
//! job is deleted: so the recipient's apps show it once, whatever happens.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::domain::job::{self, Content, Job, PayloadError, SendJob};
use shared::domain::message::{Failure, State};
use shared::fault;
use shared::queue::Received;
use shared::seal::Purpose;
use shared::storage::StorageError;
use shared::storage::counters::Counter;
use shared::storage::messages::{Change, Transition};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::hold::Held;
use super::sends::left_for_a_newer_daemon;
use crate::connection::SendError;
use crate::deps::Deps;
use crate::instance::link::{Link, Links};
use crate::instance::receipts::{ended, passed};
use crate::instance::tally;
use crate::lease::{Hold, chain};

/// How long the server may take to acknowledge a message before it is sent again under
/// the same id.
const ACK_DEADLINE: Duration = Duration::from_secs(20);

/// How often a message is tried on a connection that stands before it counts as poison.
const ATTEMPTS: u32 = 5;

/// The pause between two of them, times the attempts so far.
const PAUSE: Duration = Duration::from_secs(2);

/// How long a job is hidden when the table cannot be read or written.
const TABLE_PAUSE: Duration = Duration::from_secs(5);

/// What is to become of a job.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// Its effect is stored: delete it.
    Delete,
    /// It cannot be done, ever.
    Park(String),
    /// It stays in the queue, hidden for a while, and the lane behind it too.
    LeaveFor(Duration),
}

/// Sends the messages of one lane.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Stores and queues.
    pub deps: &'a Deps,
    /// The lease.
    pub hold: &'a Hold,
    /// The connections.
    pub links: &'a Links,
    /// The lane's jobs.
    pub held: &'a Held,
}

enum Wire {
    Acked(Option<u32>),
    Refused(Failure),
    Expired,
    GivenUp,
}

/// What came of sending over one connection.
enum Attempt {
    /// The server took it, or refused it with an error.
    Answered(Option<u32>),
    /// It went out, and the server has not answered in time.
    Unanswered,
    /// It went out, and the connection ended before an answer.
    CutShort,
    /// It did not go out.
    Failed(SendError),
}

impl Sender<'_> {
    /// Does a job.
    pub async fn run(&self, received: &Received) -> Done {
        let job = match job::decode::<Job>(&received.body) {
            Ok(Job::Send(job)) => job,
            Err(PayloadError::Newer(version)) => {
                warn!(version, "left a job of a newer version");
                return left_for_a_newer_daemon();
            }
            Err(error) => return Done::Park(chain(&error)),
        };
        let done = match self.send(&job).await {
            // Whoever sent it must not wait for ever for a job that no one can do.
            Ok(Done::Park(reason)) => {
                let change = Change {
                    state: State::Failed,
                    at: self.deps.clock.now(),
                    failure: Some(impossible()),
                };
                self.store(&job, &change).await.map(|()| Done::Park(reason))
            }
            done => done,
        };
        match done {
            Ok(done) => done,
            Err(error) if !error.nature().is_permanent() => {
                warn!(message.id = %job.message, error = %chain(&error), "the table is in the way of a send");
                Done::LeaveFor(TABLE_PAUSE)
            }
            Err(error) => Done::Park(chain(&error)),
        }
    }

    async fn send(&self, job: &SendJob) -> Result<Done, StorageError> {
        let record = self.deps.messages.get(job.instance, job.message).await?;
        if record.is_some_and(|record| record.state.is_past_sending()) {
            debug!(message.id = %job.message, "this message is past sending already");
            return Ok(Done::Delete);
        }
        // An instance with a connection is there. To ask for each of its messages would
        // double what a send reads.
        let is_connected = self.links.watch(job.instance).borrow().is_some();
        if !is_connected && self.deps.instances.load(job.instance).await?.is_none() {
            info!(message.id = %job.message, "the instance is gone, and its messages with it");
            return Ok(Done::Delete);
        }
        let content = match self.open(job).await {
            Ok(content) => content,
            Err(done) => return Ok(done),
        };
        let (state, failure) = match self.until_acked(job, &content).await {
            Wire::Acked(None) => (State::Sent, None),
            Wire::Acked(Some(error)) => (State::Failed, Some(Failure::from_server(error))),
            Wire::Refused(failure) => (State::Failed, Some(failure)),
            Wire::Expired => (State::Expired, Some(expired())),
            Wire::GivenUp => return Ok(Done::LeaveFor(Duration::ZERO)),
        };
        fault::point("after-ack");
        self.store(
            job,
            &Change {
                state,
                at: self.deps.clock.now(),
                failure,
            },
        )
        .await?;
        fault::point("after-store");
        Ok(Done::Delete)
    }

    async fn open(&self, job: &SendJob) -> Result<Content, Done> {
        let sealed = STANDARD
            .decode(&job.content)
            .map_err(|error| Done::Park(format!("content: {error}")))?;
        let aad = job.message.to_string();
        match self
            .deps
            .sealer
            .open(job.instance, Purpose::Content, aad.as_bytes(), &sealed)
            .await
        {
            Ok(plain) => serde_json::from_slice(&plain)
                .map_err(|_| Done::Park("content: not what a job carries".into())),
            Err(error) if !error.nature().is_permanent() => {
                warn!(message.id = %job.message, error = %chain(&error), "the content's key is out of reach");
                Err(Done::LeaveFor(TABLE_PAUSE))
            }
            Err(error) => Err(Done::Park(chain(&error))),
        }
    }

    /// Brings the message to the server, over as many connections as it takes.
    async fn until_acked(&self, job: &SendJob, content: &Content) -> Wire {
        let (mut failures, mut was_out) = (0, false);
        let mut links = self.links.watch(job.instance);
        loop {
            let Ok(left) = (job.expires_at - self.deps.clock.now()).to_std() else {
                return Wire::Expired;
            };
            if left.is_zero() {
                return Wire::Expired;
            }
            self.held.set_waiting(links.borrow().is_none());
            let link = tokio::select! {
                link = links.wait_for(Option::is_some) => match link {
                    Ok(link) => link.clone(),
                    Err(_) => return Wire::GivenUp,
                },
                () = tokio::time::sleep(left) => return Wire::Expired,
                () = super::over(self.hold) => return Wire::GivenUp,
            };
            let Some(link) = link else { continue };
            self.held.set_waiting(false);
            match self.over(&link, job, content).await {
                Attempt::Answered(error) => return Wire::Acked(error),
                Attempt::Failed(SendError::NotOnWhatsApp) => {
                    let fence = &self.hold.fence;
                    self.deps.people.miss(job.instance, fence, &job.to);
                    return Wire::Refused(Failure::from_server(404));
                }
                ended @ (Attempt::CutShort | Attempt::Failed(SendError::NotConnected)) => {
                    was_out |= matches!(ended, Attempt::CutShort);
                    // The link is about to be taken away; a moment later there is another.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
                Attempt::Unanswered => {
                    failures += 1;
                    was_out = true;
                    warn!(message.id = %job.message, failures, "no acknowledgement in time");
                }
                Attempt::Failed(error) => {
                    failures += 1;
                    warn!(message.id = %job.message, failures, error = %chain(&error), "a send failed");
                }
            }
            if failures >= ATTEMPTS {
                return Wire::Refused(given_up(was_out));
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE * failures) => {}
                () = super::over(self.hold) => return Wire::GivenUp,
            }
        }
    }

    /// Sends over one connection and waits for the server's answer.
    async fn over(&self, link: &Link, job: &SendJob, content: &Content) -> Attempt {
        let ack = link.acks.expect(job.message);
        let Content::Text { text } = content;
        let sending = link.connection.send_text(job.message, &job.to, text);
        match tokio::time::timeout(ACK_DEADLINE, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Attempt::Failed(error),
            Err(_) => return Attempt::Failed(SendError::Timeout),
        }
        fault::point("after-wire");
        match tokio::time::timeout(ACK_DEADLINE, ack).await {
            Ok(Ok(error)) => {
                if error.is_none() {
                    let people = &self.deps.people;
                    people.reach(job.instance, &self.hold.fence, &link.connection, &job.to);
                }
                Attempt::Answered(error)
            }
            Ok(Err(_)) => Attempt::CutShort,
            Err(_) => Attempt::Unanswered,
        }
    }

    /// Stores the message's new state; makes its record where the one that accepted it
    /// has not come to that.
    async fn store(&self, job: &SendJob, change: &Change) -> Result<(), StorageError> {
        let (deps, instance) = (self.deps, job.instance);
        let mut transition = deps.messages.change(instance, job.message, change).await?;
        if transition == Transition::Missing {
            deps.messages.put(&job.record()).await?;
            transition = deps.messages.change(instance, job.message, change).await?;
        }
        let Transition::Made { before, kind } = transition else {
            return Ok(());
        };
        if change.state == State::Sent {
            deps.meter.sent.note(Instant::now());
        }
        let mut counters = match change.state {
            State::Failed | State::Expired => vec![Counter::Failed],
            state => passed(before, state, kind),
        };
        counters.extend(ended(before, job.accepted_at, change.at));
        tally::count(deps, instance, &counters, change.at).await;
        Ok(())
    }
}

/// Why a message failed that was tried often enough on a connection that stands. One that
/// was on the wire may have arrived: to send it anew, under another id, might show it twice.
fn given_up(was_out: bool) -> Failure {
    let (code, message) = if was_out {
        (
            "NO_ACKNOWLEDGEMENT",
            "WhatsApp did not acknowledge the message in several attempts; it may have arrived",
        )
    } else {
        ("SEND_FAILED", "The message could not be sent in several attempts")
    };
    Failure {
        code: code.to_owned(),
        message: message.to_owned(),
        retryable: !was_out,
    }
}

/// Why a message failed whose job is parked.
fn impossible() -> Failure {
    Failure {
        code: "UNPROCESSABLE".to_owned(),
        message: "The message's job could not be read; it is kept for the operator".to_owned(),
        retryable: true,
    }
}

fn expired() -> Failure {
    Failure {
        code: "EXPIRED".to_owned(),
        message: "The message's time to be sent ran out".to_owned(),
        retryable: true,
    }
}
