//! One send: from its job to its stored state.
//!
//! A job may come twice, and its daemon may end at any point. So the message is sent under an id that is derived from
//! its own, its state is read first, and the new state is written before the job is deleted. Whatever happens, the
//! recipient's apps show the message once.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::content::{Content, Said};
use shared::domain::counting;
use shared::domain::instance::{Status, Wanted};
use shared::domain::job::SendJob;
use shared::domain::message::{Failure, FailureCode, Kind, MessageRecord, State};
use shared::domain::payload::PayloadError;
use shared::fault;
use shared::queue::consumer::Done;
use shared::sealed;
use shared::storage::StorageError;
use shared::storage::messages::{Change, Transition};
use shared::telemetry::chain;
use shared::trace;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::agenda::Agenda;
use super::journey::{End, Journey, Stopped};
use super::lanes::{Job, Lane};
use super::pace;
use super::park::set_aside;
use super::put_off::Put;
use super::traced::{self, CameTo};
use super::wire::Wire;
use crate::deps::Deps;
use crate::instance::keeping::Keeping;
use crate::instance::link::Links;
use crate::instance::tally;
use crate::lease::Hold;

/// How far the clocks of functions and daemons may be apart.
const CLOCKS: TimeDelta = TimeDelta::minutes(1);

/// Sends messages of one instance.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Stores and queues.
    pub deps: &'a Deps,
    /// The lease.
    pub hold: &'a Hold,
    /// The connections.
    pub links: &'a Links,
    /// The lane of the jobs.
    pub lane: &'a Lane,
    /// The instance's wire.
    pub wire: &'a Arc<Wire>,
    /// When the shard's messages are due that wait elsewhere.
    pub agenda: &'a Agenda,
    /// Where goes on what outlasts a job.
    pub tasks: &'a TaskTracker,
}

/// Why a job is not sent.
enum Stop {
    /// It stays in the queue.
    Leave,
    /// It cannot be done, ever.
    Park(String),
}

impl Sender<'_> {
    /// Does a job. `past` is what this process knows of it from before.
    pub async fn run(&self, job: &Job, past: &mut Journey) -> Done {
        let send = match &job.decoded {
            Ok(send) => send,
            Err(PayloadError::Newer(version)) => {
                warn!(version, "left a job of a newer version");
                return Done::LeaveFor(pace::newer(job.received.receive_count));
            }
            Err(error) => return self.park(job, None, &chain(error)).await,
        };
        let span = self.span_of(job, send);
        let done = match trace::within(span.context(), self.send(job, send, past)).await {
            Ok(done) => done,
            Err(error @ StorageError::Corrupt { .. }) if self.left(send).is_none() => {
                self.park(job, None, &chain(&error)).await
            }
            // A stored item that cannot be read is not the job's fault: it may be a newer version's, or be mended.
            Err(error) => {
                warn!(message.id = %send.message, error = %chain(&error), "the table is in the way of a send");
                Done::LeaveFor(pace::left(job.received.receive_count))
            }
        };
        traced::ended(span, past, done);
        if done == Done::Delete {
            self.wire.agreements.is_done(send.chat(), send.message);
        }
        done
    }

    async fn send(&self, job: &Job, send: &SendJob, past: &mut Journey) -> Result<Done, StorageError> {
        past.came_to = None;
        if let Some(put_off) = &send.put_off {
            past.goes_on(put_off);
        }
        let mut said = None;
        let mut against = self.first_look(job, send, past).await?;
        let end = loop {
            let end = match against.take() {
                Some(end) => end,
                None => match Box::pin(self.bring_out(job, send, &mut said, past)).await? {
                    Ok(end) => end,
                    Err(done) => return Ok(done),
                },
            };
            let End::Later(later) = end else { break end };
            match Box::pin(self.put_off(job, send, past, &later)).await {
                Put::Away => return Ok(Done::Delete),
                Put::Past(record) => break End::Past(record),
                Put::NotNow => return Ok(Done::LeaveFor(pace::left(job.received.receive_count))),
                Put::Never => against = Box::pin(self.stay(job, send, past, &later)).await,
            }
        };
        let failure = match end {
            End::Sent => None,
            End::Gone => {
                info!(message.id = %send.message, "the instance is gone, and its messages with it");
                return Ok(Done::Delete);
            }
            End::Past(record) => {
                debug!(message.id = %send.message, "this message is past sending");
                if record.state.is_proof_of_sending() {
                    // Whoever stored its state may have ended before it was kept.
                    let is_done = match self.open(send).await {
                        Ok(said) => {
                            let at = record.sent_at.unwrap_or(record.updated_at);
                            self.keep(send, &said, at).await
                        }
                        Err(Stop::Leave) => send.kind != Kind::Revoke,
                        Err(Stop::Park(_)) => true,
                    };
                    if !is_done {
                        return Ok(Done::LeaveFor(pace::left(job.received.receive_count)));
                    }
                }
                return self.past(job, send, &record, past).await;
            }
            // Whoever could be put off was.
            End::Unread | End::Later(_) => {
                return Ok(Done::LeaveFor(pace::left(job.received.receive_count)));
            }
            End::GivenUp => return Ok(Done::LeaveFor(Duration::ZERO)),
            End::Poison => {
                let failure = Failure::of(FailureCode::Poison);
                let reason = "the connection ended each time this message was sent";
                past.came_to = Some(CameTo::failed(FailureCode::Poison));
                return Ok(self.park(job, Some((send, failure)), reason).await);
            }
            End::Failed(failure) => {
                if failure.code == FailureCode::RecipientNotOnWhatsapp.as_str() {
                    let fence = &self.hold.fence;
                    self.deps.people.miss(send.instance, fence, &send.to);
                }
                Some((State::Failed, failure))
            }
            End::OutOfTime => Some(past.out_of_time()),
        };
        let (state, failure) = match failure {
            None => (State::Sent, None),
            Some((state, failure)) if past.may_be_out || past.is_unknown => {
                (state, Some(failure.that_may_have_gone_out()))
            }
            Some((state, failure)) => (state, Some(failure)),
        };
        let at = self.deps.clock.now();
        fault::point("after-ack");
        let mut is_kept = true;
        if state == State::Sent {
            past.may_be_out = true;
            if let Some(said) = &said {
                is_kept = self.keep(send, said, at).await;
            }
        }
        let change = Change { state, at, failure };
        past.came_to = Some(CameTo::of(&change));
        let done = self.settle(job, send, &change, past).await?;
        fault::point("after-store");
        if !is_kept {
            // Its state says by now that it is not to be sent again: only that is left to be done.
            return Ok(Done::LeaveFor(pace::left(job.received.receive_count)));
        }
        Ok(done)
    }

    /// Keeps what a message said, where its instance keeps contents, or goes after what it did to another one. A message that was
    /// sent does not wait for that: where the table is away, its state cannot be stored either, and all of this comes again.
    /// `false` where the job has to come again for it: what was taken back must not stay.
    async fn keep(&self, send: &SendJob, said: &Said, at: DateTime<Utc>) -> bool {
        let keeping = Keeping::new(self.deps, send.instance);
        match keeping.keep_sent(send, said, at).await {
            Ok(()) => true,
            Err(error) => {
                warn!(message.id = %send.message, error = %chain(error.as_ref()), "the content of a message is not kept");
                send.kind != Kind::Revoke
            }
        }
    }

    /// Brings the message, opened into `said`, to the server, until something ends that. `Err` where its job is done with
    /// for now.
    async fn bring_out(
        &self,
        job: &Job,
        send: &SendJob,
        said: &mut Option<Said>,
        past: &mut Journey,
    ) -> Result<Result<End, Done>, StorageError> {
        loop {
            // An instance with a connection exists. Reading it for each message would double what a send reads.
            let is_connected = self.links.watch(send.instance).borrow().is_some();
            if !is_connected && let Some(end) = self.without_connection(send, past).await? {
                return Ok(Ok(end));
            }
            if self.left(send).is_none() {
                return Ok(Ok(End::OutOfTime));
            }
            if said.is_none() {
                *said = match self.open(send).await {
                    Ok(said) => Some(said),
                    Err(Stop::Leave) => {
                        return Ok(Err(Done::LeaveFor(pace::left(job.received.receive_count))));
                    }
                    Err(Stop::Park(reason)) => {
                        let failure = Failure::of(FailureCode::Unprocessable);
                        past.came_to = Some(CameTo::failed(FailureCode::Unprocessable));
                        return Ok(Err(self.park(job, Some((send, failure)), &reason).await));
                    }
                };
            }
            if let Some(said) = &*said {
                match self.before_fetching(job, send, &said.content, past).await {
                    Ok(()) => {}
                    Err(Stopped::End(end)) => return Ok(Ok(end)),
                    Err(Stopped::LookAgain) => continue,
                }
            }
            let Some(Said { content, context }) = said.take() else {
                continue;
            };
            match self.with_file(job, send, content, past).await {
                Ok(content) => {
                    let content = self.with_preview(job, send, content).await;
                    let ready = Said { content, context };
                    let end = self.until_acked(job, send, &ready, past).await;
                    *said = Some(ready);
                    if let Some(end) = end {
                        return Ok(Ok(end));
                    }
                }
                Err((content, end)) => {
                    *said = Some(Said { content, context });
                    if let Some(end) = end {
                        return Ok(Ok(end));
                    }
                }
            }
        }
    }

    /// Tells of the message as it stands. Where that cannot be done now its job comes again, and so does the telling: of
    /// what another process has stored, too.
    pub async fn tell(&self, job: &Job, record: &MessageRecord) -> Done {
        fault::point("before-status-event");
        match self.deps.announcer.message_is(record).await {
            Ok(()) => Done::Delete,
            Err(error) if error.nature().is_permanent() => {
                // The same would be refused again, for ever.
                error!(message.id = %record.id, error = %chain(&error), "a message's state can never be told");
                Done::Delete
            }
            Err(error) => {
                warn!(message.id = %record.id, error = %chain(&error), "a message's state is told later");
                Done::LeaveFor(pace::left(job.received.receive_count))
            }
        }
    }

    /// What ends a job while its instance has no connection; `None` where the job waits for one.
    pub async fn without_connection(
        &self,
        send: &SendJob,
        past: &mut Journey,
    ) -> Result<Option<End>, StorageError> {
        let Some(instance) = self.deps.instances.get_of_any(send.instance).await? else {
            return Ok(Some(End::Gone));
        };
        let observed = &instance.observed;
        let is_without = !matches!(observed.status, Status::Connected | Status::Unknown);
        if is_without && observed.since + CLOCKS < send.waits_since() {
            // There was no connection since before it was to be sent: no daemon can have sent it.
            past.is_unknown = false;
        }
        let Some(account) = &send.account else {
            return Ok(None);
        };
        // An owner who logs out is done with the account. A phone that has unlinked the instance may link it again,
        // and then the waiting messages go out.
        let is_over = instance.desired.wanted == Wanted::LoggedOut
            || instance
                .account
                .is_some_and(|paired| paired.person.is_same_as(account) == Some(false));
        Ok(is_over.then(account_changed))
    }

    async fn open(&self, send: &SendJob) -> Result<Said, Stop> {
        let opening = sealed::open::<Said>(&self.deps.sealer, send.instance, &send.message, &send.content);
        match opening.await {
            // Its version says that this daemon knows all kinds that it may have.
            Ok(said) if said.content == Content::Unknown => {
                Err(Stop::Park("the content is of no kind that can be sent".into()))
            }
            Ok(said) => Ok(said),
            Err(error) if !error.nature().is_permanent() => {
                warn!(message.id = %send.message, error = %chain(&error), "the content's key is out of reach");
                Err(Stop::Leave)
            }
            Err(error) => Err(Stop::Park(chain(&error))),
        }
    }

    /// The time that a message has left to be sent.
    pub fn left(&self, send: &SendJob) -> Option<Duration> {
        let left = (send.expires_at - self.deps.clock.now()).to_std().ok()?;
        (!left.is_zero()).then_some(left)
    }

    /// Parks a job that cannot be done. First a copy goes to the dead letters, then its message is marked as failed,
    /// then the job is deleted. So nothing is lost wherever this is broken off.
    async fn park(&self, job: &Job, failed: Option<(&SendJob, Failure)>, reason: &str) -> Done {
        let leave = Done::LeaveFor(pace::left(job.received.receive_count));
        if let Err(error) = set_aside(self.deps, self.hold, &job.received, reason).await {
            warn!(job.id = job.received.message_id, error = %chain(&error), "could not park a job");
            return leave;
        }
        let Some((send, failure)) = failed else {
            return Done::Delete;
        };
        // Its sender must not wait for ever for a job that nobody can do.
        let change = Change {
            state: State::Failed,
            at: self.deps.clock.now(),
            failure: Some(failure),
        };
        // The job is not there any more to take back what may be out.
        match self.settle(job, send, &change, &mut Journey::default()).await {
            Ok(done) => done,
            Err(error) => {
                warn!(message.id = %send.message, error = %chain(&error), "the failure of a parked job could not be stored");
                leave
            }
        }
    }

    /// Stores the message's new state, tells of it, and counts it. Makes the record, if the function that accepted the
    /// message has not.
    async fn settle(
        &self,
        job: &Job,
        send: &SendJob,
        change: &Change,
        past: &mut Journey,
    ) -> Result<Done, StorageError> {
        let (deps, instance) = (self.deps, send.instance);
        let mut transition = deps.messages.change(instance, send.message, change).await?;
        if transition == Transition::Missing {
            deps.messages.put(&send.record()).await?;
            transition = deps.messages.change(instance, send.message, change).await?;
        }
        let (counters, record) = match transition {
            Transition::Made { before, kind, record } => {
                let mut counters = counting::moved(kind, before, change.state, send.waits_since(), change.at);
                let away = record.as_ref().and_then(|record| record.put_off_at);
                counters.extend(counting::back(before, away, send.waits_since(), change.at));
                deps.meter.sending_ended(change);
                (counters, record)
            }
            Transition::AlreadyPast { record: Some(record) } => {
                return self.past(job, send, &record, past).await;
            }
            Transition::AlreadyPast { record: None } | Transition::Missing => (Vec::new(), None),
        };
        let done = match record {
            Some(record) => self.tell(job, &record).await,
            None => Done::Delete,
        };
        deps.files.discard(send).await;
        // Counted now even if telling failed: the repeat finds the state stored and does not count.
        tally::count(deps, instance, &counters, change.at).await;
        Ok(done)
    }
}

/// The end of a message that was accepted for another account than the paired one.
pub fn account_changed() -> End {
    End::Failed(Failure::of(FailureCode::AccountChanged))
}
