//! The media host by itself: certificates, authorisation, hashes, ranges, restarts.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use sandbox::Sandbox;
use serde_json::Value;

use super::{bytes, encrypted, paired};
use crate::client::TestClient;
use crate::net::{Admin, start, start_with};
use crate::web::Web;

/// A host, somebody who may upload, and how.
struct Bench {
    sandbox: Sandbox,
    client: TestClient,
    web: Web,
    auth: String,
}

impl Bench {
    async fn new(sandbox: Sandbox) -> Self {
        let web = Web::of(&sandbox);
        let (client, _) = paired(&sandbox, &web).await;
        let connection = client.client().refresh_media_conn(false).await;
        Self {
            auth: connection.expect("an authorisation").auth,
            sandbox,
            client,
            web,
        }
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.sandbox.media_url());
        let mut tries = 0;
        loop {
            tries += 1;
            let request = self.web.request(Method::POST, &url).body(body.clone());
            let answered = async {
                let answer = request.send().await?;
                let status = answer.status();
                Ok::<_, reqwest::Error>((status, answer.bytes().await?))
            };
            match answered.await {
                Ok((status, body)) => return (status, serde_json::from_slice(&body).unwrap_or(Value::Null)),
                // Who refuses a body unread closes the connection, and the answer may be lost with that.
                Err(error) => assert!(tries < 5, "no answer: {error}"),
            }
        }
    }

    /// Uploads with the right token and authorisation.
    async fn upload(&self, token: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let path = format!("/mms/document/{token}?auth={}&token={token}", self.auth);
        self.post(&path, body).await
    }

    async fn get(&self, path: &str, range: Option<&str>) -> reqwest::Response {
        let url = format!("{}{path}", self.sandbox.media_url());
        let mut request = self.web.request(Method::GET, &url);
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        request.send().await.expect("an answer")
    }

    async fn stop(self) {
        self.client.stop().await;
        self.sandbox.shutdown().await;
    }
}

fn path(uploaded: &Value) -> String {
    uploaded["direct_path"].as_str().expect("a path").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_is_good_under_the_sandboxs_own_root_alone() {
    let sandbox = start(None).await;
    let other = start(None).await;
    let served = Admin(sandbox.addr()).ok("GET", "/admin/ca.pem", "").await;
    assert_eq!(served, sandbox.ca_pem());
    let port = sandbox.media_url().rsplit(':').next().expect("a port").to_owned();
    let web = Web::of(&sandbox);
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{port}/nothing");
        let answer = web.request(Method::GET, &url).send().await.expect("trusted");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        let stranger = Web::of(&other).request(Method::GET, &url).send().await;
        assert!(
            stranger.is_err(),
            "another sandbox's root vouches for nothing here"
        );
    }
    sandbox.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_want_an_authorisation_that_holds() {
    let bench =
        Bench::new(start_with(None, |config| config.media_auth_ttl = Duration::from_secs(1)).await).await;
    let (media, token) = encrypted(b"secret");
    let body = media.data_to_upload;
    let without = format!("/mms/document/{token}?token={token}");
    assert_eq!(
        bench.post(&without, body.clone()).await.0,
        StatusCode::UNAUTHORIZED
    );
    let wrong = format!("{without}&auth=AAAA");
    assert_eq!(bench.post(&wrong, body.clone()).await.0, StatusCode::FORBIDDEN);
    // It ends by itself; a client that asks again gets another.
    let begun = std::time::Instant::now();
    while bench.upload(&token, body.clone()).await.0 != StatusCode::FORBIDDEN {
        assert!(begun.elapsed() < crate::net::DEADLINE, "it never ends");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let fresh = bench.client.client().refresh_media_conn(true).await;
    assert_ne!(fresh.expect("an authorisation").auth, bench.auth);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_body_is_refused_and_the_right_one_taken_after_it() {
    let bench = Bench::new(start(None).await).await;
    let (media, token) = encrypted(&bytes(10_000, 1));
    let mut damaged = media.data_to_upload.clone();
    damaged[5_000] ^= 1;
    let (status, error) = bench.upload(&token, damaged).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
    let short = media.data_to_upload[..5_000].to_vec();
    assert_eq!(bench.upload(&token, short).await.0, StatusCode::BAD_REQUEST);
    let (status, uploaded) = bench.upload(&token, media.data_to_upload.clone()).await;
    assert_eq!(status, StatusCode::OK, "{uploaded}");
    let served = bench.get(&path(&uploaded), None).await;
    assert_eq!(served.bytes().await.expect("a body"), media.data_to_upload);

    for (upload, status) in [
        (format!("/mms/newsletter-image/{token}?auth={}", bench.auth), 400),
        (format!("/mms/image/short?auth={}", bench.auth), 400),
        (format!("/mms/image/{token}?auth={}&token=other", bench.auth), 400),
        (
            format!("/mms/image/{token}?auth={}&file_offset=9", bench.auth),
            416,
        ),
        (
            format!("/newsletter/newsletter-image/{token}?auth={}", bench.auth),
            404,
        ),
    ] {
        let (answered, error) = bench.post(&upload, b"x".to_vec()).await;
        assert_eq!(answered.as_u16(), status, "{upload}: {error}");
        assert!(error["error"]["message"].is_string(), "{error}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused() {
    let limits = |config: &mut sandbox::Config| {
        config.media_max_bytes = 10_000;
        config.media_capacity = 15_000;
    };
    let bench = Bench::new(start_with(None, limits).await).await;
    let (media, token) = encrypted(&bytes(10_000, 2));
    let (status, _) = bench.upload(&token, media.data_to_upload).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (media, token) = encrypted(&bytes(9_000, 3));
    assert_eq!(bench.upload(&token, media.data_to_upload).await.0, StatusCode::OK);
    let (media, token) = encrypted(&bytes(9_000, 4));
    let (status, _) = bench.upload(&token, media.data_to_upload).await;
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_are_served_and_what_is_not_there_is_not() {
    for directory in [None, Some(tempfile::tempdir().expect("a directory"))] {
        let sandbox = start(directory.as_ref().map(tempfile::TempDir::path)).await;
        let bench = Bench::new(sandbox).await;
        let (media, token) = encrypted(&bytes(200_000, 5));
        let whole = media.data_to_upload;
        let (_, uploaded) = bench.upload(&token, whole.clone()).await;
        let file = path(&uploaded);
        let length = whole.len();
        for (range, from, to) in [
            ("bytes=0-9", 0, 10),
            ("bytes=100000-", 100_000, length),
            ("bytes=-70000", length - 70_000, length),
        ] {
            let part = bench.get(&file, Some(range)).await;
            assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
            let told = format!("bytes {from}-{}/{length}", to - 1);
            assert_eq!(part.headers()[header::CONTENT_RANGE], told.as_str());
            assert_eq!(part.bytes().await.expect("a body"), whole[from..to], "{range}");
        }
        let beyond = bench.get(&file, Some("bytes=900000-")).await;
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        for unknown in [
            "/v/t62/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.enc?oe=1",
            "/v/t62/x",
            "/v/t61/x.jpg",
            "/",
        ] {
            assert_eq!(
                bench.get(unknown, None).await.status(),
                StatusCode::NOT_FOUND,
                "{unknown}"
            );
        }
        // What other clients append to a path does not get in the way.
        for appended in ["?auth=x&token=y", "&hash=x&mms-type=document&__wa-mms="] {
            let answer = bench.get(&format!("{file}{appended}"), None).await;
            assert_eq!(answer.status(), StatusCode::OK, "{appended}");
        }
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_host_has_its_files_and_its_root() {
    let directory = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(start(Some(directory.path())).await).await;
    let (media, token) = encrypted(&bytes(50_000, 6));
    let (_, uploaded) = bench.upload(&token, media.data_to_upload.clone()).await;
    let root = bench.sandbox.ca_pem().to_owned();
    let (auth, web) = (bench.auth.clone(), bench.web.clone());
    let backend = bench.client.stop().await;
    bench.sandbox.shutdown().await;

    let sandbox = start(Some(directory.path())).await;
    assert_eq!(sandbox.ca_pem(), root);
    let client = TestClient::start_with(&sandbox.ws_url(), backend, web.clone()).await;
    client.connected().await;
    let bench = Bench {
        sandbox,
        client,
        web,
        auth,
    };
    let served = bench.get(&path(&uploaded), None).await;
    assert_eq!(served.bytes().await.expect("a body"), media.data_to_upload);
    let (media, token) = encrypted(&bytes(50_000, 7));
    let (status, _) = bench.upload(&token, media.data_to_upload).await;
    assert_eq!(status, StatusCode::OK, "the authorisation holds on");
    bench.stop().await;
}
