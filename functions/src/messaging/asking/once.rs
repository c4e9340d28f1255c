//! A request that is to be done once: its idempotency key, and what it says.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::question::Ask;
use shared::ids::{InstanceId, QuestionId};
use shared::storage::idempotency::{Asked, Claim};

use crate::http::{ApiError, log};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::other_request;

/// The number of the form in which a request's meaning is written. In form 1 it was the ask.
const FORM: u32 = 2;

/// A request with an idempotency key.
pub struct Once {
    key: String,
    meaning: Vec<u8>,
}

impl Once {
    /// The request of this route under this key. `said` is all that it says, its path's parameters too, and nothing that is only
    /// known of them.
    pub fn new(key: &str, route: &str, said: &impl Serialize) -> Result<Self, ApiError> {
        let meaning =
            serde_json::to_vec(&(route, said)).map_err(|error| ApiError::internal().caused_by(error))?;
        Ok(Self {
            key: key.to_owned(),
            meaning,
        })
    }

    /// Claims the key for a question. Answers the question of the first request with it, where this is not the first. `ask` is
    /// what an older build, which may serve beside this one, compares.
    pub async fn claim(
        &self,
        state: &MessagingState,
        instance: InstanceId,
        ask: Option<&Ask>,
        offered: QuestionId,
        now: DateTime<Utc>,
    ) -> Result<Option<QuestionId>, ApiError> {
        let bytes = match ask {
            Some(ask) => serde_json::to_vec(ask).map_err(|error| ApiError::internal().caused_by(error))?,
            None => self.meaning.clone(),
        };
        let claim = state
            .idempotency
            .claim(instance, &self.key, self.asked(&bytes), offered, now)
            .await?;
        first(claim)
    }

    /// The question of the first request with this key, where there was one.
    pub async fn look(
        &self,
        state: &MessagingState,
        instance: InstanceId,
        now: DateTime<Utc>,
    ) -> Result<Option<QuestionId>, ApiError> {
        let asked = self.asked(&self.meaning);
        let found = state.idempotency.look(instance, &self.key, asked, now).await?;
        found.map_or(Ok(None), first)
    }

    /// A request that came to nothing leaves its key to the next one.
    pub async fn release(&self, state: &MessagingState, instance: InstanceId, question: QuestionId) {
        let released = state.idempotency.release(instance, &self.key, question).await;
        if let Err(error) = released {
            log::went_wrong(&error.into(), "an idempotency key stands for nothing");
        }
    }

    fn asked<'a>(&'a self, bytes: &'a [u8]) -> Asked<'a> {
        Asked {
            bytes,
            meaning: &self.meaning,
            form: FORM,
            by_meaning: true,
        }
    }
}

fn first(claim: Claim<QuestionId>) -> Result<Option<QuestionId>, ApiError> {
    match claim {
        Claim::New => Ok(None),
        Claim::Known { first, .. } => Ok(Some(first)),
        Claim::OtherRequest => Err(other_request()),
    }
}
