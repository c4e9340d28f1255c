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
    /// Told when connections die.
    deaths: watch::Sender<()>,
    _task: DropGuard,
}

impl Wire {
    /// A way to whatever is at this URL.
    pub async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (lead, leads) = watch::channel(Some(host(url)));
        let (deaths, dying) = watch::channel(());
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = accept(&listener, leads, dying) => {}
                () = stopped => {}
            }
        });
        Self {
            address,
            lead,
            deaths,
            _task: stop.drop_guard(),
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of a sandbox's WebSocket, where one is behind it.
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws/chat", self.address)
    }

    /// Lets all connections die without a word: nothing is carried over them any more, not their ends either. They stay open until
    /// this is asked for again. Those that come later are led on.
    pub fn let_die(&self) {
        self.deaths.send_replace(());
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

async fn accept(listener: &TcpListener, leads: watch::Receiver<Lead>, dying: watch::Receiver<()>) {
    loop {
        let (near, _) = listener.accept().await.expect("a connection");
        // What is carried must not wait for the other side's delayed acknowledgement.
        let _ = near.set_nodelay(true);
        let (mut leads, mut dying) = (leads.clone(), dying.clone());
        // Those that died before are no business of this one.
        dying.mark_unchanged();
        let Some(to) = leads.borrow_and_update().clone() else {
            continue;
        };
        tokio::spawn(async move {
            tokio::select! {
                () = carry(near, &to, dying) => {}
                // Whatever changes, this connection was of before.
                _ = leads.changed() => {}
            }
        });
    }
}

async fn carry(mut near: TcpStream, to: &str, mut dying: watch::Receiver<()>) {
    let Ok(mut far) = TcpStream::connect(to).await else {
        return;
    };
    let _ = far.set_nodelay(true);
    let is_dead = tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => false,
        death = dying.changed() => death.is_ok(),
    };
    if is_dead {
        // Both sockets are held open until the next death.
        let _ = dying.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use testbed::wait::in_time;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What says everything back.
    async fn echo() -> (SocketAddr, DropGuard) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let saying = async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = saying => {}
                () = stopped => {}
            }
        });
        (address, stop.drop_guard())
    }

    /// Says a byte, and waits until it is said back.
    async fn exchange(socket: &mut TcpStream) {
        socket.write_all(b"x").await.expect("written");
        let said = in_time("the byte", socket.read_u8()).await;
        assert_eq!(said.expect("read"), b'x');
    }

    #[tokio::test]
    async fn connections_that_died_stay_open_and_say_nothing_while_others_go_on() {
        let (address, _echo) = echo().await;
        let wire = Wire::to(&format!("http://{address}")).await;
        let mut dead = TcpStream::connect(wire.address).await.expect("connected");
        exchange(&mut dead).await;
        wire.let_die();
        let mut alive = TcpStream::connect(wire.address).await.expect("connected");
        exchange(&mut alive).await;
        dead.write_all(b"x").await.expect("written");
        exchange(&mut alive).await;
        let nothing = dead.try_read(&mut [0]).expect_err("neither a byte nor an end");
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
        // Those of the next death are others. It closes the former ones, and the end of the way closes all.
        wire.let_die();
        let mut last = TcpStream::connect(wire.address).await.expect("connected");
        exchange(&mut last).await;
        drop(wire);
        for socket in [&mut dead, &mut alive, &mut last] {
            let ended = in_time("the end", socket.read(&mut [0])).await;
            assert!(ended.is_err() || ended.is_ok_and(|read| read == 0));
        }
    }
}
