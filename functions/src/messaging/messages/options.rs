//! The options that every send has in common.

mod mentions;
mod reply;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use serde::Deserialize;
use shared::auth::api_key::Grant;
use shared::domain::recipient::Recipient;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use super::accept::asked_at;
use crate::http::{ApiError, Fields, Timestamp, Whole};
use crate::messaging::MessagingState;

use self::reply::GivenReply;
pub use self::reply::Reply;

/// The longest that a message may wait to be sent: what a queue keeps (4 days) has to
/// outlast it.
const MAX_EXPIRY: TimeDelta = TimeDelta::days(3);

/// How far ahead a message may be scheduled.
const MAX_SCHEDULE: TimeDelta = TimeDelta::days(30);

/// The longest that somebody types before a message, in milliseconds.
const MAX_TYPING: u32 = 30_000;

/// The longest `reference`, in characters.
const MAX_REFERENCE: usize = 255;

/// The common options as a request gives them.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GivenOptions {
    /// When the message is to be sent: within 30 days. At once where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    scheduled_at: Option<String>,
    /// Until when the message is worth sending: 3 days after it is due at most, 24 hours where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<String>,
    #[schema(schema_with = reference_schema)]
    reference: Option<String>,
    /// The message that this one answers: of the same chat, in or out. `CONFLICT` while it is put off, since its answer would go out
    /// before it.
    reply_to: Option<GivenReply>,
    #[schema(schema_with = mentions::schema)]
    mentions: Option<Vec<String>>,
    #[schema(schema_with = typing_schema)]
    typing_ms: Option<Whole>,
}

/// The common options that this version serves, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// When the message is to be sent, in whole milliseconds; `None` for at once.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// Until when the message is worth sending, where the caller says.
    pub expires_at: Option<DateTime<Utc>>,
    /// The caller's own string.
    pub reference: Option<String>,
    /// The message that this one answers.
    pub reply_to: Option<Reply>,
    /// Whom it mentions, each once.
    pub mentions: Vec<Recipient>,
    /// For how many milliseconds the recipient sees that somebody types, first.
    pub typing_ms: Option<u32>,
}

fn typing_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .minimum(Some(1))
        .maximum(Some(MAX_TYPING))
        .description(Some(
            "For how many milliseconds the recipient sees that somebody types, before the message goes out",
        ))
        .examples([2_000])
        .build()
}

/// The schema of `reference`.
pub fn reference_schema() -> Object {
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
    /// Those that are about no chat.
    pub fn without_chat(
        scheduled_at: Option<String>,
        expires_at: Option<String>,
        reference: Option<String>,
    ) -> Self {
        Self {
            scheduled_at,
            expires_at,
            reference,
            ..Self::default()
        }
    }

    /// Checks the options of a message that is asked for at `now`, or was under the same idempotency key.
    pub async fn check_since_asked(
        self,
        fields: &mut Fields,
        state: &MessagingState,
        grant: &Grant,
        idempotency_key: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Options, ApiError> {
        let asked_at = asked_at(state, grant, idempotency_key, &self, now).await?;
        Ok(self.check(fields, asked_at))
    }

    /// Whether a time that the message has is over at `now`: its own, or that until when it is worth sending.
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        let times = [&self.scheduled_at, &self.expires_at];
        let mut times = times.into_iter().flatten();
        times.any(|text| text.parse::<DateTime<Utc>>().is_ok_and(|at| at <= now))
    }

    /// Checks the options of a message that was asked for at `now`; faults go to `fields`.
    pub fn check(self, fields: &mut Fields, now: DateTime<Utc>) -> Options {
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
        let scheduled_at = self.scheduled_at.as_deref().and_then(|text| {
            let at = text.parse::<DateTime<Utc>>().ok();
            let at = at.filter(|at| now < *at && *at <= now + MAX_SCHEDULE);
            if at.is_none() {
                let days = MAX_SCHEDULE.num_days();
                let message = format!("must be an RFC 3339 time in the future, within {days} days");
                fields.fault("scheduledAt", message);
            }
            // What is stored has milliseconds.
            at.map(|at| at.trunc_subsecs(3))
        });
        let due = scheduled_at.unwrap_or(now);
        let expires_at = self.expires_at.as_deref().and_then(|text| {
            let at = text.parse::<DateTime<Utc>>().ok();
            let at = at.filter(|at| due < *at && *at <= due + MAX_EXPIRY);
            if at.is_none() {
                let days = MAX_EXPIRY.num_days();
                let message = match scheduled_at {
                    Some(_) => {
                        format!("must be an RFC 3339 time after `scheduledAt`, within {days} days of it")
                    }
                    None => format!("must be an RFC 3339 time in the future, within {days} days"),
                };
                fields.fault("expiresAt", message);
            }
            at
        });
        let typing_ms = self.typing_ms.map(|Whole(given)| given);
        if typing_ms.is_some_and(|given| !(1..=MAX_TYPING).contains(&given)) {
            fields.fault(
                "typingMs",
                format!("must be a whole number from 1 to {MAX_TYPING}"),
            );
        }
        Options {
            scheduled_at,
            expires_at,
            reference,
            reply_to: self.reply_to.and_then(|given| given.check(fields)),
            typing_ms,
            mentions: mentions::check(&self.mentions.unwrap_or_default(), fields),
        }
    }
}
