//! One message that is due: what is done with it, step by step.

use chrono::{DateTime, Utc};
use shared::domain::counting;
use shared::domain::job::Job;
use shared::domain::message::{Change, Failure, FailureCode, MessageRecord, State};
use shared::domain::payload;
use shared::fault;
use shared::nature::Nature;
use shared::queue::OutgoingMessage;
use shared::storage::StorageError;
use shared::storage::messages::{Away, Transition};
use shared::storage::schedule::{Entry, Found, QueuedLater};
use shared::telemetry::chain;
use tracing::{debug, error, warn};

use super::{Clerk, NotNow};
use crate::instance::tally;
use crate::shard::park;
use crate::shard::room::in_time;

impl Clerk<'_> {
    /// Hands one message over, or does what is left to do of it otherwise; then its entry goes.
    pub(super) async fn hand_over_one(&self, found: &Found) -> Result<(), NotNow> {
        let deps = self.deps;
        match &found.entry {
            Ok(entry) => match (&entry.job, entry.subscription) {
                (Some(_), Some(_)) if self.expires(entry).await? => {}
                (Some(job), Some(_)) => self.hand_over_scheduled(entry, job).await?,
                (Some(job), None) => self.hand_over_put_off(entry, job).await?,
                (None, _) => self.follow_notice(entry).await?,
            },
            Err(error) => {
                let reason = chain(error);
                let body = found.body.as_deref().unwrap_or_default();
                park::set_aside_body(deps, self.hold, body, "scheduled", &found.key.sk, &reason).await?;
            }
        }
        Ok(deps.schedule.remove(&found.key).await?)
    }

    /// Tells that a scheduled message has expired, where its time has run out before it was due to wait: it needs no room for
    /// that. `false` where it goes on.
    async fn expires(&self, entry: &Entry) -> Result<bool, NotNow> {
        let (deps, now) = (self.deps, self.deps.clock.now());
        if entry.expires_at > now {
            return Ok(false);
        }
        let (instance, message) = (entry.instance, entry.message);
        let record = match deps.messages.get(instance, message).await {
            Ok(Some(record)) => record,
            // It was never accepted, or its instance is gone; or only a newer version can read it.
            Ok(None) | Err(StorageError::Corrupt { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if record.state != State::Scheduled {
            return Ok(false);
        }
        let change = Change {
            state: State::Expired,
            at: now,
            failure: Some(Failure::of(FailureCode::Expired)),
        };
        let Transition::Made { before, kind, record } =
            deps.messages.change(instance, message, &change).await?
        else {
            return Ok(false);
        };
        debug!(message.id = %message, "a scheduled message has expired before it was sent");
        deps.meter.sending_ended(&change);
        let waits_since = record.as_ref().map_or(entry.at, |record| record.waits_since());
        let counters = counting::moved(kind, before, change.state, waits_since, now);
        tally::count(deps, instance, &counters, now).await;
        if let Some(record) = record {
            self.tell(&record).await?;
        }
        if let Some(job) = &entry.job
            && let Ok(Job::Send(send)) = payload::decode::<Job>(&job.body)
        {
            deps.files.discard(&send).await;
        }
        Ok(true)
    }

    /// Queues a scheduled message's job, where its record has nothing against it.
    async fn hand_over_scheduled(&self, entry: &Entry, job: &QueuedLater) -> Result<(), NotNow> {
        let deps = self.deps;
        let (instance, message) = (entry.instance, entry.message);
        self.rooms.take(instance)?;
        let change = Change {
            state: State::Queued,
            at: deps.clock.now(),
            failure: None,
        };
        match deps.messages.change(instance, message, &change).await {
            Ok(Transition::Made { .. }) => self.count(entry).await,
            Ok(Transition::AlreadyPast { record: Some(record) })
                if record.state.is_past_sending() && record.state != State::Unknown =>
            {
                debug!(message.id = %message, state = %record.state, "a scheduled message is past sending");
                self.rooms.give_back(instance);
                return self.tell(&record).await;
            }
            // It was begun before, or only a newer version can read its record. Its lane looks at that again.
            Ok(Transition::AlreadyPast { .. }) | Err(StorageError::Corrupt { .. }) => {}
            Ok(Transition::Missing) => {
                debug!(message.id = %message, "a message that was never accepted, or whose instance is gone");
                self.rooms.give_back(instance);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        fault::point("after-due-state");
        self.queue(entry, job).await?;
        fault::point("after-due-send");
        Ok(())
    }

    /// The same of a message that was put off. It has counted as waiting all the while.
    async fn hand_over_put_off(&self, entry: &Entry, job: &QueuedLater) -> Result<(), NotNow> {
        let deps = self.deps;
        let (instance, message) = (entry.instance, entry.message);
        match deps.messages.bring_back(instance, message, entry.at).await? {
            Away::Done { before } => {
                let now = deps.clock.now();
                // A job that cannot be read was put off in this month as well as in another.
                let waits_since = waits_since(&job.body).unwrap_or(now);
                let counters = counting::back(State::Queued, before, waits_since, now);
                tally::count(deps, instance, counters.as_slice(), now).await;
            }
            Away::Past(record) if record.state == State::Cancelled && may_be_out(&job.body) => {
                debug!(message.id = %message, "a message that was taken back may be out, and is revoked");
            }
            Away::Past(record) if record.state == State::Unknown => {}
            Away::Past(record) if record.state.is_past_sending() => {
                debug!(message.id = %message, state = %record.state, "a message that was put off is past sending");
                return self.tell(&record).await;
            }
            Away::Past(_) => {
                debug!(message.id = %message, "a message was put off twice, and this is not its last time");
                return Ok(());
            }
            // Its lane looks at that.
            Away::Unreadable => {}
            Away::Missing => {
                debug!(message.id = %message, "a message whose instance is gone");
                return Ok(());
            }
        }
        fault::point("after-due-state");
        self.queue(entry, job).await?;
        fault::point("after-due-send");
        Ok(())
    }

    /// Tells of a message that was taken back before it was due. One that was put off may be out: its lane revokes it.
    async fn follow_notice(&self, notice: &Entry) -> Result<(), NotNow> {
        let (deps, shard) = (self.deps, self.hold.shard);
        let (instance, message) = (notice.instance, notice.message);
        let Some(record) = deps.messages.get(instance, message).await? else {
            return Ok(());
        };
        if record.state == State::Cancelled
            && let Some(at) = record.put_off_at
            && let Some(found) = deps.schedule.get(deps.network, shard, at, message).await?
        {
            if let Ok(Entry { job: Some(job), .. }) = &found.entry
                && may_be_out(&job.body)
            {
                let entry = Entry { at, ..notice.clone() };
                self.queue(&entry, job).await?;
            }
            deps.schedule.remove(&found.key).await?;
        }
        self.tell(&record).await
    }

    async fn queue(&self, entry: &Entry, job: &QueuedLater) -> Result<(), NotNow> {
        let sends = self.deps.names.sends(self.hold.shard.0);
        // The queue may remember an earlier job of a message that was put off, and must not take this for that.
        let dedup_id = format!("{}@{}", entry.message, entry.at.timestamp_millis());
        let message = OutgoingMessage::fifo(job.body.clone(), job.group.clone(), dedup_id);
        in_time("send", self.deps.queue.send(&sends, message)).await?;
        Ok(())
    }

    /// From now on the message waits. After a crash it is not counted, or not again.
    async fn count(&self, entry: &Entry) {
        let Some(subscription) = entry.subscription else {
            return;
        };
        let counters = &self.deps.counters;
        let counted = counters.count_as_waiting(subscription, entry.instance, entry.at);
        if let Err(error) = counted.await {
            warn!(message.id = %entry.message, error = %chain(&error), "a message waits and is not counted as waiting");
        }
    }

    /// Tells of a message that was taken back before it was due.
    async fn tell(&self, record: &MessageRecord) -> Result<(), NotNow> {
        match self.deps.announcer.message_is(record).await {
            Err(error) if error.nature() == Nature::Permanent => {
                error!(message.id = %record.id, error = %chain(&error), "a message's state can never be told");
                Ok(())
            }
            told => Ok(told?),
        }
    }
}

/// Whether the message of a job that was put off may be out. One that only a newer version can read may be.
fn may_be_out(body: &str) -> bool {
    let job = payload::decode::<Job>(body);
    job.map_or(true, |Job::Send(send)| {
        send.put_off.is_some_and(|put_off| put_off.may_be_out)
    })
}

fn waits_since(body: &str) -> Option<DateTime<Utc>> {
    let Job::Send(send) = payload::decode::<Job>(body).ok()?;
    Some(send.waits_since())
}
