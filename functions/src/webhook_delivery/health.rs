//! The breaker of an endpoint, and its end: what follows from attempts that fail in a row.
//!
//! How an endpoint does is part of its webhook's item, so who is about to connect knows it by the read that it makes anyway.
//! While the breaker is open nobody connects. When its time is over one attempt is let through, and all others find it open
//! for as long as that may take.

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::audit::{Action, Actor, Entry, Outcome};
use shared::domain::webhook::{DisabledReason, Health, Webhook};
use shared::ids::AuditId;
use shared::storage::webhooks::Pause;
use shared::telemetry::chain;
use tracing::{error, warn};

use super::dispatch::Handled;
use super::plan;
use super::state::WebhooksState;
use super::transport::Answer;

/// How many attempts in a row have to fail until the breaker opens.
const FAILURES: u32 = 5;

/// For how long it is open at first.
const SHORTEST: TimeDelta = TimeDelta::seconds(30);

/// For how long at most: an endpoint that is well again gets its events after that.
const LONGEST: TimeDelta = TimeDelta::minutes(5);

/// The longest time for which an endpoint may keep everybody away with `Retry-After`.
const LONGEST_ASKED: TimeDelta = TimeDelta::hours(1);

/// For how long the breaker is open to others while one tries. Longer than an attempt takes.
const PROBE: TimeDelta = TimeDelta::seconds(30);

/// For how long nobody is to connect to an endpoint after an attempt that failed at `now`. `health` is how it was before,
/// `answer` what it answered, if anything.
///
/// The longer it has failed the longer it is left alone: for half that time, within bounds. So the pause does not depend on how
/// many attempts happened to be under way when it began to fail.
pub fn pause(health: &Health, answer: Option<&Answer>, now: DateTime<Utc>) -> Pause {
    let busy = answer.filter(|answer| matches!(answer.status, 429 | 503));
    let asked = busy.and_then(|answer| answer.retry_after);
    let asked = asked.map(|wait| now + wait.min(LONGEST_ASKED));
    let failing = health
        .failing_since
        .map_or(TimeDelta::zero(), |since| now - since);
    let fails = health.failures + 1 >= FAILURES;
    let by_rule = fails.then(|| now + (failing / 2).clamp(SHORTEST, LONGEST));
    Pause { asked, by_rule }
}

/// Whether an endpoint that fails again at `now` has failed for so long that its webhook is switched off.
pub fn has_failed_too_long(health: &Health, now: DateTime<Utc>) -> bool {
    health
        .failing_since
        .is_some_and(|since| now - since >= plan::PATIENCE)
}

impl WebhooksState {
    /// Until when nobody may connect to a webhook's endpoint; `None` where the caller may.
    pub(super) async fn is_closed_to(&self, webhook: &Webhook) -> Handled<Option<DateTime<Utc>>> {
        let now = self.clock.now();
        let Some(until) = webhook.health.open_until else {
            return Ok(None);
        };
        if now < until {
            return Ok(Some(until));
        }
        let probing = now + PROBE;
        let may = self.webhooks.probe(webhook, probing).await?;
        Ok((!may).then_some(probing))
    }

    /// Switches a webhook off that its owner has not, and tells the owner in the audit log. `false` where the owner has changed
    /// it meanwhile, or it is off.
    pub(super) async fn switch_off(&self, webhook: &Webhook, reason: DisabledReason) -> Handled<bool> {
        let now = self.clock.now();
        if !webhook.enabled || !self.webhooks.disable(webhook, reason, now).await? {
            return Ok(false);
        }
        warn!(
            subscription.id = %webhook.subscription,
            instance.id = %webhook.instance,
            reason = reason.as_str(),
            "switched a webhook off"
        );
        let entry = Entry {
            id: AuditId::new(now),
            at: now,
            subscription: Some(webhook.subscription),
            actor: Actor::System,
            action: Action::WebhookDisabled,
            target: Some(webhook.instance.to_string()),
            outcome: Outcome::Success,
            source: None,
            request: None,
            details: [("reason".to_owned(), reason.to_string())].into(),
        };
        // The webhook itself says it as well.
        if let Err(error) = self.audit.append(&entry).await {
            error!(instance.id = %webhook.instance, error = %chain(&error), "an audit entry is lost");
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn failing(failures: u32, for_seconds: i64) -> Health {
        Health {
            failing_since: (failures > 0).then_some(AT - TimeDelta::seconds(for_seconds)),
            failures,
            open_until: None,
            slow_until: None,
        }
    }

    fn seconds(health: &Health, answer: Option<&Answer>) -> Option<i64> {
        let until = pause(health, answer, AT).until();
        until.map(|until| (until - AT).num_seconds())
    }

    #[test]
    fn the_breaker_opens_after_failures_in_a_row_for_longer_and_longer() {
        for (failures, for_seconds, wanted) in [
            (0, 0, None),
            (3, 3_600, None),
            (4, 1, Some(30)),
            (40, 1, Some(30)),
            (5, 100, Some(50)),
            (9, 86_400, Some(300)),
        ] {
            assert_eq!(
                seconds(&failing(failures, for_seconds), None),
                wanted,
                "{failures} for {for_seconds} s"
            );
        }
    }

    #[test]
    fn an_endpoint_that_asks_for_a_pause_has_it_at_once_and_within_bounds() {
        let asks = |status, seconds| Answer {
            status,
            retry_after: Some(TimeDelta::seconds(seconds)),
        };
        assert_eq!(seconds(&failing(0, 0), Some(&asks(429, 90))), Some(90));
        assert_eq!(seconds(&failing(0, 0), Some(&asks(503, 90_000))), Some(3_600));
        assert_eq!(
            seconds(&failing(5, 1), Some(&asks(503, 1))),
            Some(30),
            "the rule's is longer"
        );
        assert_eq!(
            seconds(&failing(0, 0), Some(&asks(500, 90))),
            None,
            "that is about the event"
        );
    }

    #[test]
    fn five_days_are_too_long() {
        let days = |days: i64| failing(8, days * 86_400);
        assert!(!has_failed_too_long(&failing(0, 0), AT));
        assert!(!has_failed_too_long(&days(4), AT));
        assert!(has_failed_too_long(&days(5), AT));
    }
}
