//! The port: how many connections it takes, and how long it waits for one that says nothing.
//!
//! The time-outs of handshakes and stanzas begin with the WebSocket. A peer that never gets that far, or whose
//! machine is gone without a word, is cut off here.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tracing::{info, warn};

use crate::config::Config;

/// What to do when the machine has no more sockets: others may free some.
const BREATH: Duration = Duration::from_millis(500);

/// Accepts connections, up to a number of them at once.
pub(crate) struct Port {
    listener: TcpListener,
    room: Arc<Semaphore>,
    patience: Duration,
}

impl Port {
    /// Listens on `listener` by the limits of `config`.
    pub(crate) fn new(listener: TcpListener, config: &Config) -> Self {
        Self {
            listener,
            room: Arc::new(Semaphore::new(config.limits.connections)),
            patience: config.idle_timeout,
        }
    }
}

impl Listener for Port {
    type Io = Patient<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, addr) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
                info!("a connection is refused: there are too many");
                continue;
            };
            // Without it a text costs 45 ms of waiting for the peer's delayed ACK.
            if let Err(error) = stream.set_nodelay(true) {
                warn!(%error, "TCP_NODELAY cannot be set");
            }
            return (Patient::new(stream, self.patience, Some(permit)), addr);
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A stream on which a read that takes longer than `patience` fails.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S> Patient<S> {
    fn new(stream: S, patience: Duration, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            stream,
            patience,
            deadline: Box::pin(tokio::time::sleep(patience)),
            _permit: permit,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(context, into) {
            Poll::Ready(read) => {
                let next = Instant::now() + self.patience;
                self.deadline.as_mut().reset(next);
                Poll::Ready(read)
            }
            Poll::Pending => match self.deadline.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_says_nothing_is_cut_off() {
        let (mut peer, stream) = tokio::io::duplex(64);
        let mut stream = Patient::new(stream, Duration::from_millis(50), None);
        let mut byte = [0];
        peer.write_all(&[1]).await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        let error = stream.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // A peer that speaks again after a while is heard: only the reader gave the connection up, and it is not
        // dead.
        peer.write_all(&[2]).await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, [2]);
    }
}
