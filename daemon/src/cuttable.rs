//! Connections that can be cut. A socket whose peer reads nothing keeps its writer waiting for as long as the peer likes: only
//! the end of the connection ends that.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Cancelled, it ends the connection at once.
    pub cut: CancellationToken,
}

/// A listener whose connections can be cut.
#[derive(Debug)]
pub struct Listener(TcpListener);

impl Listener {
    /// Over this one.
    pub fn over(listener: TcpListener) -> Self {
        Self(listener)
    }
}

impl axum::serve::Listener for Listener {
    type Io = Cuttable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Cuttable, SocketAddr) {
        let (stream, address) = axum::serve::Listener::accept(&mut self.0).await;
        // A small answer must not wait for the caller's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        (Cuttable::over(stream), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        Self {
            address: *stream.remote_addr(),
            cut: stream.io().cut.clone(),
        }
    }
}

/// A connection that can be cut.
#[derive(Debug)]
pub struct Cuttable {
    stream: TcpStream,
    cut: CancellationToken,
    // One for each direction: they may belong to two tasks, and each wakes its own.
    reading: Pin<Box<WaitForCancellationFutureOwned>>,
    writing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    fn over(stream: TcpStream) -> Self {
        let cut = CancellationToken::new();
        Self {
            stream,
            reading: Box::pin(cut.clone().cancelled_owned()),
            writing: Box::pin(cut.clone().cancelled_owned()),
            cut,
        }
    }

    fn may_write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        still(&mut self.writing, context)
    }
}

fn still(cut: &mut Pin<Box<WaitForCancellationFutureOwned>>, context: &mut Context<'_>) -> io::Result<()> {
    match cut.as_mut().poll(context) {
        Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
        Poll::Pending => Ok(()),
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        still(&mut self.reading, context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.may_write(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.may_write(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.may_write(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.may_write(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::serve::Listener as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A peer, and its connection as the listener hands it out.
    async fn connected() -> (TcpStream, Cuttable) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut listener = Listener::over(listener);
        let address = listener.local_addr().expect("bound");
        let (peer, (connection, _)) = tokio::join!(TcpStream::connect(address), listener.accept());
        (peer.expect("connected"), connection)
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_ends_for_a_writer_whose_peer_reads_nothing() {
        let (peer, mut connection) = connected().await;
        let cut = connection.cut.clone();
        let writing = tokio::spawn(async move {
            let much = vec![0; 64 * 1024];
            loop {
                if let Err(error) = connection.write_all(&much).await {
                    return error.kind();
                }
            }
        });
        cut.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), writing).await;
        let kind = ended.expect("in time").expect("no panic");
        assert_eq!(kind, io::ErrorKind::ConnectionAborted);
        drop(peer);
    }

    #[tokio::test]
    async fn a_reader_wakes_when_its_connection_is_cut() {
        let (peer, mut connection) = connected().await;
        let cut = connection.cut.clone();
        let reading = tokio::spawn(async move { connection.read_u8().await.map_err(|error| error.kind()) });
        tokio::task::yield_now().await;
        cut.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(10), reading).await;
        let read = ended.expect("in time").expect("no panic");
        assert_eq!(read, Err(io::ErrorKind::ConnectionAborted));
        drop(peer);
    }
}
