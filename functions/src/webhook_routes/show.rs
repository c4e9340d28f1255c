//! `GET …/webhook`: the webhook, without what is confidential of it.

use axum::extract::State;
use axum::http::Method;

use super::about::About;
use super::change::require;
use super::side::Side;
use super::view::WebhookView;
use crate::endpoint::Endpoint;
use crate::http::caller::permission::WebhookRead;
use crate::http::{ApiError, Code, Reply};
use crate::openapi::Tag;

pub fn endpoint<S: Side>(path: &'static str, id: &'static str) -> Endpoint<S> {
    Endpoint::new(Method::GET, path, id, handler::<S>)
        .about(Tag::Webhooks, "Shows the webhook")
        .details("Its secret and the values of its headers are not shown.")
        .errors(&[Code::NotFound])
}

pub async fn handler<S: Side>(
    State(state): State<S>,
    asker: About<WebhookRead>,
) -> Result<Reply<WebhookView>, ApiError> {
    let webhook = require(&state, &asker).await?;
    Ok(Reply::ok(WebhookView::new(webhook, state.base().clock.now())))
}
