//! Which of a session's sockets are open, whatever the client makes of their ends.
//!
//! The library tells of a stream's end when it has settled all that belonged to the stream. Where it does not come to that, only the
//! socket itself shows that the stream is over.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// The sockets that one session has opened. Clones count the same sockets.
#[derive(Debug, Clone, Default)]
pub struct Sockets(Arc<watch::Sender<Count>>);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    opened: u64,
    open: u64,
}

impl Sockets {
    /// Counts a socket as open until its other end has closed it, reading from it fails, or it is dropped.
    pub fn count<S>(&self, socket: S) -> Counted<S> {
        self.0.send_modify(|count| {
            count.opened += 1;
            count.open += 1;
        });
        Counted {
            socket,
            open: Some(Open(self.clone())),
        }
    }

    /// How many were opened until now.
    pub fn opened(&self) -> u64 {
        self.0.borrow().opened
    }

    /// Waits until one was opened after the first `before` and none is open.
    pub async fn gone_since(&self, before: u64) {
        let mut counts = self.0.subscribe();
        // Its sender is there for as long as this is.
        let _ = counts
            .wait_for(|count| count.opened > before && count.open == 0)
            .await;
    }
}

/// A socket that is counted.
#[derive(Debug)]
pub struct Counted<S> {
    socket: S,
    /// While it is open.
    open: Option<Open>,
}

/// An open socket's part in the count.
#[derive(Debug)]
struct Open(Sockets);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| count.open -= 1);
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
        let is_over = match &read {
            Poll::Ready(Ok(())) => has_room && into.filled().len() == before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if is_over {
            self.open.take();
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
        Pin::new(&mut self.socket).poll_write(context, bytes)
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
        Pin::new(&mut self.socket).poll_write_vectored(context, parts)
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
