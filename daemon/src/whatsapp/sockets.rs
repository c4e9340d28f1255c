//! Which of a session's sockets are open, and when something came or went over them.
//!
//! The library tells of a stream's end only once it has done everything that belonged to the stream. Where it never comes to that, only the
//! socket itself shows that the stream is over.
//!
//! A socket is not dead while anything comes over it, even if an answer is late. Nor is it while the other end takes what is sent, however
//! slowly: then the request still waits behind that, and its answer is late for this reason.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;

/// How much longer silence is waited for, so that what has arrived is read first where nothing ran for a while.
const READING: Duration = Duration::from_millis(250);

/// The sockets that one session has opened. Clones see the same sockets.
#[derive(Debug, Clone, Default)]
pub struct Sockets(Arc<State>);

#[derive(Debug, Default)]
struct State {
    count: watch::Sender<Count>,
    heard: Mutex<Heard>,
}

/// What came over the last socket.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    /// When something was read last, or something was sent that had waited for room.
    at: Option<Instant>,
    /// Whether everything that has come was read.
    is_all: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    opened: u64,
    open: u64,
}

impl Sockets {
    /// Counts a socket as open until its other end has closed it, reading from it fails, or it is dropped.
    pub fn count<S>(&self, socket: S) -> Counted<S> {
        self.0.count.send_modify(|count| {
            count.opened += 1;
            count.open += 1;
        });
        Counted {
            socket,
            open: Some(Open(self.clone())),
            is_full: false,
        }
    }

    /// How many were opened until now.
    pub fn opened(&self) -> u64 {
        self.0.count.borrow().opened
    }

    /// Waits until one was opened after the first `before` and none is open.
    pub async fn gone_since(&self, before: u64) {
        let mut counts = self.0.count.subscribe();
        // Its sender is there for as long as this is.
        let _ = counts
            .wait_for(|count| count.opened > before && count.open == 0)
            .await;
    }

    /// Waits until, from now on, for as long as `patience` nothing has come and nothing was sent that had waited for room. It goes on
    /// waiting while something that has come may not be read yet.
    pub async fn silence(&self, patience: Duration) {
        let mut since = Instant::now();
        loop {
            tokio::time::sleep_until(since + patience).await;
            tokio::time::sleep(READING).await;
            let heard = *self.0.heard.lock().expect("no holder panics");
            since = match heard {
                Heard { is_all: false, .. } => Instant::now(),
                Heard { at: Some(at), .. } if at > since => at,
                Heard { .. } => return,
            };
        }
    }

    fn note_read(&self) {
        *self.0.heard.lock().expect("no holder panics") = Heard {
            at: Some(Instant::now()),
            is_all: false,
        };
    }

    fn note_taken(&self) {
        self.0.heard.lock().expect("no holder panics").at = Some(Instant::now());
    }

    fn note_all_read(&self) {
        self.0.heard.lock().expect("no holder panics").is_all = true;
    }
}

/// A socket that is counted.
#[derive(Debug)]
pub struct Counted<S> {
    socket: S,
    /// While it is open.
    open: Option<Open>,
    /// Whether what is to be sent waits for room. There is room again when the other end has taken some of what was sent before.
    is_full: bool,
}

impl<S> Counted<S> {
    /// Notes what came of an attempt to send something.
    fn note_sent(&mut self, sent: &Poll<io::Result<usize>>) {
        let was_full = std::mem::replace(&mut self.is_full, sent.is_pending());
        if was_full
            && matches!(sent, Poll::Ready(Ok(1..)))
            && let Some(Open(sockets)) = &self.open
        {
            sockets.note_taken();
        }
    }
}

/// An open socket's part in the count.
#[derive(Debug)]
struct Open(Sockets);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.note_all_read();
        self.0.0.count.send_modify(|count| count.open -= 1);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, has_room) = (into.filled().len(), into.remaining() > 0);
        let read = Pin::new(&mut self.socket).poll_read(context, into);
        let Some(Open(sockets)) = &self.open else {
            return read;
        };
        match &read {
            Poll::Pending => sockets.note_all_read(),
            Poll::Ready(Ok(())) if into.filled().len() > before => sockets.note_read(),
            Poll::Ready(Ok(())) if !has_room => {}
            Poll::Ready(_) => drop(self.open.take()),
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note_sent(&sent);
        sent
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.note_sent(&sent);
        sent
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use testbed::wait::in_time;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    fn is_gone(sockets: &Sockets, before: u64) -> bool {
        sockets.gone_since(before).now_or_never().is_some()
    }

    fn open(sockets: &Sockets) -> (Counted<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        (sockets.count(ours), theirs)
    }

    #[tokio::test]
    async fn a_socket_whose_other_end_is_closed_is_gone_when_all_is_read() {
        let sockets = Sockets::default();
        assert!(!is_gone(&sockets, 0), "none was opened");
        let (mut socket, mut other_end) = open(&sockets);
        other_end.write_all(b"last").await.expect("written");
        drop(other_end);
        let mut last = [0; 4];
        socket.read_exact(&mut last).await.expect("read");
        assert_eq!(&last, b"last");
        assert!(!is_gone(&sockets, 0), "there may be more");
        assert_eq!(socket.read(&mut last).await.expect("the end"), 0);
        in_time("the socket's end", sockets.gone_since(0)).await;
        // It counts once.
        drop(socket);
        assert!(is_gone(&sockets, 0));
    }

    #[tokio::test]
    async fn silence_begins_anew_with_whatever_comes() {
        let sockets = Sockets::default();
        let (mut socket, mut other_end) = open(&sockets);
        let patience = 2 * READING;
        let mut silence = Box::pin(sockets.silence(patience));
        assert!((&mut silence).now_or_never().is_none(), "it begins now");
        // It has lasted long enough when something comes.
        tokio::time::sleep(patience).await;
        other_end.write_all(b"life").await.expect("written");
        let mut life = [0; 4];
        socket.read_exact(&mut life).await.expect("read");
        let came_at = Instant::now();
        assert!(socket.read(&mut life).now_or_never().is_none(), "that was all");
        in_time("the silence", silence).await;
        assert!(came_at.elapsed() >= patience);
    }

    #[tokio::test]
    async fn silence_begins_anew_where_room_is_made_for_what_is_to_be_sent() {
        let sockets = Sockets::default();
        let (mut socket, mut other_end) = open(&sockets);
        let heard_at = || sockets.0.heard.lock().expect("no holder panics").at;
        let mut much = [0; 64];
        assert!(socket.read(&mut much).now_or_never().is_none(), "nothing came");
        socket.write_all(&much).await.expect("written");
        assert_eq!(heard_at(), None, "nobody has taken it yet");
        assert!(socket.write(&much).now_or_never().is_none(), "it is full");
        let patience = 2 * READING;
        let mut silence = Box::pin(sockets.silence(patience));
        assert!((&mut silence).now_or_never().is_none(), "it begins now");
        tokio::time::sleep(patience).await;
        other_end.read_exact(&mut much).await.expect("read");
        socket.write_all(&[1]).await.expect("written");
        let taken_at = Instant::now();
        assert!(heard_at().is_some());
        in_time("the silence", silence).await;
        assert!(taken_at.elapsed() >= patience);
    }

    #[tokio::test]
    async fn nothing_is_silent_where_nobody_reads() {
        let sockets = Sockets::default();
        let (mut socket, mut other_end) = open(&sockets);
        other_end.write_all(b"much").await.expect("written");
        let mut part = [0; 2];
        socket.read_exact(&mut part).await.expect("read");
        let mut silence = Box::pin(sockets.silence(Duration::ZERO));
        let heard = tokio::time::timeout(3 * READING, &mut silence).await;
        assert!(heard.is_err(), "there may be more");
        socket.read_exact(&mut part).await.expect("read");
        assert!(socket.read(&mut part).now_or_never().is_none(), "that was all");
        in_time("the silence", silence).await;
    }

    #[tokio::test]
    async fn a_socket_that_is_dropped_is_gone_and_an_earlier_one_stands_for_no_later_one() {
        let sockets = Sockets::default();
        let (first, _other_end) = open(&sockets);
        let before = sockets.opened();
        drop(first);
        assert!(is_gone(&sockets, 0));
        assert!(!is_gone(&sockets, before), "the next is not opened yet");
        let (second, _other_end) = open(&sockets);
        assert!(!is_gone(&sockets, before));
        drop(second);
        assert!(is_gone(&sockets, before));
    }
}
