//! What becomes of a message whose job is perhaps not in the queue. `docs/architecture/messages.md` has the table, under
//! "Accepting".

use shared::domain::message::{Failure, FailureCode, MessageRecord};
use shared::ids::SubscriptionId;
use shared::storage::StorageError;
use shared::storage::messages::{Counted, Withdrawn};

use super::enqueue::Queued;
use super::files::Kept;
use crate::http::{ApiError, Code, log};
use crate::messaging::MessagingState;
use crate::messaging::idempotency;

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
        mut stored: Result<Counted, StorageError>,
    ) -> Result<(), ApiError> {
        let is_not_in = matches!(queued, Queued::NotIn(_));
        if stored.is_err() && !is_not_in && self.idempotency_key.is_some() {
            // A retry is to find it, and a request beside this one whose message it is.
            stored = state.messages.put_counted(&self.record).await;
        }
        if let Ok(Counted::ByAnother) = stored {
            return self.settle_beside(state, queued).await;
        }
        match queued {
            Queued::In => {
                if let Err(error) = stored {
                    // The daemon makes a record that is missing from the job.
                    log::went_wrong(&error.into(), "the record of an accepted message was not stored");
                }
                Ok(())
            }
            Queued::NotIn(error) => {
                self.undo(state).await;
                Err(error.into())
            }
            // There may be a job. A retry with the same key goes on under the same id: it finds the record, and sends the job
            // again. If no retry comes, the message is sent, or its record reads `expired` when its time is over. It stays
            // counted, though a retry that finds no record counts it again: nobody knows whether there is one.
            Queued::Unknown(error) if self.idempotency_key.is_some() => Err(error.into()),
            Queued::Unknown(error) => self.withdraw(state, error).await,
        }
    }

    /// The same where the record is that of another request under the same key, which has counted the message too.
    async fn settle_beside(&self, state: &MessagingState, queued: Queued) -> Result<(), ApiError> {
        let doubt = match queued {
            Queued::NotIn(error) => {
                self.give_back(state).await;
                return Err(error.into());
            }
            Queued::In => None,
            Queued::Unknown(error) => Some(error),
        };
        // Where the other request has taken the message back just now, this count stays: the job may be out.
        go_by(state, &self.record).await?;
        self.give_back(state).await;
        doubt.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Nothing will be sent for this request, and nothing of it stays. What other requests under its key have made does.
    pub async fn undo(&self, state: &MessagingState) {
        match state.messages.withdraw(&self.record, &not_accepted()).await {
            Ok(Withdrawn::Done) => {
                if let Some(file) = &self.file {
                    file.drop(state).await;
                }
                if let Some(key) = &self.idempotency_key {
                    let (instance, id) = (self.record.instance, self.record.id);
                    idempotency::release(&state.idempotency, instance, key, id).await;
                }
                self.give_back(state).await;
            }
            Ok(Withdrawn::OfAnother) => self.give_back(state).await,
            // Another request goes by what this one has counted.
            Ok(Withdrawn::TooLate) => {}
            Err(error) => {
                log::went_wrong(
                    &error.into(),
                    "the record of a refused message waits until its time is over",
                );
                // Another request may go by the count, and a retry goes on under the same id.
                if self.idempotency_key.is_none() {
                    self.give_back(state).await;
                }
            }
        }
    }

    /// The answer to a request that is refused, and has counted nothing in the end. Where another one under its key has made the
    /// message meanwhile, and perhaps had the last place, it is to be repeated. One read unit.
    pub async fn refuse(&self, state: &MessagingState, refused: ApiError) -> ApiError {
        if let Some(file) = &self.file {
            file.drop_if_alone(state).await;
        }
        let record = &self.record;
        let has_no_place = matches!(refused.code(), Code::QuotaExceeded | Code::QueueFull);
        if has_no_place && self.idempotency_key.is_some() {
            let found = state.messages.get(record.instance, record.id).await;
            if let Ok(Some(_)) = found {
                return ApiError::unavailable(1);
            }
        }
        refused
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
            Ok(Withdrawn::TooLate | Withdrawn::OfAnother) => return Ok(()),
            Err(away) => {
                // Neither queue nor table answers: it may be sent or not, and stays counted.
                log::went_wrong(&away.into(), "nobody knows whether a message is accepted");
            }
        }
        Err(error.into())
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

/// Goes by the count of the request that has stored this record: it does not take the message back from here on. `UNAVAILABLE`
/// where it has done so just now. One write unit.
pub async fn go_by(state: &MessagingState, record: &MessageRecord) -> Result<(), ApiError> {
    if state.messages.share(record.instance, record.id).await? {
        return Ok(());
    }
    Err(ApiError::unavailable(1))
}

/// Why a message failed whose request was answered with an error.
fn not_accepted() -> Failure {
    Failure::of(FailureCode::NotAccepted)
}
