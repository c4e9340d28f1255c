//! Connections of the media host, handed on once their TLS handshake is done.
//!
//! Handshakes run at the same time, or a client that says nothing would keep out all others.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use crate::network::Network;

/// Handshakes at a time; further connections wait in the kernel's queue.
const HANDSHAKES: usize = 256;

/// The longest a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause after a connection could not be taken, most often for want of file descriptors.
const RESPITE: Duration = Duration::from_millis(200);

type Connection = (TlsStream<TcpStream>, SocketAddr);

/// The connections whose handshake is done.
pub(super) struct Secured {
    connections: mpsc::Receiver<Connection>,
    local: SocketAddr,
}

impl axum::serve::Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        match self.connections.recv().await {
            Some(connection) => connection,
            // The network is stopping: whoever serves hears that by itself.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

/// Takes connections from `listener` until the network stops.
pub(super) fn listen(network: &Arc<Network>, listener: TcpListener) -> io::Result<Secured> {
    let local = listener.local_addr()?;
    let (ready, connections) = mpsc::channel(1);
    network.tasks.spawn(accept(Arc::clone(network), listener, ready));
    Ok(Secured { connections, local })
}

async fn accept(network: Arc<Network>, listener: TcpListener, ready: mpsc::Sender<Connection>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    let stop = network.stop.clone();
    loop {
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "the media host cannot take a connection");
                tokio::time::sleep(RESPITE).await;
                continue;
            }
        };
        let config = match network.media.certificates.current() {
            Ok(config) => config,
            Err(error) => {
                warn!(cause = %error.for_log(), "the media host has no certificate");
                continue;
            }
        };
        let (ready, stop) = (ready.clone(), stop.clone());
        network.tasks.spawn(async move {
            let _permit = permit;
            // Without it a small answer waits for the client's delayed acknowledgement.
            let _ = stream.set_nodelay(true);
            let handshake = tokio::time::timeout(PATIENCE, TlsAcceptor::from(config).accept(stream));
            let secured = tokio::select! {
                () = stop.cancelled() => return,
                secured = handshake => secured,
            };
            match secured {
                // Nobody takes it any more while the network stops.
                Ok(Ok(stream)) => drop(ready.send((stream, peer)).await),
                Ok(Err(error)) => debug!(%error, "no TLS with a client of the media host"),
                Err(_) => debug!("a client of the media host did not finish its handshake"),
            }
        });
    }
}
