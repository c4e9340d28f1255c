//! What a listener of our own makes of requests that no client library would send: over a real socket.

use std::time::Duration;

use functions::http::BodyTimes;
use functions::service::{self, Limits};
use testbed::served::Served;
use testbed::wait::in_time;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::World;

/// A listener with the routes of a deployment.
struct Listening {
    server: Served,
    _world: World,
}

impl Listening {
    async fn new() -> Self {
        let world = World::new().await;
        let limits = Limits {
            body: BodyTimes {
                pause: Duration::from_millis(50),
                whole: Duration::from_millis(500),
            },
            ..Limits::default()
        };
        let server = Served::start(service::all_within(world.states.clone(), limits)).await;
        Self {
            server,
            _world: world,
        }
    }

    /// What comes back for these bytes until the connection ends, or as much as there is of the first answer.
    async fn send(&self, bytes: &str) -> String {
        let mut stream = TcpStream::connect(self.server.address).await.expect("connected");
        stream.write_all(bytes.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let mut piece = [0; 4_096];
        loop {
            match stream.read(&mut piece).await.expect("read") {
                0 => break,
                count => answer.extend_from_slice(&piece[..count]),
            }
            if String::from_utf8_lossy(&answer).contains("\r\n\r\n") {
                break;
            }
        }
        String::from_utf8(answer).expect("text")
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let listening = Listening::new().await;
    for (hosts, expected) in [
        ("Host: a.example\r\n", "200"),
        ("Host: a.example:3000\r\n", "200"),
        ("", "400"),
        ("Host: a.example\r\nHost: b.example\r\n", "400"),
        ("Host: a.example\r\nHost: a.example\r\n", "400"),
        ("Host: a b\r\n", "400"),
        ("Host:\r\n", "400"),
    ] {
        let answer = listening
            .send(&format!("GET /health HTTP/1.1\r\n{hosts}\r\n"))
            .await;
        assert_eq!(status(&answer), expected, "{hosts:?}: {answer}");
    }
    let old = listening.send("GET /health HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&old), "200", "{old}");
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_not_asked_for() {
    let listening = Listening::new().await;
    for more in ["", "Expect: 100-continue\r\n"] {
        let answer = listening
            .send(&format!(
                "POST /api/auth/login HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n{more}\
                 Content-Length: 1048577\r\n\r\n"
            ))
            .await;
        assert_eq!(status(&answer), "413", "{answer}");
    }
    // One that is not too large is asked for.
    let answer = listening
        .send(
            "POST /api/auth/login HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n\
             Expect: 100-continue\r\nContent-Length: 1048576\r\n\r\n",
        )
        .await;
    assert_eq!(status(&answer), "100", "{answer}");
}

#[tokio::test]
async fn a_body_that_stalls_is_not_waited_for() {
    let listening = Listening::new().await;
    for length in [
        "Content-Length: 100\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ] {
        let answer = listening
            .send(&format!(
                "POST /api/auth/login HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n{length}"
            ))
            .await;
        assert_eq!(status(&answer), "408", "{answer}");
    }
    let answer = listening
        .send("POST /api/auth/resend-verification HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_eq!(status(&answer), "401", "{answer}");
}

#[tokio::test]
async fn a_body_that_comes_in_drops_is_not_waited_for_either() {
    let listening = Listening::new().await;
    let mut stream = TcpStream::connect(listening.server.address)
        .await
        .expect("connected");
    let head = "POST /api/auth/login HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n\
                Content-Length: 100000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let (mut read, mut write) = stream.into_split();
    let drops = async {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The connection has ended. What was answered before that is there to be read.
        std::future::pending::<()>().await;
    };
    let answer = async {
        let mut piece = [0; 4_096];
        let count = read.read(&mut piece).await.expect("read");
        String::from_utf8_lossy(&piece[..count]).into_owned()
    };
    tokio::select! {
        () = drops => {}
        answer = in_time("an answer", answer) => assert_eq!(status(&answer), "408", "{answer}"),
    }
}

#[tokio::test]
async fn the_length_that_head_tells_is_that_of_the_body() {
    let listening = Listening::new().await;
    for path in ["/health", "/api/nothing", "/api/openapi.json", "/api/instances"] {
        let length = async |method: &str| {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: a.example\r\nX-Request-Id: same\r\n\r\n");
            let answer = listening.send(&request).await.to_ascii_lowercase();
            let (_, rest) = answer.split_once("content-length: ").unwrap_or_default();
            rest.split("\r\n").next().unwrap_or_default().to_owned()
        };
        let get = length("GET").await;
        assert!(get.parse::<u32>().is_ok_and(|length| length > 0), "{path}: {get}");
        assert_eq!(length("HEAD").await, get, "{path}");
    }
}
