//! Which queues a deployment has, and what each is created with.
//!
//! This is the one place that decides. `template.yaml` and `localstack/init.sh` spell the same queues for AWS; the
//! test `deployed_queues` and `.ci/template.py` compare all three.

use std::time::Duration;

use super::{Queue, QueueAttributes, QueueError, QueueName};

/// How long a daemon owns a send before another may take it; extended while it is held.
pub const SENDS_VISIBILITY: Duration = Duration::from_secs(10);
/// A send that nobody took for so long is past its own expiry (24 h after acceptance, or after its schedule).
pub const SENDS_RETENTION: Duration = Duration::from_hours(4 * 24);
/// Longer than the 20 s that a query's caller waits, so a second delivery comes when nobody waits any more.
pub const QUERIES_VISIBILITY: Duration = Duration::from_secs(30);
/// Queries are worthless after their deadline, and a lost nudge is found by the minute's sweep.
pub const QUERIES_RETENTION: Duration = Duration::from_mins(15);
/// Six times the time-out of the function that takes them, as AWS asks: a batch may wait for its invocation after it was received.
pub const EVENTS_VISIBILITY: Duration = Duration::from_secs(450);
/// SQS's maximum: five days of an endpoint's failures fit, and an outage of our own.
pub const EVENTS_RETENTION: Duration = Duration::from_hours(14 * 24);
/// Dead letters wait for a person.
pub const DEAD_RETENTION: Duration = Duration::from_hours(14 * 24);
/// SQS's maximum. Consumers count poison themselves, since a job may be received often without a fault of its own.
pub const MAX_RECEIVES: u32 = 1_000;
/// A query that takes its consumer down is not tried for long.
pub const QUERIES_MAX_RECEIVES: u32 = 5;

/// The names of the queues of one network in one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueNames {
    prefix: String,
    network: String,
}

impl QueueNames {
    /// Names under a prefix (1 to 32 letters, digits, `-` and `_`) for a network (`live` or `sandbox`);
    /// [`QueueError::Invalid`] when they make no queue name.
    pub fn new(prefix: impl Into<String>, network: impl Into<String>) -> Result<Self, QueueError> {
        let names = Self {
            prefix: prefix.into(),
            network: network.into(),
        };
        if names.prefix.is_empty()
            || names.prefix.len() > 32
            || names.network.is_empty()
            || names.network.len() > 16
        {
            return Err(QueueError::invalid(
                "the queue prefix or network is empty or too long",
            ));
        }
        QueueName::new(names.text(""))?;
        Ok(names)
    }

    /// What all of them begin with. Together with the network it names the deployment: in an account and region no two have the same two.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Sends of a shard: FIFO, a group per lane.
    pub fn sends(&self, shard: u32) -> QueueName {
        self.name(&format!("sends-{shard}.fifo"))
    }

    /// Queries and nudges of a shard.
    pub fn queries(&self, shard: u32) -> QueueName {
        self.name(&format!("queries-{shard}"))
    }

    /// Events on their way to webhooks: FIFO, a group per chat.
    pub fn events(&self) -> QueueName {
        self.name("events.fifo")
    }

    /// Events that failed and wait for another attempt.
    pub fn events_retry(&self) -> QueueName {
        self.name("events-retry")
    }

    /// Dead letters of the FIFO queues.
    pub fn dead_fifo(&self) -> QueueName {
        self.name("dead.fifo")
    }

    /// Dead letters of the standard queues.
    pub fn dead(&self) -> QueueName {
        self.name("dead")
    }

    /// Every queue with its attributes, dead-letter queues first.
    pub fn all(&self, shards: u32) -> Vec<(QueueName, QueueAttributes)> {
        let dead = || QueueAttributes {
            visibility: Duration::from_secs(30),
            retention: DEAD_RETENTION,
            dead_letter: None,
        };
        let fifo = |visibility, retention| QueueAttributes {
            visibility,
            retention,
            dead_letter: Some((self.dead_fifo(), MAX_RECEIVES)),
        };
        let standard = |visibility, retention, max_receives| QueueAttributes {
            visibility,
            retention,
            dead_letter: Some((self.dead(), max_receives)),
        };
        let mut queues = vec![
            (self.dead_fifo(), dead()),
            (self.dead(), dead()),
            (self.events(), fifo(EVENTS_VISIBILITY, EVENTS_RETENTION)),
            (
                self.events_retry(),
                standard(EVENTS_VISIBILITY, EVENTS_RETENTION, MAX_RECEIVES),
            ),
        ];
        for shard in 0..shards {
            queues.push((self.sends(shard), fifo(SENDS_VISIBILITY, SENDS_RETENTION)));
            queues.push((
                self.queries(shard),
                standard(QUERIES_VISIBILITY, QUERIES_RETENTION, QUERIES_MAX_RECEIVES),
            ));
        }
        queues
    }

    fn text(&self, rest: &str) -> String {
        format!("{}-{}-{rest}", self.prefix, self.network)
    }

    fn name(&self, rest: &str) -> QueueName {
        QueueName::new(self.text(rest)).expect("the constructor bounded length and letters of both parts")
    }
}

/// Creates every queue of `shards` shards that is not there.
pub async fn ensure_all(queue: &dyn Queue, names: &QueueNames, shards: u32) -> Result<(), QueueError> {
    for (name, attributes) in names.all(shards) {
        queue.ensure(&name, attributes).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_the_template_spells_them() {
        let names = QueueNames::new("waxwing", "live").unwrap();
        let all: Vec<String> = names.all(1).iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(
            all,
            [
                "waxwing-live-dead.fifo",
                "waxwing-live-dead",
                "waxwing-live-events.fifo",
                "waxwing-live-events-retry",
                "waxwing-live-sends-0.fifo",
                "waxwing-live-queries-0",
            ]
        );
    }

    #[test]
    fn every_queue_may_be_created_as_listed() {
        let names = QueueNames::new("waxwing", "sandbox").unwrap();
        for (name, attributes) in names.all(64) {
            attributes.check(&name).unwrap();
        }
    }

    #[test]
    fn a_prefix_that_makes_no_queue_name_is_refused() {
        for prefix in ["", "a b", "a.b", &"x".repeat(33)] {
            assert!(
                matches!(QueueNames::new(prefix, "live"), Err(QueueError::Invalid(_))),
                "{prefix}"
            );
        }
    }
}
