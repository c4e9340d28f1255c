//! Runs the library's tasks so that they can be counted and stopped together.
//!
//! An orderly end waits for some of them. The library acknowledges a request to encrypt a message anew, and then does it in a task of its
//! own; if that task is stopped, nobody asks again. Such a task is known by what begins it: the library handles the request's stanza in
//! one task, shows the stanza there ([`note_retry`] is called then), and begins the other task right after.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wacore::runtime::{AbortHandle, Runtime};

use super::sockets::Sockets;
use crate::store::patiently;

tokio::task_local! {
    /// Whether the next task that the present one begins encrypts a message anew.
    static BEGINS_RETRY: Cell<bool>;
}

/// The library handles a request to encrypt a message anew in the present task.
pub fn note_retry() {
    // Fails outside of a session's tasks: then nothing waits for it.
    let _ = BEGINS_RETRY.try_with(|begins| begins.set(true));
}

/// The runtime of one session: its tasks end at once when it is stopped. What they read of the session's state waits for it.
#[derive(Debug, Clone)]
pub struct SessionRuntime {
    tasks: TaskTracker,
    stop: CancellationToken,
    retries: TaskTracker,
}

impl SessionRuntime {
    pub fn new(tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            tasks,
            stop,
            retries: TaskTracker::new(),
        }
    }

    /// Waits for the tasks that encrypt messages anew, while one of these sockets is open: without one they send nothing. Answers how
    /// many are left.
    pub async fn finish_retries(&self, sockets: &Sockets) -> usize {
        self.retries.close();
        tokio::select! {
            biased;
            () = self.retries.wait() => {}
            () = sockets.gone_since(0) => {}
        }
        self.retries.len()
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Runtime for SessionRuntime {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send + 'static>>) -> AbortHandle {
        let begins_retry = BEGINS_RETRY.try_with(Cell::take).unwrap_or_default();
        let retry = begins_retry.then(|| self.retries.token());
        let stop = self.stop.clone();
        let task = self.tasks.spawn(async move {
            let _retry = retry;
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = BEGINS_RETRY.scope(Cell::new(false), patiently(future)) => {}
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt as _;
    use testbed::wait::in_time;
    use tokio::sync::Notify;

    use super::*;

    /// A runtime in which a request was handled, and the handling task has begun two: the one that encrypts anew, which ends when it is
    /// told to, and another one.
    async fn asked(stop: &CancellationToken) -> (SessionRuntime, Arc<Notify>) {
        let runtime = SessionRuntime::new(TaskTracker::new(), stop.clone());
        let (done, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (inner, until, all) = (runtime.clone(), Arc::clone(&done), Arc::clone(&begun));
        let handling = async move {
            note_retry();
            inner
                .spawn(Box::pin(async move { until.notified().await }))
                .detach();
            // Not for that request.
            inner.spawn(Box::pin(std::future::pending())).detach();
            all.notify_one();
        };
        runtime.spawn(Box::pin(handling)).detach();
        in_time("all tasks", begun.notified()).await;
        (runtime, done)
    }

    #[tokio::test]
    async fn what_a_request_to_encrypt_anew_begins_is_waited_for_and_nothing_else() {
        let (runtime, done) = asked(&CancellationToken::new()).await;
        assert_eq!(runtime.retries.len(), 1);
        let sockets = Sockets::default();
        let _open = sockets.count(());
        let mut finishing = Box::pin(runtime.finish_retries(&sockets));
        assert!((&mut finishing).now_or_never().is_none(), "it is not done");
        done.notify_one();
        assert_eq!(in_time("the end of the one", finishing).await, 0);
    }

    #[tokio::test]
    async fn a_task_that_is_stopped_is_not_waited_for() {
        let stop = CancellationToken::new();
        let (runtime, _done) = asked(&stop).await;
        stop.cancel();
        let sockets = Sockets::default();
        let _open = sockets.count(());
        let left = in_time("the end of both", runtime.finish_retries(&sockets)).await;
        assert_eq!(left, 0);
    }

    #[tokio::test]
    async fn nothing_is_waited_for_without_a_socket() {
        let (runtime, _done) = asked(&CancellationToken::new()).await;
        let sockets = Sockets::default();
        drop(sockets.count(()));
        let left = in_time("the end", runtime.finish_retries(&sockets)).await;
        assert_eq!(left, 1);
    }
}
