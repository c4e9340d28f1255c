//! Wakes the long polls of a queue when something about it changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::queue::QueueName;

/// A bell for each queue that was ever polled: no more than a deployment has queues.
#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<HashMap<QueueName, Arc<Notify>>>);

impl Waiters {
    /// The bell of a queue.
    pub(super) fn of(&self, queue: &QueueName) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(queue.clone()).or_default())
    }

    /// Wakes all polls that wait on these queues: each looks for itself, and a group may go to any of them.
    pub(super) fn wake(&self, queues: &BTreeSet<QueueName>) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues {
            if let Some(bell) = bells.get(queue) {
                bell.notify_waiters();
            }
        }
    }

    /// Wakes every poll: the queue closes.
    pub(super) fn wake_all(&self) {
        for bell in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            bell.notify_waiters();
        }
    }
}
