//! The WebSocket. It is dialled here, and remembered so that it can be closed without the client.
//!
//! A session writes a message in several small frames and waits for the server in between. With
//! Nagle's algorithm (RFC 896) each frame waits for the server's delayed acknowledgement of the
//! one before it, 40 ms or a round trip, so the sockets have `TCP_NODELAY`. The library's own
//! factory does not set it.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{HeaderValue, ORIGIN};
use tokio::net::TcpStream;
use tokio_websockets::{ClientBuilder, Connector, Error, upgrade};
use wacore::net::{Transport, TransportEvent, TransportFactory, WHATSAPP_WEB_ORIGIN};
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust_tokio_transport::{default_tls_connector, from_websocket};

use super::ending::Ending;
use super::sockets::Sockets;
use super::stops::Signal;

/// How long one address of the server may take to accept a connection, before the next is
/// tried. The library gives all of dialling 20 s.
const CONNECT_DEADLINE: Duration = Duration::from_secs(6);

/// The roots that a WebSocket's TLS trusts, read once and not for each session.
static TLS: LazyLock<Connector> = LazyLock::new(default_tls_connector);

/// Opens sockets and knows the last one.
#[derive(Clone)]
pub struct Dialler {
    url: Arc<str>,
    ending: Arc<Ending>,
    sockets: Sockets,
    last: Arc<Mutex<Option<Arc<dyn Transport>>>>,
}

impl Dialler {
    /// Opens sockets to `url` (`ws` or `wss`). A failure is noted in `ending`, since the library tells nobody.
    pub fn new(url: &str, ending: Arc<Ending>) -> Self {
        Self {
            url: url.into(),
            ending,
            sockets: Sockets::default(),
            last: Arc::default(),
        }
    }

    /// The sockets that were opened here.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Remembers the last socket.
    pub fn remember(&self, transport: Arc<dyn Transport>) {
        *self.last.lock().expect("no holder panics") = Some(transport);
    }

    /// Closes the last socket, whatever the client is doing.
    pub async fn hang_up(&self) {
        let last = self.last.lock().expect("no holder panics").take();
        if let Some(transport) = last {
            transport.disconnect().await;
        }
    }
}

#[async_trait]
impl TransportFactory for Dialler {
    async fn create_transport(&self) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let dialled = dial(&self.url, &self.sockets).await;
        let (transport, events) = dialled.inspect_err(|error| self.ending.note(&refusal(error)))?;
        self.remember(Arc::clone(&transport));
        Ok((transport, events))
    }
}

/// What a failure to dial says: the server's HTTP status, where there was a server.
fn refusal(error: &anyhow::Error) -> Signal {
    let status = error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(Error::Upgrade(upgrade::Error::DidNotSwitchProtocols(status))) => Some(*status),
        _ => None,
    });
    status.map_or(Signal::Unreachable, Signal::Upgrade)
}

async fn dial(
    url: &str,
    sockets: &Sockets,
) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
    let parsed = Url::parse(url).context("the WebSocket's URL")?;
    let connector = match parsed.scheme() {
        "wss" => &*TLS,
        "ws" => &Connector::Plain,
        other => bail!("the WebSocket's URL has the scheme `{other}`, and is to have ws or wss"),
    };
    // An IPv6 address stands in brackets in a URL, and nowhere else.
    let host = parsed.host_str().context("the WebSocket's URL names no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = parsed
        .port_or_known_default()
        .context("the WebSocket's URL has no port")?;
    // Beneath TLS, so that a part of what comes counts as well.
    let stream = sockets.count(connect(host, port).await?);
    let stream = connector.wrap(host, stream).await.context("the TLS handshake")?;
    let (socket, _) = ClientBuilder::new()
        .uri(url)?
        .add_header(ORIGIN, HeaderValue::from_static(WHATSAPP_WEB_ORIGIN))?
        .connect_on(stream)
        .await
        .context("the WebSocket's upgrade")?;
    Ok(from_websocket(socket))
}

/// A connection to the first of the host's addresses that accepts one.
async fn connect(host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let mut refused = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        let connecting = tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(address));
        match connecting.await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => refused = Some(error.into()),
            Err(late) => refused = Some(anyhow::Error::from(late)),
        }
    }
    Err(refused.unwrap_or_else(|| anyhow::anyhow!("the host has no address")))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::Router;
    use axum::extract::State;
    use axum::extract::ws::{WebSocket, WebSocketUpgrade};
    use axum::http::StatusCode;
    use axum::routing::get;
    use bytes::Bytes;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;
    use crate::stop::{Answer, Course};

    /// How many pairs of frames are sent.
    const PAIRS: usize = 20;

    /// A pair that takes so long has waited for an acknowledgement: Linux delays one by 40 ms.
    const PAUSE: Duration = Duration::from_millis(20);

    /// A server's end of a connection that is slow to acknowledge, as the network makes it.
    struct Lazy(TcpStream);

    impl AsyncRead for Lazy {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.0.set_quickack(false)?;
            let read = Pin::new(&mut self.0).poll_read(context, into);
            self.0.set_quickack(false)?;
            read
        }
    }

    impl AsyncWrite for Lazy {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }

    struct LazyPort(TcpListener);

    impl axum::serve::Listener for LazyPort {
        type Io = Lazy;
        type Addr = SocketAddr;

        async fn accept(&mut self) -> (Lazy, SocketAddr) {
            let (stream, address) = self.0.accept().await.expect("accepted");
            (Lazy(stream), address)
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            self.0.local_addr()
        }
    }

    /// Tells of each frame that it came, and answers nothing that could carry its acknowledgement.
    async fn watch(mut socket: WebSocket, came: mpsc::Sender<()>) {
        while let Some(Ok(_)) = socket.recv().await {
            if came.send(()).await.is_err() {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_frame_does_not_wait_for_the_acknowledgement_of_the_one_before() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}/ws/chat", listener.local_addr().expect("bound"));
        let (came_in, mut came) = mpsc::channel::<()>(2 * PAIRS);
        let upgrade = async |State(came): State<mpsc::Sender<()>>, upgrade: WebSocketUpgrade| {
            upgrade.on_upgrade(move |socket| watch(socket, came))
        };
        let routes = Router::new().route("/ws/chat", get(upgrade)).with_state(came_in);
        let server = tokio::spawn(async move { axum::serve(LazyPort(listener), routes).await });

        let (transport, _events) = Dialler::new(&url, Arc::default())
            .create_transport()
            .await
            .expect("dialled");
        let mut pauses = 0;
        for _ in 0..PAIRS {
            let begun = Instant::now();
            for _ in 0..2 {
                transport.send(Bytes::from_static(b"frame")).await.expect("sent");
            }
            for _ in 0..2 {
                came.recv().await.expect("both come");
            }
            pauses += usize::from(begun.elapsed() >= PAUSE);
        }
        // A busy machine may make a few of its own.
        assert!(pauses <= PAIRS / 2, "{pauses} of {PAIRS} pairs waited");
        transport.disconnect().await;
        server.abort();
    }
    #[tokio::test]
    async fn a_server_that_takes_no_connection_says_why() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let refuse = async || StatusCode::TOO_MANY_REQUESTS;
        let routes = Router::new().route("/ws/chat", get(refuse));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        let ending = Arc::new(Ending::default());
        let dialler = Dialler::new(&format!("ws://{address}/ws/chat"), Arc::clone(&ending));
        assert!(dialler.create_transport().await.is_err());
        let stop = ending.take_stop().expect("noted");
        assert_eq!(stop.answer, Answer::Return(Course::RateLimited));
        assert_eq!(stop.said, "WhatsApp asks for fewer connections (HTTP 429)");
        server.abort();
        let _ = server.await;
        assert!(dialler.create_transport().await.is_err());
        let stop = ending.take_stop().expect("noted");
        assert_eq!(stop.answer, Answer::Return(Course::Lost));
        assert_eq!(stop.said, "WhatsApp cannot be reached");
    }
}
