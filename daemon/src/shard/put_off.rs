//! Messages that wait for longer than a moment: their jobs go to the due index, each with its reason and its time.
//!
//! A job that is held in its queue keeps later jobs of its lane from being received, those of other chats too. So whatever
//! takes longer than a moment, and is the message's own reason, ends the job: an entry in the due index has it from then
//! on. When its time comes it is handed over to the queue anew (`agenda.rs`), behind what came to its chat meanwhile.
//!
//! In order, so that the message is lost nowhere, and whoever takes it back finds it:
//!
//! 1. The entry is put.
//! 2. The record says where it is, under the condition that the message still waits.
//! 3. The job is deleted.
//!
//! After a crash the job is there, and goes on. An entry that the record does not name is dropped when it is due.

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use shared::domain::counting;
use shared::domain::job::{self, PutOff, SendJob};
use shared::domain::message::{FailureCode, MessageRecord};
use shared::domain::payload;
use shared::fault;
use shared::storage::StorageError;
use shared::storage::messages::Away;
use shared::storage::schedule::{Entry, QueuedLater};
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::{error, warn};

use super::journey::{End, Journey, Stopped};
use super::lanes::Job;
use super::pace;
use super::send::Sender;
use crate::instance::tally;

/// How often the record of a message that waits in its lane is read: it may be taken back.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Why and until when a message is put off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// What its sender is told where its time runs out first.
    pub code: FailureCode,
    /// When it is tried again, if its time is not over before.
    pub at: DateTime<Utc>,
    /// When the reason ends, where WhatsApp says so.
    pub told: Option<DateTime<Utc>>,
}

/// What came of putting a message off.
pub enum Put {
    /// Its job is in the due index, and is to be deleted from its queue.
    Away,
    /// It does not wait any more, as its record says.
    Past(Box<MessageRecord>),
    /// The index never takes it: it waits in its lane.
    Never,
    /// Nobody can say now: its job stays in its queue.
    NotNow,
}

impl Sender<'_> {
    /// Until when a message is put off that waits for something that fails: the longer, the more often it was put off for
    /// that, but not for less than `asked`.
    pub fn again_later(&self, past: &mut Journey, asked: Option<Duration>) -> Later {
        past.put_offs = past.put_offs.saturating_add(1);
        let pause = pace::put_off(past.put_offs, rand::random()).max(asked.unwrap_or_default());
        Later {
            code: past.waits_for.unwrap_or(FailureCode::Expired),
            at: self.deps.clock.now() + TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX),
            told: None,
        }
    }

    /// How long a message pauses in its lane that needs something before the wire which could not be had, where it was tried from
    /// `began` on. It is put off once it has waited there for long, or what it needs has failed others for so long, and each
    /// time after that. It waits for no less than `asked`.
    pub fn pause_or_later(
        &self,
        past: &mut Journey,
        began: Instant,
        fails_for: Duration,
        asked: Option<Duration>,
    ) -> Result<Duration, Later> {
        let (since, failures) = past.unready.unwrap_or((began, 0));
        let failures = failures.saturating_add(1);
        past.unready = Some((since, failures));
        let pause = pace::after(failures, rand::random()).max(asked.unwrap_or_default());
        let waited = since.elapsed().max(fails_for);
        if past.put_offs == 0 && waited + pause <= self.deps.files.patience() {
            return Ok(pause);
        }
        Err(self.again_later(past, asked))
    }

    /// Moves a message's job to the due index.
    pub async fn put_off(&self, job: &Job, send: &SendJob, past: &Journey, later: &Later) -> Put {
        match self.move_away(job, send, past, later).await {
            Ok(put) => put,
            Err(error @ (StorageError::TooLarge(_) | StorageError::Refused(_))) => {
                error!(message.id = %send.message, error = %chain(&error), "a message cannot be put off: it waits in its lane");
                Put::Never
            }
            Err(error) => {
                warn!(message.id = %send.message, error = %chain(&error), "a message could not be put off");
                Put::NotNow
            }
        }
    }

    async fn move_away(
        &self,
        job: &Job,
        send: &SendJob,
        past: &Journey,
        later: &Later,
    ) -> Result<Put, StorageError> {
        let deps = self.deps;
        let at = later.at.min(send.expires_at).trunc_subsecs(3);
        let put_off = SendJob {
            put_off: Some(PutOff {
                code: later.code.to_string(),
                until: later.told,
                may_be_out: past.may_be_out || past.is_unknown,
                times: past.put_offs,
            }),
            ..send.clone()
        };
        let entry = Entry {
            at,
            message: send.message,
            instance: send.instance,
            subscription: None,
            expires_at: send.expires_at,
            job: Some(QueuedLater {
                group: job.received.group.clone().unwrap_or_default(),
                body: payload::encode(&job::Job::Send(put_off)),
            }),
        };
        let (network, shard) = (deps.network, self.hold.shard);
        deps.schedule.put(network, shard, &entry).await?;
        let (instance, message) = (send.instance, send.message);
        let mut away = deps.messages.put_away(instance, message, at).await?;
        if away == Away::Missing {
            // An entry without a record counts as never accepted.
            deps.messages.put(&send.record()).await?;
            away = deps.messages.put_away(instance, message, at).await?;
        }
        match away {
            Away::Done { before: None } => {
                let now = deps.clock.now();
                let counters = counting::put_off(send.waits_since(), now);
                tally::count(deps, instance, counters.as_slice(), now).await;
            }
            Away::Done { before: Some(_) } => {}
            Away::Past(record) => {
                deps.schedule.take_out(network, shard, at, message).await?;
                return Ok(Put::Past(record));
            }
            Away::Missing | Away::Unreadable => return Ok(Put::NotNow),
        }
        deps.meter.put_off.add(1);
        self.agenda.note(at);
        fault::point("after-put-off");
        Ok(Put::Away)
    }

    /// Waits in the lane until then; what the record says meanwhile ends that. Messages behind it in its chat wait too.
    pub async fn stay(&self, job: &Job, send: &SendJob, past: &mut Journey, later: &Later) -> Option<End> {
        self.lane.held.set_waits(&job.received.message_id, true);
        let end = self.stay_until(send, past, later.at).await;
        self.lane.held.set_waits(&job.received.message_id, false);
        end
    }

    async fn stay_until(&self, send: &SendJob, past: &mut Journey, at: DateTime<Utc>) -> Option<End> {
        loop {
            let left = (at - self.deps.clock.now()).to_std().unwrap_or_default();
            if left.is_zero() {
                return None;
            }
            let pause = tokio::time::sleep(left.min(LOOK_EVERY));
            match self.unless_over(send, pause).await {
                Ok(()) => {}
                Err(Stopped::End(end)) => return Some(end),
                Err(Stopped::LookAgain) => return None,
            }
            if let Some(end) = self.look_at_record(send, past).await {
                return Some(end);
            }
        }
    }
}
