//! The task that runs a session's client, and what it tells to the end.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use shared::domain::reason::Reason;
use shared::ids::InstanceId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};
use whatsapp_rust::{Client, RawNodeLease};

use super::DISCONNECT_DEADLINE;
use crate::connection::SessionEvent;
use crate::stop::{Answer, Course, Stop};
use crate::store::{GivenUp, SessionStore};
use crate::whatsapp::ending::Ending;
use crate::whatsapp::outlet::Outlet;
use crate::whatsapp::stops::Signal;
use crate::whatsapp::transport::Dialler;
use crate::whatsapp::versions::{Refused, Version, Versions};

/// How long storing the last steps of sessions may take.
const STORE_DEADLINE: Duration = Duration::from_secs(5);

/// How long the library may take over a pairing after WhatsApp has ended the pairing's stream.
const PAIRED_DEADLINE: Duration = Duration::from_secs(10);

/// How long the library may take over the end of a stream whose socket was closed.
const STREAM_DEADLINE: Duration = Duration::from_secs(5);

/// How long the library may go on without a socket. It takes 5 s at most to do what is left of a stream where everything answers, and a
/// read of session state is given up after 15 s.
const SOCKETLESS_DEADLINE: Duration = Duration::from_secs(20);

/// How long it may take to find out whether another entry of the session state can be read.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);

/// How long closing an abandoned socket may take.
const HANG_UP_DEADLINE: Duration = Duration::from_secs(1);

/// The task that runs the client, to its end.
pub struct SessionTask {
    /// The instance, for logs.
    pub instance: InstanceId,
    /// While it lives, the translator sees the server's stanzas.
    pub stanzas: RawNodeLease,
    /// The versions that sessions may announce.
    pub versions: Arc<Versions>,
    /// The version that the session announces.
    pub version: Version,
    /// The client.
    pub client: Arc<Client>,
    /// Its state.
    pub store: Arc<SessionStore>,
    /// Its socket.
    pub dialler: Dialler,
    /// What is known of the session's end.
    pub ending: Arc<Ending>,
    /// Where it tells what happens. It is closed when all is told and every task has ended.
    pub outlet: Arc<Outlet>,
    /// Ends every task of the session at once.
    pub stop: CancellationToken,
    /// Cancelled when the session's end was asked for.
    pub asked: CancellationToken,
    /// Cancelled when an incoming message could not be committed.
    pub commit_failed: CancellationToken,
    /// The tasks of the session.
    pub tasks: TaskTracker,
}

impl SessionTask {
    /// Runs the client, the first time by `first`, which is the bot's own run, and tells how that ended.
    pub async fn run(self, first: BoxFuture<'static, ()>) {
        let _over = Over {
            outlet: Arc::clone(&self.outlet),
            stop: self.stop.clone(),
        };
        let client = Arc::clone(&self.client);
        let ours = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            () = self.store.inbound_lost().cancelled() => Some(lost("an incoming message could not be stored")),
            () = self.store.patience().over().cancelled() => Some(Box::pin(self.unread()).await),
            () = self.outlet.overflow().cancelled() => Some(lost("events were not taken in time")),
            () = self.commit_failed.cancelled() => {
                // The message is buffered and durable: an orderly end keeps it, and it comes again.
                self.disconnect_in_time().await;
                Some(lost("an incoming message could not be committed"))
            }
            () = self.serve(client, first) => None,
        };
        if ours.is_some() || self.stop.is_cancelled() {
            self.store.shut();
        }
        self.stop.cancel();
        if tokio::time::timeout(HANG_UP_DEADLINE, self.dialler.hang_up())
            .await
            .is_err()
        {
            debug!(instance.id = %self.instance, "the socket did not close in time");
        }
        self.client.signal_shutdown_sync();
        drop(self.stanzas);
        if !self.asked.is_cancelled() {
            let end = Box::pin(end(&self.ending, ours, &self.versions, self.version));
            if let Some(end) = self.asked.run_until_cancelled(end).await {
                self.outlet.tell_in_time(end).await;
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
        info!(instance.id = %self.instance, "session over");
    }

    /// Runs the client until its stream ends, and again where that was the end of pairing.
    async fn serve(&self, client: Arc<Client>, first: BoxFuture<'static, ()>) {
        let mut linked = client.pn().is_some();
        self.until_end(first).await;
        while self.is_paired(&client, linked).await && !self.ending.is_over() && !self.asked.is_cancelled() {
            linked = true;
            self.ending.forget();
            self.until_end(Box::pin(client.run())).await;
        }
        if !self.asked.is_cancelled() {
            store_deferred(&self.store).await;
            return;
        }
        // An orderly end that was asked for goes on flushing after the stream's end, and says when it is done.
        self.stop.cancelled().await;
    }

    /// Runs the client until its stream ends, or until we drop it.
    async fn until_end(&self, run: BoxFuture<'_, ()>) {
        let has_ended = until_end(run, &self.ending, &self.dialler, SOCKETLESS_DEADLINE).await;
        if !has_ended {
            warn!(instance.id = %self.instance, "the stream did not come to its end: the session ends without it");
        }
    }

    /// Whether the stream that has ended was that of a pairing. WhatsApp ends it when it has the device's answer,
    /// perhaps before the library is done with the pairing. If the client was linked only now, that is waited for.
    async fn is_paired(&self, client: &Client, was_linked: bool) -> bool {
        let patience = if was_linked || client.pn().is_none() {
            Duration::ZERO
        } else {
            PAIRED_DEADLINE
        };
        self.ending.take_paired(patience).await
    }

    /// Why a session ends whose state could not be read in time. Where the state as a whole is away, the next session begins when it is
    /// back. Where it is one entry, the next session would meet it again, so there is a pause.
    async fn unread(&self) -> Stop {
        let stop = lost("session state could not be read");
        let unread = self.store.patience().given_up();
        // A failure that passes says nothing of the entry: the table may be back when another entry is read, or throttle by chance.
        let Some(GivenUp { kind, error, .. }) = unread.filter(|unread| !unread.passes) else {
            return stop;
        };
        let others = tokio::time::timeout(LOOK_DEADLINE, self.store.is_readable()).await;
        if others != Ok(true) {
            return stop;
        }
        error!(instance.id = %self.instance, kind, error, "an entry of session state cannot be read, and others can: the instance pauses");
        Stop {
            answer: Answer::Return(Course::Unreadable),
            ..stop
        }
    }

    async fn disconnect_in_time(&self) {
        if tokio::time::timeout(DISCONNECT_DEADLINE, Box::pin(self.client.disconnect()))
            .await
            .is_err()
        {
            debug!(instance.id = %self.instance, "the session did not end in time");
        }
        store_deferred(&self.store).await;
    }
}

/// Runs a client until its stream ends, and ends the stream where the library would go on. Answers whether the client came to its end. It
/// is dropped before that where ending takes too long, or where it goes on without a socket for longer than `socketless`.
async fn until_end(
    mut run: BoxFuture<'_, ()>,
    ending: &Ending,
    dialler: &Dialler,
    socketless: Duration,
) -> bool {
    let before = dialler.sockets().opened();
    let outlived = async {
        dialler.sockets().gone_since(before).await;
        tokio::time::sleep(socketless).await;
    };
    tokio::select! {
        () = &mut run => return true,
        () = ending.hung_up() => {}
        () = outlived => return false,
    }
    // The client runs meanwhile: it may be closing the socket itself, and hold the lock that we would wait for.
    let closing = Box::pin(async { tokio::join!(run, dialler.hang_up()) });
    tokio::time::timeout(STREAM_DEADLINE, closing).await.is_ok()
}

/// Ends a session's tasks and closes its outlet as it is dropped, also by a panic: others hold the outlet too, so whoever waits for
/// events would wait for ever.
struct Over {
    outlet: Arc<Outlet>,
    stop: CancellationToken,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.stop.cancel();
        self.outlet.close();
    }
}

/// A reason of our own for a session's end: another session follows soon.
fn lost(said: &str) -> Stop {
    Stop {
        answer: Answer::Return(Course::Lost),
        said: said.to_owned(),
        blames_wire: false,
    }
}

/// A session's last event: why it is over. `ours` is a reason of our own.
async fn end(ending: &Ending, ours: Option<Stop>, versions: &Versions, version: Version) -> SessionEvent {
    let stop = match (ending.take_stop(), ours) {
        (Some(stop), None) => stop,
        // An end for good stays one, whatever our own reason is.
        (Some(stop), Some(_)) if matches!(stop.answer, Answer::End(..)) => stop,
        (_, Some(ours)) => ours,
        (None, None) => Signal::Silent.stop(),
    };
    if stop.answer == Answer::Return(Course::Lost) {
        return disconnected(stop.said, stop.blames_wire);
    }
    let is_outdated = matches!(stop.answer, Answer::End(_, Reason::ClientOutdated));
    if is_outdated && versions.refused(version).await != Refused::IsCurrent {
        // The next session announces a newer version, or is not begun before one is known.
        return disconnected(stop.said, stop.blames_wire);
    }
    SessionEvent::Stopped(stop)
}

fn disconnected(reason: String, blames_wire: bool) -> SessionEvent {
    SessionEvent::Disconnected { reason, blames_wire }
}

/// Stores the last steps of Signal sessions. If that fails, the next session skips what this one had reserved, which
/// costs little.
pub async fn store_deferred(store: &SessionStore) {
    match tokio::time::timeout(STORE_DEADLINE, Box::pin(store.store_deferred())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "the last steps of sessions were not stored"),
        Err(_) => debug!("the last steps of sessions were not stored in time"),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use bytes::Bytes;
    use testbed::wait::in_time;
    use tokio::sync::{Mutex, mpsc};
    use wacore::net::Transport;

    use super::*;
    use crate::lean::{MOST, size_of_future};
    use crate::meter::Total;
    use crate::whatsapp::stops::StreamError;

    fn dialler(ending: &Arc<Ending>) -> Dialler {
        Dialler::new("ws://127.0.0.1/ws/chat", Arc::clone(ending))
    }

    /// A socket that is closed under a lock, as the library's is.
    #[derive(Default)]
    struct Socket(Mutex<()>);

    #[async_trait]
    impl Transport for Socket {
        async fn send(&self, _: Bytes) -> anyhow::Result<()> {
            Ok(())
        }

        async fn disconnect(&self) {
            let _closing = self.0.lock().await;
        }
    }

    #[tokio::test]
    async fn a_client_that_is_closing_its_socket_goes_on_while_we_hang_up() {
        let (ending, socket) = (Arc::new(Ending::default()), Arc::new(Socket::default()));
        let dialler = dialler(&ending);
        dialler.remember(Arc::clone(&socket) as Arc<dyn Transport>);
        let run = async {
            let closing = socket.0.lock().await;
            ending.note(&Signal::Stream(StreamError::Code(503)));
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            drop(closing);
        };
        let end = until_end(Box::pin(run), &ending, &dialler, SOCKETLESS_DEADLINE);
        assert!(in_time("the end", end).await, "the client came to its own end");
    }

    #[tokio::test]
    async fn a_client_that_goes_on_without_a_socket_is_left() {
        let ending = Arc::new(Ending::default());
        let dialler = dialler(&ending);
        let run = async {
            drop(dialler.sockets().count(()));
            std::future::pending::<()>().await;
        };
        let end = until_end(Box::pin(run), &ending, &dialler, Duration::ZERO);
        assert!(!in_time("the end", end).await);
        // The next stream has a socket of its own.
        let run = async {
            let _socket = dialler.sockets().count(());
            std::future::pending::<()>().await;
        };
        let next = until_end(Box::pin(run), &ending, &dialler, Duration::ZERO);
        let next = tokio::time::timeout(Duration::from_millis(50), next).await;
        assert!(next.is_err(), "its socket is open");
    }

    #[tokio::test]
    async fn a_session_whose_task_panics_is_over() {
        let (sender, mut events) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let outlet = Arc::new(Outlet::new(sender, Total::default(), stop.clone()));
        let over = Over {
            outlet: Arc::clone(&outlet),
            stop: stop.clone(),
        };
        let task = tokio::spawn(async move {
            let _over = over;
            panic!("as the test wants it");
        });
        assert_eq!(in_time("the end of events", events.recv()).await, None);
        assert!(stop.is_cancelled());
        assert!(in_time("the panic", task).await.is_err());
        drop(outlet);
    }

    #[test]
    fn a_session_that_waits_takes_little_memory() {
        let size = size_of_future(|(task, first)| SessionTask::run(task, first));
        assert!(size <= MOST, "{size} bytes");
    }
}
