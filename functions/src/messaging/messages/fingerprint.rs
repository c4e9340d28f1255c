//! The meaning of a send, which tells a repetition under one idempotency key from another request. It is made of the
//! kind and the parsed body, so the order of members, white space and the spelling of a number or time do not matter.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::content::Said;
use shared::domain::message::Kind;
use shared::domain::recipient::Recipient;

use super::options::Options;

/// The number of this form. It need not be raised for a new member that is left out where it is not given.
pub const FORM: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meaning<'a> {
    kind: Kind,
    to: &'a Recipient,
    content: &'a Said,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    typing_ms: Option<u32>,
}

/// Bytes that are the same for all requests that ask the same.
pub fn meaning(to: &Recipient, said: &Said, options: &Options) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Meaning {
        kind: said.content.kind(),
        to,
        content: said,
        scheduled_at: options.scheduled_at,
        expires_at: options.expires_at,
        reference: options.reference.as_deref(),
        typing_ms: options.typing_ms,
    })
}
