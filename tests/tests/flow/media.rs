//! Files that callers upload, on the local stack.

use std::path::{Path, PathBuf};

use reqwest::{Body, Client, Response, StatusCode};
use serde_json::{Value, json};
use testbed::caller::Bases;
use testbed::wait::{in_time, until};
use tests::flow::{Paired, pair};
use tests::folder::files;
use tests::phones::Phones;
use tests::process::Process;
use tokio::sync::mpsc;

use crate::STACK;

const MARKER: &str = "MARKER-OF-A-FILE";

async fn stack(data: &Path) -> (Process, Paired) {
    let stack = Process::start(STACK, data, &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    (stack, paired)
}

async fn announce(paired: &Paired, size: usize) -> Value {
    let file = json!({"fileName": "notes.txt", "mimeType": "text/plain", "size": size});
    paired.key.post("/api/media", file).await.data(201)
}

async fn put<B: Into<Body>>(made: &Value, url: &str, mime_type: &str, body: impl Fn() -> B) -> Response {
    assert_eq!(made["method"], "PUT");
    // Who refuses a body without reading it may close the connection before the client has read the answer.
    until("an answer", async || {
        let request = Client::new().put(url).header("content-type", mime_type);
        request.body(body()).send().await.ok()
    })
    .await
}

#[tokio::test]
async fn a_file_goes_to_its_url_as_it_was_announced_and_rests_sealed() {
    let data = tempfile::tempdir().expect("a directory");
    let (stack, paired) = stack(data.path()).await;
    let content = MARKER.repeat(100_000);
    let made = announce(&paired, content.len()).await;
    let url = made["uploadUrl"].as_str().expect("a URL");
    let objects = data.path().join("bucket/objects");

    let refused = put(&made, url, "text/html", || content.clone()).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "another type");
    for wrong in [content[1..].to_owned(), format!("{content}x")] {
        let refused = put(&made, url, "text/plain", || wrong.clone()).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "another length");
    }
    // One that tells no length is found out on the way.
    for (wrong, status) in [
        (content[1..].to_owned(), StatusCode::BAD_REQUEST),
        (format!("{content}x"), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let pieces = || Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>(wrong.clone())]));
        let refused = put(&made, url, "text/plain", pieces).await;
        assert_eq!(refused.status(), status);
    }
    for (from, to) in [
        ("size=1", "size=2"),
        ("upload%2F", "own%2F"),
        ("expires=", "expires=9"),
        ("&type=text%2Fplain", ""),
    ] {
        assert!(url.contains(from), "{url}");
        let forged = url.replace(from, to);
        let refused = put(&made, &forged, "text/plain", || content.clone()).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{to}");
    }
    let read = Client::new().get(url).send().await.expect("an answer");
    assert_eq!(
        read.status(),
        StatusCode::FORBIDDEN,
        "what may be put may not be got"
    );
    until("the end of all that was not taken", async || {
        files(&objects).is_empty().then_some(())
    })
    .await;

    let taken = put(&made, url, "text/plain", || content.clone()).await;
    assert_eq!(
        taken.status(),
        StatusCode::OK,
        "{}",
        taken.text().await.expect("a text")
    );
    let stored = files(&objects);
    assert_eq!(stored.len(), 1, "{stored:?}");
    let rests = std::fs::read(&stored[0]).expect("a file");
    assert!(rests.len() > content.len());
    assert!(
        !rests
            .windows(MARKER.len())
            .any(|window| window == MARKER.as_bytes())
    );

    let path = format!("/api/media/{}", made["id"].as_str().expect("an id"));
    paired.key.delete(&path).await.data(200);
    assert_eq!(files(&objects), Vec::<PathBuf>::new());
    stack.stop().await;
}

/// Half of a file has come when the stack is killed: nothing of it is there afterwards, and the same URL takes it whole.
#[tokio::test]
async fn of_an_upload_that_a_kill_ends_nothing_is_left() {
    let data = tempfile::tempdir().expect("a directory");
    let (stack, paired) = stack(data.path()).await;
    let content = MARKER.repeat(200_000);
    let made = announce(&paired, content.len()).await;
    let url = made["uploadUrl"].as_str().expect("a URL").to_owned();
    let objects = data.path().join("bucket/objects");

    let (pieces, comes) = mpsc::channel::<std::io::Result<String>>(1);
    let comes = futures::stream::unfold(comes, async |mut comes| Some((comes.recv().await?, comes)));
    let upload = Client::new().put(&url).header("content-type", "text/plain");
    let upload = tokio::spawn(upload.body(Body::wrap_stream(comes)).send());
    pieces
        .send(Ok(content[..2_000_000].to_owned()))
        .await
        .expect("taken");
    until("half of it on disk", async || {
        let half = files(&objects);
        let size = half.first().and_then(|file| file.metadata().ok())?.len();
        (size >= 1_000_000).then_some(())
    })
    .await;
    stack.kill().await;
    let ended = in_time("the end of the upload", upload).await;
    assert!(ended.expect("no panic").is_err(), "nobody answered");

    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    assert_eq!(files(&objects), Vec::<PathBuf>::new());
    let (_, rest) = url.split_once("/api/").expect("a path");
    let url = format!("{}/api/{rest}", stack.api);
    let taken = put(&made, &url, "text/plain", || content.clone()).await;
    assert_eq!(taken.status(), StatusCode::OK);
    assert_eq!(files(&objects).len(), 1);
    stack.stop().await;
}
