//! An instance's webhook: where its events are sent, which of them, and how they are signed.

mod headers;
mod secret;
mod url;

use chrono::{DateTime, Utc};

use super::audit::Actor;
use super::delivery::Delivery;
use super::event::Wants;
use super::text_enum;
use crate::ids::{InstanceId, QuestionId, SubscriptionId};

pub use self::headers::{
    FORBIDDEN_HEADERS, Headers, InvalidHeader, MAX_HEADER_NAME, MAX_HEADER_VALUE, MAX_HEADERS,
};
pub use self::secret::{Confidential, EarlierSecret, InvalidSecret, WebhookSecret};
pub use self::url::{InvalidWebhookUrl, WebhookUrl};

text_enum! {
    /// Why a webhook was switched off without its owner.
    DisabledReason {
        /// Its endpoint has answered 410: it wants no more.
        Gone = "GONE",
        /// Its endpoint has failed for five days.
        FailedTooLong = "FAILED_TOO_LONG",
    }
    else
        /// One that a newer version has stored.
        Unknown = "UNKNOWN"
}

/// That a webhook was switched off without its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disabled {
    /// Why.
    pub reason: DisabledReason,
    /// When.
    pub at: DateTime<Utc>,
}

/// How a webhook's endpoint does. All of it is empty while the endpoint soon takes what it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// Since when every attempt has failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// How many attempts in a row have failed, as far as they were noted.
    pub failures: u32,
    /// Until when the breaker is open: nobody connects to the endpoint before.
    pub open_until: Option<DateTime<Utc>>,
    /// Until when it is believed to be slow: an attempt has taken long.
    pub slow_until: Option<DateTime<Utc>>,
}

impl Health {
    /// Whether no failure is noted: a success need not be.
    pub fn is_well(&self) -> bool {
        let Self {
            failing_since,
            failures,
            open_until,
            slow_until: _,
        } = *self;
        failing_since.is_none() && failures == 0 && open_until.is_none()
    }

    /// Whether it is slow at `now`: of the attempts to it few may be under way.
    pub fn is_slow(&self, now: DateTime<Utc>) -> bool {
        self.slow_until.is_some_and(|until| now < until)
    }

    /// Whether the breaker keeps everybody from connecting at `now`. Where it was open and its time is over, one probe is
    /// let through: see [`Webhooks::probe`](crate::storage::webhooks::Webhooks::probe).
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }
}

/// An instance's webhook. What is confidential of it rests sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The instance.
    pub instance: InstanceId,
    /// Its subscription.
    pub subscription: SubscriptionId,
    /// Where events are sent.
    pub url: WebhookUrl,
    /// Which ones.
    pub events: Wants,
    /// The names of the headers that are sent along.
    pub header_names: Vec<String>,
    /// Whether events are sent.
    pub enabled: bool,
    /// Why they are not, where the owner has not said so.
    pub disabled: Option<Disabled>,
    /// How the endpoint does.
    pub health: Health,
    /// Until when earlier secrets sign as well; `None` where none does.
    pub earlier_until: Option<DateTime<Utc>>,
    /// When the present secret was made, where it is not the first.
    pub rotated_at: Option<DateTime<Utc>>,
    /// Who has said last where events go, or was shown the secret: who takes over that account from a stranger ends the
    /// webhook too.
    pub set_by: Actor,
    /// The claim of the idempotency key under which it was made, where it had one: a request that comes again under that is
    /// shown the secret again.
    pub made_under: Option<QuestionId>,
    /// When it was made. A webhook that is deleted and made anew is another one.
    pub created_at: DateTime<Utc>,
    /// When its owner changed it last.
    pub updated_at: DateTime<Utc>,
    /// Rises with each change of what it is; how the endpoint does is no such change.
    pub version: u64,
    /// Its [`Confidential`], sealed by [`seal`](crate::storage::webhooks::seal).
    pub sealed: Vec<u8>,
}

impl Webhook {
    /// Whether a delivery is this webhook's own: one from before it was made was another's, which is deleted.
    pub fn has_sent(&self, delivery: &Delivery) -> bool {
        self.created_at <= delivery.created_at
    }

    /// The part of a window of first attempts in which deliveries are its own begins here.
    pub fn sends_from(&self, from: DateTime<Utc>) -> DateTime<Utc> {
        from.max(self.created_at)
    }

    /// Which events of the instance are worth queueing for it.
    pub fn wanted(&self) -> Wants {
        if self.enabled {
            self.events.clone()
        } else {
            Wants::default()
        }
    }
}

/// Where it leads and what is sealed stays out of logs: URLs may hold tokens.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("instance", &self.instance)
            .field("enabled", &self.enabled)
            .field("disabled", &self.disabled)
            .field("health", &self.health)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
