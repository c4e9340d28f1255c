//! Fails between the SDK and the embedded table as the service may: it throttles, has items in another transaction, or
//! answers 500, of which nobody can tell whether the request was executed. Every answer takes a while.

use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use testbed::relay::{Fate, On, Relay, Rule};

/// Of requests in a rage, in percent. One in four fails.
const SHARES: [(u8, Fate); 4] = [
    (8, Fate::THROTTLED),
    (6, Fate::CONFLICT),
    (5, Fate::FAILED),
    (6, Fate::LOST),
];

pub struct FaultyTable {
    relay: Relay,
    seed: u64,
    rage: Mutex<Option<Rule>>,
    planned: Mutex<Option<Rule>>,
}

impl FaultyTable {
    /// Before the engine at `endpoint`, calm.
    pub async fn before(endpoint: &str, seed: u64) -> Self {
        Self {
            relay: Relay::before(endpoint).await,
            seed,
            rage: Mutex::default(),
            planned: Mutex::default(),
        }
    }

    /// A client's configuration, with shorter pauses between attempts than usual.
    pub fn sdk_config(&self) -> aws_config::SdkConfig {
        let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(10));
        let config = shared::aws::stand_in(self.relay.endpoint()).into_builder();
        config.retry_config(retries).build()
    }

    /// From here on requests fail, or none does any more.
    pub fn rage(&self, rage: bool) {
        let mut rule = self.rage.lock().expect("no holder panics");
        if let Some(rule) = rule.take() {
            rule.end();
        }
        if rage {
            *rule = Some(self.relay.share(On::any(), self.seed, &SHARES, 5..51));
        }
    }

    /// How many requests did not get their answer.
    pub fn failed(&self) -> u64 {
        self.relay.failed()
    }

    /// What becomes of the next requests for this operation with `part` in their bodies.
    pub fn plan<const N: usize>(&self, operation: &'static str, part: &'static str, fates: [Fate; N]) {
        let rule = self.relay.plan(On::operation(operation).with(part), fates);
        *self.planned.lock().expect("no holder panics") = Some(rule);
    }

    /// Counts requests for this operation from here on.
    pub fn watch(&self, operation: &'static str) -> Rule {
        self.relay.watch(On::operation(operation))
    }

    /// Whether all that was planned has happened.
    pub fn is_done(&self) -> bool {
        let planned = self.planned.lock().expect("no holder panics");
        planned.as_ref().is_none_or(Rule::is_done)
    }
}
