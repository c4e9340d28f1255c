//! A request that is to be done once: its idempotency key, and what it says.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::question::Ask;
use shared::ids::{InstanceId, QuestionId};
use shared::storage::idempotency::{Asked, Claim};

use crate::http::ApiError;
use crate::messaging::MessagingState;
use crate::messaging::idempotency::{self, other_request};

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
        let (keys, asked) = (&state.idempotency, self.asked(&bytes));
        let claimed = idempotency::claim(keys, instance, &self.key, asked, offered, now).await?;
        Ok((!claimed.is_first()).then_some(claimed.id))
    }

    /// The question of the first request with this key, where there was one.
    pub async fn look(
        &self,
        state: &MessagingState,
        instance: InstanceId,
        now: DateTime<Utc>,
    ) -> Result<Option<QuestionId>, ApiError> {
        let asked = self.asked(&self.meaning);
        match state.idempotency.look(instance, &self.key, asked, now).await? {
            None | Some(Claim::New) => Ok(None),
            Some(Claim::Known { first, .. }) => Ok(Some(first)),
            Some(Claim::OtherRequest) => Err(other_request()),
        }
    }

    /// A request that came to nothing leaves its key to the next one.
    pub async fn release(&self, state: &MessagingState, instance: InstanceId, question: QuestionId) {
        idempotency::release(&state.idempotency, instance, &self.key, question).await;
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
