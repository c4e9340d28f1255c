//! A message is taken back by one revoke, however often that is asked for. Its record names that revoke, so that a later request
//! finds it, and another thing that would be said of the message is refused.
//!
//! The record is marked after the idempotency key is claimed and before anything is queued. Where the process ends in between, the
//! mark names a revoke that there is not; the next request makes it, under that id.

use chrono::{DateTime, Utc};
use shared::domain::message::{MessageRecord, State as Stage};
use shared::ids::{InstanceId, MessageId};
use shared::storage::messages::Marked;

use crate::http::ApiError;
use crate::messaging::MessagingState;
use crate::messaging::idempotency::{Claimed, Earlier};

/// What became of a revoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It goes out, or has.
    There,
    /// There is no record of it: the request for it was cut short, or is at work.
    Missing,
    /// It came to nothing.
    Undone,
}

/// What became of this revoke. One read unit.
pub async fn find(
    state: &MessagingState,
    instance: InstanceId,
    revoke: MessageId,
    now: DateTime<Utc>,
) -> Result<Found, ApiError> {
    let record = state.messages.get(instance, revoke).await?;
    Ok(match record.map(|record| record.as_of(now).state) {
        None => Found::Missing,
        Some(Stage::Failed | Stage::Expired | Stage::Cancelled) => Found::Undone,
        Some(_) => Found::There,
    })
}

/// A message that is to be taken back.
#[derive(Debug, Clone, Copy)]
pub struct Revokes {
    message: MessageId,
    /// The revoke that an earlier request has made, or was about to make.
    by: Option<MessageId>,
    /// The revoke that came to nothing.
    instead_of: Option<MessageId>,
}

impl Revokes {
    /// Looks whether the message is being taken back already. One read unit where it was.
    pub async fn look(
        state: &MessagingState,
        record: &MessageRecord,
        now: DateTime<Utc>,
    ) -> Result<Self, ApiError> {
        let (mut by, mut instead_of) = (record.revoked_by, None);
        if let Some(earlier) = by
            && find(state, record.instance, earlier, now).await? == Found::Undone
        {
            (by, instead_of) = (None, Some(earlier));
        }
        Ok(Self {
            message: record.id,
            by,
            instead_of,
        })
    }

    /// The revoke that an earlier request has made, or was about to make.
    pub(super) fn earlier(&self) -> Option<MessageId> {
        self.by
    }

    /// The idempotency key of the revoke itself. No caller's own key has a line break.
    pub fn key(&self) -> String {
        let attempt = self.instead_of.map(|undone| undone.to_string());
        format!("revoke\n{}\n{}", self.message, attempt.unwrap_or_default())
    }

    /// The one revoke of the message, for a request whose idempotency key has claimed this id. What is known of an earlier
    /// request comes with it, where another one has made it.
    pub(super) async fn settle(
        &self,
        state: &MessagingState,
        instance: InstanceId,
        claimed: Claimed<MessageId>,
    ) -> Result<Claimed<MessageId>, ApiError> {
        let id = claimed.id;
        let of_another = |id| Claimed {
            id,
            earlier: Some(Earlier { is_queued: false }),
        };
        if let Some(by) = self.by {
            let is_known = by == id && !claimed.is_first();
            return Ok(if is_known { claimed } else { of_another(by) });
        }
        let marked = state
            .messages
            .mark_revoked(instance, self.message, id, self.instead_of);
        match marked.await? {
            Marked::Done => Ok(claimed),
            Marked::By(other) => Ok(of_another(other)),
            Marked::Missing => Err(ApiError::not_found("message")),
        }
    }
}
