//! A webhook as its owner sees it: what is confidential of it is not shown.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::webhook::{Disabled, DisabledReason, Webhook, WebhookSecret};
use utoipa::ToSchema;

use super::settings::events_schema;
use crate::http::Timestamp;

/// A webhook without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct WebhookView {
    /// Where events are posted.
    #[schema(example = "https://example.com/waxwing")]
    url: String,
    /// The types that are wanted, or `*`.
    #[schema(schema_with = events_schema)]
    events: Vec<String>,
    /// The names of the headers that are sent along.
    #[schema(example = json!(["authorization"]))]
    header_names: Vec<String>,
    /// Whether events are sent.
    enabled: bool,
    /// Why they are not, where Waxwing has switched the webhook off.
    disabled: Option<DisabledView>,
    /// Since when every attempt has failed; `null` while the endpoint takes its events.
    failing_since: Option<Timestamp>,
    /// Until when an earlier secret signs beside the present one; `null` where none does.
    previous_secret_until: Option<Timestamp>,
    /// When the secret was replaced last.
    rotated_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// That a webhook was switched off.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDisabled)]
pub struct DisabledView {
    reason: DisabledReason,
    at: Timestamp,
}

/// A webhook with its secret, where that is new.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookWithSecret)]
pub struct WithSecret {
    #[serde(flatten)]
    webhook: WebhookView,
    /// What signs its events. It is in the answer that made it and in no other: `null` where it is as it was.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs=")]
    secret: Option<String>,
}

impl WebhookView {
    /// A webhook at `now`.
    pub fn new(webhook: Webhook, now: DateTime<Utc>) -> Self {
        let earlier = webhook.earlier_until.filter(|until| now < *until);
        Self {
            url: webhook.url.as_str().to_owned(),
            events: webhook.events.names().map(str::to_owned).collect(),
            header_names: webhook.header_names,
            enabled: webhook.enabled,
            disabled: webhook.disabled.map(|Disabled { reason, at }| DisabledView {
                reason,
                at: at.into(),
            }),
            failing_since: webhook.health.failing_since.map(Timestamp::from),
            previous_secret_until: earlier.map(Timestamp::from),
            rotated_at: webhook.rotated_at.map(Timestamp::from),
            created_at: webhook.created_at.into(),
            updated_at: webhook.updated_at.into(),
        }
    }

    /// The same with its secret, where that is new.
    pub fn with(self, secret: Option<&WebhookSecret>) -> WithSecret {
        WithSecret {
            webhook: self,
            secret: secret.map(|secret| secret.reveal().to_owned()),
        }
    }
}
