//! Fault relays before the stores of a whole local stack.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use localstack::Between;
use shared::queue::Queue;
use shared::queue::sqs::SqsQueue;
use testbed::relay::Relay;
use testbed::sqs::SqsStandIn;

/// What a stack is started over: a relay before its table, and one before its queues, which the stack then reaches by
/// SQS's protocol.
#[derive(Debug, Default)]
pub struct Faults {
    table: OnceLock<Relay>,
    queue: OnceLock<(SqsStandIn, Relay)>,
}

impl Faults {
    /// The relay before the table of the stack that was started over this.
    pub fn table(&self) -> &Relay {
        self.table.get().expect("a stack was started")
    }

    /// The relay before its queues.
    pub fn queue(&self) -> &Relay {
        &self.queue.get().expect("a stack was started").1
    }
}

#[async_trait]
impl Between for Faults {
    async fn table(&self, endpoint: &str) -> Option<String> {
        let relay = Relay::before(endpoint).await;
        let reached = relay.endpoint().to_owned();
        self.table.set(relay).expect("one stack is started over this");
        Some(reached)
    }

    async fn queue(&self, queue: Arc<dyn Queue>) -> Arc<dyn Queue> {
        let stand_in = SqsStandIn::over(queue).await;
        let relay = Relay::before(stand_in.endpoint()).await;
        let reached = SqsQueue::from_config(&shared::aws::stand_in(relay.endpoint()));
        let both = (stand_in, relay);
        self.queue.set(both).expect("one stack is started over this");
        Arc::new(reached)
    }
}
