//! A way to the stack that a test can cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where connections are led to; `None` while the way is cut.
type Lead = Option<String>;

/// An address on this machine behind which something else is.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    lead: watch::Sender<Lead>,
    _task: DropGuard,
}

impl Wire {
    /// A way to whatever is at this URL.
    pub async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (lead, leads) = watch::channel(Some(host(url)));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = accept(&listener, leads) => {}
                () = stopped => {}
            }
        });
        Self {
            address,
            lead,
            _task: stop.drop_guard(),
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts all connections; those that come are closed.
    pub fn cut(&self) {
        self.lead.send_replace(None);
    }

    /// Leads those that come to whatever is at this URL.
    pub fn mend(&self, url: &str) {
        self.lead.send_replace(Some(host(url)));
    }
}

fn host(url: &str) -> String {
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

async fn accept(listener: &TcpListener, leads: watch::Receiver<Lead>) {
    loop {
        let (near, _) = listener.accept().await.expect("a connection");
        // What is carried must not wait for the other side's delayed acknowledgement.
        let _ = near.set_nodelay(true);
        let mut leads = leads.clone();
        let Some(to) = leads.borrow_and_update().clone() else {
            continue;
        };
        tokio::spawn(async move {
            tokio::select! {
                () = carry(near, &to) => {}
                // Whatever changes, this connection was of before.
                _ = leads.changed() => {}
            }
        });
    }
}

async fn carry(mut near: TcpStream, to: &str) {
    if let Ok(mut far) = TcpStream::connect(to).await {
        let _ = far.set_nodelay(true);
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
