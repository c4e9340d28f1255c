//! What may stand between the stack and its stores: nothing, or the faults of a test.

use std::sync::Arc;

use async_trait::async_trait;
use shared::queue::Queue;

/// Stands between the stack and its table and queues. Whatever starts the stack keeps it, and steers it from outside.
#[async_trait]
pub trait Between: Send + Sync {
    /// The address at which the table at `endpoint` is reached over a socket. `None` where the stack reaches it within its
    /// process.
    async fn table(&self, endpoint: &str) -> Option<String>;

    /// The queues as the stack reaches them.
    async fn queue(&self, queue: Arc<dyn Queue>) -> Arc<dyn Queue>;
}

/// Nothing in between.
#[derive(Debug, Clone, Copy)]
pub struct Directly;

#[async_trait]
impl Between for Directly {
    async fn table(&self, _: &str) -> Option<String> {
        None
    }

    async fn queue(&self, queue: Arc<dyn Queue>) -> Arc<dyn Queue> {
        queue
    }
}
