//! Asks the daemon of this machine whether it lives. It is the health check for whatever runs the daemon's image, so the image needs
//! no other program for that. Processes that have a daemon within are asked the same way.
//!
//! It asks `/health` and not `/ready`: a daemon that cannot reach the table or Redis is not mended by a restart, and all of them
//! would be restarted at once. One whose shards do not end, or that does nothing for them, ends by itself (`lease`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use shared::config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(4);

/// What the answer of one that lives begins with.
const LIVES: &[u8; 12] = b"HTTP/1.1 200";

/// Asks at `WAXWING_LISTEN`. An error where that is not set, and where the answer is another than 200 or does not come within
/// 4 s.
pub async fn run() -> anyhow::Result<()> {
    ask(config::daemon_address()?.context("WAXWING_LISTEN must be set")?).await
}

/// Asks one that listens there, from its own machine. An error where the answer is another than 200 or does not come within 4 s.
pub async fn ask(listens: SocketAddr) -> anyhow::Result<()> {
    let address = on_this_machine(listens);
    let start = timeout(DEADLINE, start_of_answer(address))
        .await
        .context("no answer in time")??;
    ensure!(start == *LIVES, "it does not answer 200");
    Ok(())
}

async fn start_of_answer(address: SocketAddr) -> anyhow::Result<[u8; 12]> {
    let mut stream = TcpStream::connect(address).await.context("nobody listens")?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    Ok(start)
}

/// Where one that listens there is reached from its own machine.
pub fn on_this_machine(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::web;

    /// Something that answers so, until it is dropped.
    async fn answering(status: StatusCode) -> (SocketAddr, AbortOnDropHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let routes = Router::new().route("/health", get(move || async move { status }));
        let serving = tokio::spawn(web::serve(listener, routes, CancellationToken::new()));
        (address, AbortOnDropHandle::new(serving))
    }

    #[tokio::test]
    async fn one_lives_that_answers_200() {
        let (lives, _serving) = answering(StatusCode::OK).await;
        ask(lives).await.expect("it lives");
        let (fails, _failing) = answering(StatusCode::INTERNAL_SERVER_ERROR).await;
        ask(fails).await.expect_err("it answers something else");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let nobody = listener.local_addr().expect("bound");
        drop(listener);
        ask(nobody).await.expect_err("nobody listens");
    }

    #[test]
    fn one_that_listens_everywhere_is_asked_on_this_machine() {
        let asked = |listens: &str| on_this_machine(listens.parse().expect("an address")).to_string();
        assert_eq!(asked("0.0.0.0:3002"), "127.0.0.1:3002");
        assert_eq!(asked("[::]:3002"), "[::1]:3002");
        assert_eq!(asked("10.1.2.3:3002"), "10.1.2.3:3002");
    }
}
