//! A receiver that does what it likes.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::json;
use testbed::served::Served;
use tests::listening::Listening;
use tokio::net::TcpSocket;

use super::Ground;

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answer(StatusCode),
    Redirect,
    Hang,
}

/// The ids that came, in their order, and how often something was posted elsewhere.
#[derive(Debug, Default)]
struct Came {
    ids: Vec<String>,
    elsewhere: u32,
}

async fn receiver(script: impl IntoIterator<Item = Does>) -> (Served, Arc<Mutex<Came>>) {
    let came: Arc<Mutex<Came>> = Arc::default();
    let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
    let (here, there) = (Arc::clone(&came), Arc::clone(&came));
    let take = async move |headers: HeaderMap, _: Bytes| -> Response {
        let id = headers["webhook-id"].to_str().expect("a text").to_owned();
        here.lock().expect("whole").ids.push(id);
        let does = script.lock().expect("whole").pop_front();
        match does.unwrap_or(Does::Answer(StatusCode::OK)) {
            Does::Answer(status) => status.into_response(),
            Does::Redirect => {
                (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response()
            }
            Does::Hang => std::future::pending().await,
        }
    };
    let elsewhere = async move || {
        there.lock().expect("whole").elsewhere += 1;
        StatusCode::OK
    };
    let routes = Router::new()
        .route("/hook", post(take))
        .route("/elsewhere", post(elsewhere));
    (Served::start(routes).await, came)
}

#[tokio::test]
async fn what_a_receiver_does_not_take_is_told_and_not_tried_again() {
    let ground = Ground::new().await;
    let script = [
        Does::Answer(StatusCode::INTERNAL_SERVER_ERROR),
        Does::Redirect,
        Does::Hang,
        Does::Answer(StatusCode::GONE),
        Does::Answer(StatusCode::NO_CONTENT),
    ];
    let (server, came) = receiver(script).await;
    let to = format!("{}/hook", server.url());
    let arguments: Vec<_> = ground
        .arguments()
        .into_iter()
        .chain(["--forward-to", &to])
        .collect();
    let listening = Listening::run_with_deadline(&arguments, Duration::from_secs(10));
    listening.until_note("Connected to").await;
    let mut ids = Vec::new();
    for said in [
        "→ 500",
        "redirects are not followed",
        "failed: no answer within 10 s",
        "it would switch a webhook off",
        "→ 204",
    ] {
        let id = ground.trigger("poll.vote").await;
        listening.until_line(&[&id, said]).await;
        ids.push(id);
    }
    assert_eq!(came.lock().expect("whole").ids, ids, "each came once, in order");
    assert_eq!(came.lock().expect("whole").elsewhere, 0);
    let seen = listening.interrupt().await.expect("it ends in order");
    let last = seen.notes().pop();
    assert_eq!(last.as_deref(), Some("5 events came, the receiver took 1"));
    ground.stack.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_down_ends_nothing() {
    let ground = Ground::new().await;
    // The port is taken, and nobody listens there yet.
    let socket = TcpSocket::new_v4().expect("a socket");
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(free).expect("a free port");
    let address = socket.local_addr().expect("bound");
    let to = format!("{address}/hook");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let more = ["--forward-to", &*to, "--secret", secret];
    let arguments: Vec<_> = ground.arguments().into_iter().chain(more).collect();
    let listening = Listening::start(&arguments).await;
    let refused = format!("failed: nobody listens at {address}");
    let first = ground.trigger("call.received").await;
    listening.until_line(&[&first, &refused]).await;

    let listener = socket.listen(16).expect("the same port");
    let hook = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&hook);
    let take = async move |headers: HeaderMap, body: Bytes| {
        let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
        let is_genuine = verifier.verify(&body, &headers).is_ok();
        heard.lock().expect("whole").push((is_genuine, body));
        StatusCode::OK
    };
    let server = tokio::spawn(IntoFuture::into_future(axum::serve(
        listener,
        Router::new().route("/hook", post(take)),
    )));
    let second = ground.trigger("call.received").await;
    listening.until_line(&[&second, "→ 200"]).await;
    server.abort();
    let heard = hook.lock().expect("whole").clone();
    assert_eq!(heard.len(), 1, "what was not taken does not come again");
    let (is_genuine, body) = &heard[0];
    let event: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    assert!(*is_genuine && event["id"] == json!(second));
    let seen = listening.interrupt().await.expect("it ends in order");
    assert!(
        !seen.notes().iter().any(|note| note.contains("whsec_")),
        "whoever gave the secret knows it"
    );
    ground.stack.stop().await;
}
