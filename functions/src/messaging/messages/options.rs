//! The options that every send has in common.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use crate::http::{Fields, Timestamp};

/// The longest that a message may wait to be sent: what a queue keeps (4 days) has to
/// outlast it.
const MAX_EXPIRY: TimeDelta = TimeDelta::days(3);

/// The longest `reference`, in characters.
const MAX_REFERENCE: usize = 255;

/// The common options as a request gives them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GivenOptions {
    /// Until when the message is worth sending: 3 days at most, 24 hours where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<String>,
    #[schema(schema_with = reference_schema)]
    reference: Option<String>,
    #[schema(ignore)]
    reply_to: Option<IgnoredAny>,
    #[schema(ignore)]
    mentions: Option<IgnoredAny>,
    #[schema(ignore)]
    scheduled_at: Option<IgnoredAny>,
    #[schema(ignore)]
    typing_ms: Option<IgnoredAny>,
}

/// The common options that this version serves, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Until when the message is worth sending, where the caller says.
    pub expires_at: Option<DateTime<Utc>>,
    /// The caller's own string.
    pub reference: Option<String>,
}

fn reference_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .min_length(Some(1))
        .max_length(Some(MAX_REFERENCE))
        .pattern(Some(r"^[^\u0000-\u001F\u007F-\u009F]*$"))
        .description(Some(
            "The caller's own string, told with every change of the message's state",
        ))
        .examples(["order-4711"])
        .build()
}

impl GivenOptions {
    /// Whether the time until when the message is worth sending is over at `now`.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        let at = self.expires_at.as_deref().map(str::parse::<DateTime<Utc>>);
        at.is_some_and(|at| at.is_ok_and(|at| at <= now))
    }

    /// Checks the options of a message that was asked for at `now`; faults go to `fields`.
    pub fn check(self, fields: &mut Fields, now: DateTime<Utc>) -> Options {
        fields.unserved("replyTo", self.reply_to.is_some());
        fields.unserved("mentions", self.mentions.is_some());
        fields.unserved("scheduledAt", self.scheduled_at.is_some());
        fields.unserved("typingMs", self.typing_ms.is_some());
        let reference = self.reference;
        if let Some(text) = &reference {
            let is_plain = !text.chars().any(char::is_control);
            if !(1..=MAX_REFERENCE).contains(&text.chars().count()) || !is_plain {
                fields.fault(
                    "reference",
                    format!("must have 1 to {MAX_REFERENCE} characters, and no control characters"),
                );
            }
        }
        let expires_at = self.expires_at.as_deref().and_then(|text| {
            let at = text.parse::<DateTime<Utc>>().ok();
            let at = at.filter(|at| now < *at && *at <= now + MAX_EXPIRY);
            if at.is_none() {
                let days = MAX_EXPIRY.num_days();
                let message = format!("must be an RFC 3339 time in the future, within {days} days");
                fields.fault("expiresAt", message);
            }
            at
        });
        Options {
            expires_at,
            reference,
        }
    }
}
