//! What the routes that change a webhook share.

use shared::domain::audit::Action;
use shared::domain::webhook::Webhook;
use shared::storage::webhooks::Changed;

use super::side::{Asker, Side};
use crate::http::caller::session_over;
use crate::http::{ApiError, Code, Record};

/// How often a change is tried where others change the webhook at the same time.
pub const ATTEMPTS: u32 = 5;

/// The webhook that is meant, as it is now.
pub async fn find<S: Side>(state: &S, asker: &Asker) -> Result<Option<Webhook>, ApiError> {
    let instance = asker.instance;
    let found = state.hooks().webhooks.get(instance.subscription, instance.id);
    Ok(found.await?)
}

/// The same, which must be there.
pub async fn require<S: Side>(state: &S, asker: &Asker) -> Result<Webhook, ApiError> {
    find(state, asker).await?.ok_or_else(none)
}

/// The same, which must be switched on.
pub async fn require_enabled<S: Side>(state: &S, asker: &Asker) -> Result<Webhook, ApiError> {
    let webhook = require(state, asker).await?;
    if webhook.enabled {
        Ok(webhook)
    } else {
        Err(ApiError::new(
            Code::Conflict,
            "The webhook is switched off: set it again, with `enabled` true",
        ))
    }
}

/// The instance has none.
pub fn none() -> ApiError {
    ApiError::not_found("webhook")
}

/// Whether a change is done: `false` where it is to be tried again, since somebody else has changed the webhook meanwhile.
pub fn is_done(changed: Changed) -> Result<bool, ApiError> {
    match changed {
        Changed::Done => Ok(true),
        Changed::Stale => Ok(false),
        Changed::InstanceGone => Err(ApiError::not_found("instance")),
        Changed::SessionOver => Err(session_over()),
    }
}

/// It was tried so often.
pub fn contended() -> ApiError {
    ApiError::new(Code::Conflict, "Other requests change the webhook over and over")
}

/// What the audit log tells of a change.
pub fn record(asker: &Asker, action: Action) -> Record {
    Record::anonymous(action)
        .of(asker.instance.subscription)
        .actor(asker.actor)
        .on(asker.instance.id)
}
