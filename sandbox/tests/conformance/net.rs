//! A sandbox for one test, and the little HTTP that its admin API needs.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use sandbox::{Config, Sandbox};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What has not happened by then does not happen.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Starts a sandbox on a free port. `RUST_LOG` shows what it and the clients say.
pub async fn start(data_dir: Option<&Path>) -> Sandbox {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    // The first test of the process sets it up for all.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_test_writer()
        .try_init();
    start_with(data_dir, |_| ()).await
}

/// Starts a sandbox with other settings than usual. Without being told otherwise it sends no history: what a phone says
/// to a new companion by itself would be in the way of tests that count stanzas.
pub async fn start_with(data_dir: Option<&Path>, change: impl FnOnce(&mut Config)) -> Sandbox {
    let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.data_dir = data_dir.map(Path::to_path_buf);
    config.history_messages = 0;
    change(&mut config);
    Sandbox::start(config).await.expect("the sandbox starts")
}

/// The admin API of one sandbox.
#[derive(Clone, Copy)]
pub struct Admin(pub SocketAddr);

impl Admin {
    /// One call; answers status and body, null where there is none.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let call = async {
            let mut stream = TcpStream::connect(self.0).await.expect("the port answers");
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream
                .write_all(request.as_bytes())
                .await
                .expect("the request goes out");
            let mut response = String::new();
            stream
                .read_to_string(&mut response)
                .await
                .expect("the response comes in");
            let (head, body) = response.split_once("\r\n\r\n").expect("a head and a body");
            let status = head
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .expect("a status");
            let body = serde_json::from_str(body).unwrap_or_else(|_| match body {
                "" => Value::Null,
                text => Value::String(text.into()),
            });
            (status, body)
        };
        tokio::time::timeout(DEADLINE, call)
            .await
            .expect("the admin API answers in time")
    }

    /// A call that must succeed.
    pub async fn ok(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, value) = self.call(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {value}");
        value
    }

    /// Makes a phone; answers its number.
    pub async fn phone(&self) -> String {
        let made = self.ok("POST", "/admin/phones", "{}").await;
        made["phone"].as_str().expect("a number").to_owned()
    }

    /// Polls a phone's inbox until it has `count` messages.
    pub async fn inbox(&self, phone: &str, count: usize) -> Vec<Value> {
        let path = format!("/admin/phones/{phone}/inbox");
        self.until(&path, |value| {
            value.as_array().is_some_and(|all| all.len() >= count)
        })
        .await
        .as_array()
        .unwrap()
        .clone()
    }

    /// Waits until nothing is on its way: a client takes in what changes before it says that it has it.
    pub async fn settled(&self) {
        self.until("/admin/stats", |stats| stats["queued"] == 0).await;
    }

    /// Polls a path until its answer is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let value = self.ok("GET", path, "").await;
            if wanted(&value) {
                return value;
            }
            assert!(
                begun.elapsed() < DEADLINE,
                "{path} did not become as wanted: {value}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
