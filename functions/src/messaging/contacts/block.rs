//! `POST /api/contacts/{contact}/block`.

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use shared::domain::person::Person;
use shared::domain::question::{Answer, Ask};
use utoipa::ToSchema;

use super::contact::Contact;
use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Code, Path, Replayable, Reply};
use crate::messaging::MessagingState;
use crate::messaging::asking::{Told, ask};
use crate::messaging::idempotency::IdempotencyKey;
use crate::openapi::Tag;

/// A contact who is blocked.
#[derive(Serialize, ToSchema)]
#[schema(as = BlockedContact)]
pub struct Response {
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
    /// Always `true`.
    blocked: bool,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::POST,
        "/api/contacts/{contact}/block",
        "blockContact",
        handler,
    )
    .about(Tag::Contacts, "Blocks a contact")
    .details(
        "Done once at most. Where there is no answer in time, `details.outcome` of the error says whether it was done: \
         `not_started` or `unknown`. The same request under the same idempotency key finds the answer that came later.",
    )
    .errors(&ERRORS)
}

/// What asking a socket for a change of the block list may come to.
pub(super) const ERRORS: [Code; 4] = [
    Code::InstanceNotConnected,
    Code::RecipientNotOnWhatsapp,
    Code::UpstreamError,
    Code::UpstreamTimeout,
];

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::ContactsWrite>,
    Path(Contact(contact)): Path<Contact>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
) -> Result<Replayable<Response>, ApiError> {
    let question = Ask::Block {
        contact,
        blocked: true,
    };
    let key = idempotency_key.as_deref();
    let told = Box::pin(ask(&state, &caller.grant, &caller.subscription, question, key)).await?;
    let is_replay = told.is_replay;
    let Person { phone, lid } = person(told)?;
    let reply = Reply::ok(Response {
        phone,
        lid,
        blocked: true,
    });
    Ok(Replayable { reply, is_replay })
}

/// Whom the answer is about.
pub(super) fn person(told: Told) -> Result<Person, ApiError> {
    match told.answer {
        Answer::Blocked { person } => Ok(person),
        _ => Err(ApiError::internal()),
    }
}
