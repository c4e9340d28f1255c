//! What becomes of a message whose job is perhaps not in the queue. See the table in the architecture's "Life of a
//! message".

use shared::domain::message::{Failure, FailureCode, MessageRecord};
use shared::ids::SubscriptionId;
use shared::storage::StorageError;
use shared::storage::messages::{Put, Withdrawn};

use super::enqueue::Queued;
use super::files::Kept;
use crate::http::{ApiError, log};
use crate::messaging::MessagingState;

/// A message that was counted, and whose record and job were written at the same time.
#[derive(Debug)]
pub struct Written {
    /// Whose quota it is counted against.
    pub subscription: SubscriptionId,
    /// Its record.
    pub record: MessageRecord,
    /// The idempotency key of its request.
    pub idempotency_key: Option<String>,
    /// Its file in the bucket.
    pub file: Option<Kept>,
}

impl Written {
    /// Ends what was begun: `Ok` where the message will be sent, whatever became of its record.
    pub async fn settle(
        &self,
        state: &MessagingState,
        queued: Queued,
        stored: Result<Put, StorageError>,
    ) -> Result<(), ApiError> {
        match queued {
            Queued::In => {
                if let Err(error) = stored {
                    // The daemon makes a record that is missing from the job.
                    log::went_wrong(&error.into(), "the record of an accepted message was not stored");
                }
                Ok(())
            }
            Queued::NotIn(error) => {
                if matches!(stored, Ok(Put::AlreadyThere)) {
                    self.free(state).await;
                } else {
                    self.undo(state).await;
                }
                Err(error.into())
            }
            Queued::Unknown(error) if self.idempotency_key.is_some() => {
                self.leave(state, stored).await;
                Err(error.into())
            }
            Queued::Unknown(error) => self.withdraw(state, error).await,
        }
    }

    /// Nothing will be sent, and nothing stays.
    pub async fn undo(&self, state: &MessagingState) {
        match state.messages.withdraw(&self.record, &not_accepted()).await {
            Ok(Withdrawn::Done) => {
                if let Some(file) = &self.file {
                    file.drop(state).await;
                }
            }
            Ok(Withdrawn::TooLate) => {}
            Err(error) => log::went_wrong(
                &error.into(),
                "the record of a refused message waits until its time is over",
            ),
        }
        self.free(state).await;
    }

    /// Frees the key, and takes back the count.
    async fn free(&self, state: &MessagingState) {
        let record = &self.record;
        if let Some(key) = &self.idempotency_key
            && let Err(error) = state.idempotency.release(record.instance, key, record.id).await
        {
            log::went_wrong(&error.into(), "the idempotency key of a refused message stays");
        }
        self.give_back(state).await;
    }

    /// There may be a job. A retry with the same key goes on under the same id: it finds the record, and sends the
    /// job again. A message with a record stays counted; one without is counted by the retry. If no retry comes, the
    /// message is sent, or its record reads `expired` when its time is over.
    async fn leave(&self, state: &MessagingState, stored: Result<Put, StorageError>) {
        if stored.is_err() && state.messages.put(&self.record).await.is_err() {
            self.give_back(state).await;
        }
    }

    /// There may be a job, and no retry will ask for this message, so it is taken back. A daemon that receives the
    /// job reads that the message has failed before it writes it to the wire. If a daemon has sent it already, the
    /// message is accepted. It may be on the wire just now, so the failure is a guess that the server's
    /// acknowledgement overrules.
    pub async fn withdraw(&self, state: &MessagingState, error: impl Into<ApiError>) -> Result<(), ApiError> {
        match state.messages.withdraw(&self.record, &not_accepted()).await {
            Ok(Withdrawn::Done) => {
                self.give_back(state).await;
                if let Some(file) = &self.file {
                    file.drop(state).await;
                }
            }
            Ok(Withdrawn::TooLate) => return Ok(()),
            Err(away) => {
                // Neither queue nor table answers: it may be sent or not, and stays counted.
                log::went_wrong(&away.into(), "nobody knows whether a message is accepted");
            }
        }
        Err(error.into())
    }

    /// It has no job from this request: its file goes, unless another request may make one.
    pub async fn drop_file(&self, state: &MessagingState) {
        if let Some(file) = &self.file {
            file.drop_if_alone(state).await;
        }
    }

    /// Takes back its count.
    pub async fn give_back(&self, state: &MessagingState) {
        let record = &self.record;
        let (counters, counted_at) = (&state.counters, record.created_at);
        let given_back = if let Some(at) = record.scheduled_at {
            let (later, of_day) = tokio::join!(
                counters.give_back_later(self.subscription, counted_at),
                counters.give_back_scheduled(record.instance, at),
            );
            later.and(of_day)
        } else {
            counters
                .give_back(self.subscription, record.instance, counted_at)
                .await
        };
        if let Err(error) = given_back {
            log::went_wrong(&error.into(), "a message that was not accepted stays counted");
        }
    }
}

/// Why a message failed whose request was answered with an error.
fn not_accepted() -> Failure {
    Failure::of(FailureCode::NotAccepted)
}
