//! A bucket that takes a file when the test says so.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{HeaderName, Method, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// As much of S3 as putting an object in one request needs. It ends when it is dropped.
pub struct SlowBucket {
    endpoint: String,
    puts: mpsc::Receiver<HeldPut>,
    serving: JoinHandle<()>,
}

/// A file on its way into the bucket. It is there when this is dropped.
#[derive(Debug)]
pub struct HeldPut {
    _taken: oneshot::Sender<()>,
}

impl SlowBucket {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let (sender, puts) = mpsc::channel(16);
        let router = Router::new().fallback(answer).with_state(sender);
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            endpoint,
            puts,
            serving,
        }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Waits for the next file.
    pub async fn arrived(&mut self) -> HeldPut {
        self.puts.recv().await.expect("it serves")
    }
}

impl Drop for SlowBucket {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    State(puts): State<mpsc::Sender<HeldPut>>,
    method: Method,
    _whole: Bytes,
) -> (StatusCode, [(HeaderName, &'static str); 1]) {
    if method == Method::PUT {
        let (taken, released) = oneshot::channel();
        puts.send(HeldPut { _taken: taken })
            .await
            .expect("the test waits for it");
        // The test drops its end.
        let _ = released.await;
    }
    (StatusCode::OK, [(ETAG, "\"whole\"")])
}
