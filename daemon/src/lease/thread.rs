//! A thread for what keeps the leases, with a runtime of its own.
//!
//! The runtime that serves the shards may be busy for longer than a lease lasts. A beat among its tasks would come too late, and
//! the daemon would lose shards that it can serve. So the keeper and the watchdog share neither threads nor timers with it, nor
//! a client whose connections it drives.

use std::panic::resume_unwind;
use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

/// What the system calls it: 15 bytes at most.
const NAME: &str = "waxwing-leases";

/// The thread. It ends when this is dropped, and drops what it does.
#[derive(Debug)]
pub struct LeaseThread {
    runtime: Handle,
    stop: DropGuard,
    /// Tells nothing. Its sender goes with the thread.
    ended: oneshot::Receiver<()>,
}

impl LeaseThread {
    /// Starts it. Fails where the system gives no thread, or nothing by which a runtime waits.
    pub async fn start() -> io::Result<Self> {
        let stop = CancellationToken::new();
        let (told, begun) = oneshot::channel();
        let (lives, ended) = oneshot::channel();
        let stopped = stop.clone();
        thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            drive(told, &stopped);
            drop(lives);
        })?;
        // The thread ends, too, where nobody waits for its start any more.
        let stop = stop.drop_guard();
        let runtime = begun.await.map_err(io::Error::other)??;
        Ok(Self { runtime, stop, ended })
    }

    /// Does this work on the thread, and waits until both have ended. A panic of the work goes on in whoever waits. Work that
    /// was cut short, since its runtime ended, counts as ended.
    pub async fn run(self, work: impl Future<Output = ()> + Send + 'static) {
        let Self { runtime, stop, ended } = self;
        let done = AbortOnDropHandle::new(runtime.spawn(work)).await;
        drop(stop);
        let _ = ended.await;
        if let Some(panic) = done.err().and_then(|error| error.try_into_panic().ok()) {
            resume_unwind(panic);
        }
    }
}

/// Makes a runtime, tells of it, and runs what it is given until `stop`.
fn drive(told: oneshot::Sender<io::Result<Handle>>, stop: &CancellationToken) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = told.send(Err(error));
            return;
        }
    };
    // Whoever asked may have gone. Then it is to stop.
    let _ = told.send(Ok(runtime.handle().clone()));
    runtime.block_on(stop.cancelled());
    // Nobody waits for an address that is looked up.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use testbed::wait::in_time;

    use super::*;

    #[tokio::test]
    async fn work_is_done_on_the_thread_and_waited_for() {
        let thread = LeaseThread::start().await.expect("a thread");
        let (tell, told) = oneshot::channel();
        let work = async move {
            // Others have their turns meanwhile.
            tokio::task::yield_now().await;
            let name = thread::current().name().map(str::to_owned);
            tell.send(name).expect("the test waits");
        };
        in_time("the end", thread.run(work)).await;
        assert_eq!(told.await.expect("told").as_deref(), Some(NAME));
    }

    #[tokio::test]
    async fn a_panic_goes_on_in_whoever_waits() {
        let thread = LeaseThread::start().await.expect("a thread");
        let running = tokio::spawn(thread.run(async { panic!("as the test wants it") }));
        let end = in_time("the end", running).await;
        let panic = end.expect_err("it panics").into_panic();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"as the test wants it"));
    }

    #[tokio::test]
    async fn work_that_is_cut_short_has_ended_without_a_panic() {
        let LeaseThread { runtime, stop, ended } = LeaseThread::start().await.expect("a thread");
        let ends = stop.disarm();
        let stop = ends.clone().drop_guard();
        let thread = LeaseThread { runtime, stop, ended };
        let (start, begun) = oneshot::channel();
        let running = tokio::spawn(thread.run(async move {
            start.send(()).expect("the test waits");
            pending::<()>().await;
        }));
        in_time("the work", begun).await.expect("it begins");
        ends.cancel();
        in_time("the end", running).await.expect("no panic");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_dropped() {
        let thread = LeaseThread::start().await.expect("a thread");
        let dropped = CancellationToken::new();
        let guard = dropped.clone().drop_guard();
        let (start, begun) = oneshot::channel();
        let running = tokio::spawn(thread.run(async move {
            let _guard = guard;
            start.send(()).expect("the test waits");
            pending::<()>().await;
        }));
        in_time("the work", begun).await.expect("it begins");
        assert!(!dropped.is_cancelled());
        running.abort();
        in_time("the end of the work", dropped.cancelled()).await;
    }
}
