//! Runs the library's tasks so that they can be counted and stopped together.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore::runtime::{AbortHandle, Runtime};

use crate::store::patiently;

/// The runtime of one session: its tasks end at once when it is stopped. What they read of the session's state waits for it.
#[derive(Debug, Clone)]
pub struct SessionRuntime {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl SessionRuntime {
    pub fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { tasks, stop }
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Runtime for SessionRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send + 'static>>) -> AbortHandle {
        let stop = self.stop.clone();
        let task = self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = patiently(future) => {}
            }
        });
        AbortHandle::new(move || task.abort())
    }

    fn sleep(&self, duration: Duration) -> Task {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> Task {
        let task = self.tasks.spawn_blocking(work);
        Box::pin(async move {
            // A panic of the task shows in what it fails to do.
            let _ = task.await;
        })
    }

    fn yield_now(&self) -> Option<Task> {
        None
    }
}
