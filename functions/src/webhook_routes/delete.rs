//! `DELETE …/webhook`: no event is sent any more, and what is left of those that were is removed.

use axum::extract::State;
use axum::http::Method;
use shared::domain::audit::Action;
use shared::domain::delivery::Errand;

use super::about::About;
use super::change::{ATTEMPTS, contended, is_done, record, require};
use super::retry;
use super::side::Side;
use crate::endpoint::Endpoint;
use crate::http::caller::permission::WebhookWrite;
use crate::http::{ApiError, Code, Deleted, Reply, log};
use crate::nudge::{BRIEF, nudge};
use crate::openapi::Tag;

pub fn endpoint<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::DELETE, path, id, handler::<S>)
        .about(Tag::Webhooks, "Deletes the webhook")
        .details(
            "No event is sent any more, those that wait for another attempt neither. The secret goes at once, and the log of \
             deliveries with the bodies that were kept soon after. `id` is the instance's.",
        )
        .errors(&[Code::NotFound, Code::Conflict])
}

pub async fn handler<S: Side>(
    State(state): State<S>,
    asker: About<WebhookWrite>,
) -> Result<Reply<Deleted>, ApiError> {
    for _ in 0..ATTEMPTS {
        let webhook = require(&state, &asker).await?;
        if !is_done(state.hooks().webhooks.delete(&webhook).await?)? {
            continue;
        }
        let errand = Errand::Forget {
            instance: webhook.instance,
            webhook: webhook.created_at,
            deleted_at: state.base().clock.now(),
        };
        if let Err(error) = retry::send(&state, asker.instance, &[errand]).await {
            // The log is out of everybody's sight from here on, and its term takes it.
            log::went_wrong(
                &error,
                "the deliveries of a deleted webhook stay until their term is over",
            );
        }
        let of = asker.instance;
        nudge(state.base(), of.network, of.shard, of.id, BRIEF).await;
        let record = record(&asker, Action::WebhookDeleted);
        asker.trail.record(state.base(), record).await;
        return Ok(Reply::ok(Deleted::of(asker.instance.id)));
    }
    Err(contended())
}
