use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::http::{StatusCode as Status, Uri};
use axum::response::{IntoResponse as _, Redirect, Response as Answer};
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const PRIVATE: Reach = Reach::PRIVATE;

/// A host of files on this machine.
async fn host() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    let itself = format!("http://{address}");
    let routes = Router::new()
        // What was asked for, letter for letter.
        .route("/echo/{*rest}", get(|uri: Uri| async move { uri.to_string() }))
        .route("/status/{status}", get(status))
        .route(
            "/hops/{left}",
            get(|Path(left): Path<u32>| async move {
                match left.checked_sub(1) {
                    None => "the end".into_response(),
                    Some(left) => Redirect::temporary(&format!("{left}")).into_response(),
                }
            }),
        )
        .route(
            "/to",
            get(|uri: Uri| async move {
                let to = uri.query().unwrap_or_default().to_owned();
                (Status::FOUND, [("location", to)])
            }),
        )
        .route("/nowhere", get(|| async { Status::FOUND }))
        .route("/chunked", get(|| async { chunks(3) }))
        .route("/endless", get(|| async { chunks(u32::MAX) }))
        .route(
            "/lies",
            get(|| async { ([(CONTENT_TYPE, "image/jpeg")], "<html>") }),
        )
        .route(
            "/whole",
            get(|headers: HeaderMap| async move {
                let told = headers
                    .get("accept-encoding")
                    .map(|value| value.as_bytes().to_vec());
                Bytes::from(told.unwrap_or_default())
            }),
        )
        .route("/itself", get(move || async move { itself }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn status(Path(status): Path<u16>) -> Answer {
    Status::from_u16(status).expect("a status").into_response()
}

/// An answer without a length.
fn chunks(count: u32) -> Body {
    let pieces = (0..count).map(|_| Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1_000])));
    Body::from_stream(stream::iter(pieces))
}

/// A host that reads a request and answers this, no more.
async fn answers(text: &'static [u8], hangs_up: bool) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let _ = socket.read(&mut request).await;
                let _ = socket.write_all(text).await;
                if !hangs_up {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

async fn whole(fetcher: &Fetcher, url: &str, most: u64) -> Result<Vec<u8>, FetchError> {
    let mut file = fetcher.get(url, most).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = file.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn local() -> Fetcher {
    Fetcher::new(PRIVATE, None).expect("a client")
}

#[tokio::test]
async fn bytes_arrive_as_they_are() {
    let (host, fetcher) = (host().await, local());
    for (path, wanted) in [
        ("echo/a b.jpg", "/echo/a%20b.jpg"),
        (
            "echo/a%20b%2Bc?d=%2B+e&f=%C3%BC",
            "/echo/a%20b%2Bc?d=%2B+e&f=%C3%BC",
        ),
        ("hops/5", "the end"),
        ("to?echo/a%20b", "/echo/a%20b"),
        ("lies", "<html>"),
        ("whole", "identity"),
        ("chunked", &"x".repeat(3_000)),
    ] {
        let bytes = whole(&fetcher, &format!("http://{host}/{path}"), 3_000)
            .await
            .expect(path);
        assert_eq!(String::from_utf8(bytes).expect("a text"), wanted, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_told_apart_from_what_may_pass() {
    let (host, fetcher) = (host().await, local());
    for status in [204, 206, 304, 400, 401, 403, 404, 410, 451] {
        let error = whole(&fetcher, &format!("http://{host}/status/{status}"), 10).await;
        assert!(
            matches!(&error, Err(FetchError::Status(told)) if told.as_u16() == status),
            "{status}: {error:?}"
        );
    }
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let error = whole(&fetcher, &format!("http://{host}/status/{status}"), 10).await;
        assert!(error.expect_err("no file").may_pass(), "{status}");
    }
    for path in ["hops/6", "nowhere"] {
        let error = whole(&fetcher, &format!("http://{host}/{path}"), 10).await;
        assert!(matches!(error, Err(FetchError::Redirects)), "{path}: {error:?}");
    }
    // Nobody listens there, and nobody is called so.
    for url in ["http://127.0.0.1:1024/", "http://nobody.invalid/"] {
        assert!(whole(&fetcher, url, 10).await.expect_err(url).may_pass());
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_fetched_to_its_end() {
    let (host, fetcher) = (host().await, local());
    for path in ["endless", "chunked", "echo/a_long_one"] {
        let error = whole(&fetcher, &format!("http://{host}/{path}"), 5).await;
        assert!(matches!(error, Err(FetchError::TooLarge(5))), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn a_host_that_breaks_off_or_says_nothing_may_do_better_later() {
    let cut = answers(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this", true).await;
    let error = whole(&local(), &format!("http://{cut}/"), 1_000).await;
    assert!(error.expect_err("cut").may_pass());
    let garbage = answers(b"SSH-2.0-OpenSSH_9.9\r\n", true).await;
    assert!(
        whole(&local(), &format!("http://{garbage}/"), 1_000)
            .await
            .expect_err("no HTTP")
            .may_pass()
    );
    let hurried = local().within(Duration::from_millis(200));
    for text in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this",
    ] {
        let silent = answers(text, false).await;
        let error = whole(&hurried, &format!("http://{silent}/"), 1_000).await;
        assert!(error.expect_err("silent").may_pass());
    }
    let host = host().await;
    let error = whole(&hurried, &format!("http://{host}/endless"), u64::MAX).await;
    assert!(error.expect_err("endless").may_pass());
}

/// A host that sends the head of a long file, and then bytes one at a time for ever.
async fn dripping(length: &str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let head = head.clone();
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let _ = socket.read(&mut request).await;
                let mut sending = socket.write_all(head.as_bytes()).await;
                while sending.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    sending = socket.write_all(b"x").await;
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_host_that_drips_is_left_before_its_file_is_whole() {
    let host = dripping("100000").await;
    let fetcher = local().at_slowest(Slowest {
        grace: Duration::from_secs(3),
        rate: 1_000_000,
    });
    let error = whole(&fetcher, &format!("http://{host}/"), 1_000_000).await;
    let error = error.expect_err("it would take minutes");
    assert!(matches!(error, FetchError::Slow) && error.may_pass(), "{error:?}");
}

/// It takes longer than a host has to begin with, but all that comes gives it more time.
#[tokio::test]
async fn a_slow_host_that_keeps_sending_is_waited_for() {
    let host = dripping("750").await;
    let fetcher = local().at_slowest(Slowest {
        grace: Duration::from_secs(3),
        rate: 1,
    });
    let bytes = whole(&fetcher, &format!("http://{host}/"), 1_000).await;
    assert_eq!(bytes.expect("the file"), [b'x'; 750]);
}

/// No connection is made: the host of this machine hears nothing.
#[tokio::test]
async fn private_addresses_are_not_connected_to() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let fetcher = Fetcher::new(Reach::default(), None).expect("a client");
    for host in [
        "127.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        // By the resolver alone.
        "localhost",
        "LOCALHOST",
    ] {
        let error = whole(&fetcher, &format!("http://{host}:{port}/"), 10).await;
        assert!(
            matches!(error, Err(FetchError::Refused(RefusedUrl::Address))),
            "{host}: {error:?}"
        );
    }
    let heard = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(heard.is_err(), "somebody came");
}

/// Each redirect is checked as the first URL is.
#[tokio::test]
async fn redirects_lead_nowhere_else() {
    let (host, fetcher) = (host().await, local());
    for to in ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"] {
        let error = whole(&fetcher, &format!("http://{host}/to?{to}"), 10).await;
        assert!(
            matches!(error, Err(FetchError::Refused(RefusedUrl::Scheme))),
            "{to}: {error:?}"
        );
    }
    let error = whole(&fetcher, &format!("http://{host}/to?http://127.0.0.1:22/"), 10).await;
    assert!(
        matches!(error, Err(FetchError::Refused(RefusedUrl::Port))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_host_that_takes_no_connection_is_not_tried_again_at_once_and_others_are() {
    let (there, fetcher) = (host().await, local());
    // Nobody listens there.
    let gone = "http://127.0.0.1:1024/a.png".to_owned();
    let failed = whole(&fetcher, &gone, 10).await.expect_err("nobody listens");
    assert!(matches!(failed, FetchError::Unavailable(_)), "{failed:?}");
    let copy = fetcher.clone();
    let failed = whole(&copy, &gone, 10).await.expect_err("it is known");
    assert!(
        matches!(failed, FetchError::Unreached) && failed.may_pass(),
        "{failed:?}"
    );
    // One that redirects there finds that out too, and is itself as good as before.
    let moved = format!("http://{there}/to?{gone}");
    let failed = whole(&fetcher, &moved, 10).await.expect_err("it leads there");
    assert!(matches!(failed, FetchError::Unreached), "{failed:?}");
    whole(&fetcher, &format!("http://{there}/hops/0"), 10)
        .await
        .expect("another host");
    // What a host answers is about one file.
    let status = format!("http://{there}/status/503");
    for _ in 0..2 {
        let failed = whole(&fetcher, &status, 10).await.expect_err("a 503");
        assert!(matches!(failed, FetchError::Unavailable(_)), "{failed:?}");
    }
}
