//! Messages that were taken back while they went out.
//!
//! Who takes a waiting message back changes its state and is told that it is gone. A message that was written to the wire
//! just before cannot be kept back any more. So it is revoked, as part of the same job: the job ends when WhatsApp has the
//! revoke. Where the process ends before, the job comes again, and what may be out is revoked again under the same id, which
//! does no harm. The revoke is no message of the caller's: it has no record and is not counted.

use chrono::TimeDelta;
use shared::domain::content::{Content, Kind, Revoke, Said, Target};
use shared::domain::job::SendJob;
use shared::domain::message::{MessageRecord, State};
use shared::domain::person::Person;
use shared::ids::MessageId;
use shared::queue::consumer::Done;
use shared::storage::StorageError;
use std::time::Duration;
use tracing::{info, warn};

use super::journey::{End, Journey};
use super::lanes::Job;
use super::pace;
use super::send::Sender;

/// How long after it was taken back a message is revoked at most. Its job is in the queue for longer.
const WORTH_REVOKING: TimeDelta = TimeDelta::days(1);

impl Sender<'_> {
    /// Ends the job of a message that is past sending. One that was taken back and may be out all the same is revoked first.
    pub async fn past(
        &self,
        job: &Job,
        send: &SendJob,
        record: &MessageRecord,
        past: &mut Journey,
    ) -> Result<Done, StorageError> {
        if record.state == State::Cancelled {
            let is_connected = self.links.watch(send.instance).borrow().is_some();
            if past.is_unknown && !is_connected {
                // That the instance has had no connection since before clears the doubt.
                if let Some(End::Gone) = self.without_connection(send, past).await? {
                    return Ok(Done::Delete);
                }
            }
            if past.may_be_out || past.is_unknown {
                match self.recall(job, send, record).await? {
                    Recalled::Done => {}
                    Recalled::Later(pause) => return Ok(Done::LeaveFor(pause)),
                }
            }
        }
        let done = self.tell(job, record).await;
        self.deps.files.discard(send).await;
        Ok(done)
    }

    async fn recall(
        &self,
        job: &Job,
        send: &SendJob,
        record: &MessageRecord,
    ) -> Result<Recalled, StorageError> {
        let message = send.message;
        info!(message.id = %message, "revoking a message that was taken back while it went out");
        let revoke = SendJob {
            message: revoke_of(send),
            kind: Kind::Revoke,
            expires_at: record.updated_at + WORTH_REVOKING,
            needs: 1,
            typing_ms: None,
            put_off: None,
            file: None,
            ..send.clone()
        };
        let said = Said::from(Content::Revoke(Revoke {
            target: Target {
                whatsapp_id: message.to_whatsapp(),
                from_me: true,
                author: Person::default(),
            },
        }));
        let mut journey = Journey::default();
        let end = loop {
            let is_connected = self.links.watch(send.instance).borrow().is_some();
            if !is_connected && let Some(end) = self.without_connection(&revoke, &mut journey).await? {
                break end;
            }
            if self.left(&revoke).is_none() {
                break End::OutOfTime;
            }
            if let Some(end) = self.until_acked(job, &revoke, &said, &mut journey).await {
                break end;
            }
        };
        Ok(match end {
            End::Sent | End::Gone | End::Past(_) => Recalled::Done,
            End::GivenUp => Recalled::Later(Duration::ZERO),
            End::Unread | End::Later(_) => Recalled::Later(pace::left(job.received.receive_count)),
            End::Failed(_) | End::OutOfTime | End::Poison => {
                warn!(message.id = %message, ?end, "a message that was taken back may have arrived");
                Recalled::Done
            }
        })
    }
}

/// What came of revoking a message.
enum Recalled {
    /// WhatsApp has the revoke, or no waiting helps.
    Done,
    /// The job is left for so long.
    Later(Duration),
}

/// The id of the revoke, the same at every attempt.
fn revoke_of(send: &SendJob) -> MessageId {
    let parts = [&*send.instance.to_string(), &send.message.to_string(), "revoke"];
    MessageId::derived(send.message.created_at(), &parts)
}
