//! How a request gets to the API.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, header};
use reqwest::Client;
use tower::ServiceExt as _;

use super::Answer;

/// A router in this process, or addresses of this machine.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Memory(Router),
    Http(Client, Bases),
}

/// Where the API is. Behind one gateway all are the same; without one each function has its own.
#[derive(Debug, Clone)]
pub struct Bases {
    /// `/api/auth/…`
    pub auth: String,
    /// `/api/instances…`, `/api/subscription…`, `/api/users…`, `/pair…`
    pub management: String,
    /// `/api/messages…` and the other integration routes.
    pub messaging: String,
}

impl Bases {
    /// One address for all.
    pub fn one(url: &str) -> Self {
        Self {
            auth: url.to_owned(),
            management: url.to_owned(),
            messaging: url.to_owned(),
        }
    }

    fn of(&self, path: &str) -> &str {
        let starts_with = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
        if starts_with(&["/api/auth"]) {
            &self.auth
        } else if starts_with(&["/api/instances", "/api/subscription", "/api/users", "/pair"]) {
            &self.management
        } else {
            &self.messaging
        }
    }
}

impl Way {
    /// What comes back. In memory something always does.
    pub(super) async fn answer(&self, request: Request<Bytes>, source: IpAddr) -> reqwest::Result<Answer> {
        match self {
            Self::Memory(router) => Ok(in_memory(router.clone(), request, source).await),
            Self::Http(client, bases) => {
                let (parts, body) = request.into_parts();
                let base = bases.of(parts.uri.path());
                let answer = client
                    .request(parts.method, format!("{base}{}", parts.uri))
                    .headers(parts.headers)
                    .body(body)
                    .send()
                    .await?;
                Ok(Answer {
                    status: answer.status().as_u16(),
                    headers: answer.headers().clone(),
                    bytes: answer.bytes().await?.to_vec(),
                })
            }
        }
    }
}

async fn in_memory(router: Router, mut request: Request<Bytes>, source: IpAddr) -> Answer {
    let peer = SocketAddr::new(source, 50_000);
    request.extensions_mut().insert(ConnectInfo(peer));
    let host = HeaderValue::from_static("waxwing.example");
    request.headers_mut().entry(header::HOST).or_insert(host);
    let response = router.oneshot(request.map(Body::from)).await;
    Answer::of(response.expect("infallible")).await
}

/// An HTTP client for addresses of this machine.
pub fn http() -> Client {
    // The first call of the process wins; it is the same provider each time.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(Duration::from_secs(30))
        .no_proxy()
        // An answer that leads elsewhere is one to look at.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}
