//! Whoever calls the API. The caller is the receiver: `user.post(path, body).await`, `key.send("text", body).await`, whether
//! the router is called in memory or a deployment over HTTP.

mod answer;
mod body;
mod steps;
mod way;

use std::net::IpAddr;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};

pub use answer::Answer;
pub use body::Body;
pub use steps::{PASSWORD, User};
use way::Way;
pub use way::{Bases, http};

/// Somebody with or without a token, and the way to the API.
#[derive(Debug, Clone)]
pub struct Caller {
    way: Way,
    /// Where its requests come from, as far as the way lets it say so.
    source: IpAddr,
    headers: HeaderMap,
    token: String,
}

impl Caller {
    /// Nobody in particular, who calls this router in memory, from 192.0.2.1.
    pub fn in_memory(router: Router) -> Self {
        Self::nobody(Way::Memory(router))
    }

    /// Nobody in particular, who calls these addresses over HTTP.
    pub fn over_http(bases: Bases) -> Self {
        Self::nobody(Way::Http(http(), bases))
    }

    fn nobody(way: Way) -> Self {
        Self {
            way,
            source: IpAddr::from([192, 0, 2, 1]),
            headers: HeaderMap::new(),
            token: String::new(),
        }
    }

    /// The same way with a token: an access token or an API key. An empty one is none.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// The same with a header on each request.
    #[must_use]
    pub fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        let value = HeaderValue::from_str(value).expect("a header's value");
        headers.insert(HeaderName::from_static(name), value);
        Self {
            headers,
            ..self.clone()
        }
    }

    /// The same from another source address. Over HTTP the network says where a request comes from.
    #[must_use]
    pub fn from_address(&self, source: &str) -> Self {
        Self {
            source: source.parse().expect("an address"),
            ..self.clone()
        }
    }

    /// The same with other addresses of the API: the deployment was started again.
    #[must_use]
    pub fn at(&self, bases: &Bases) -> Self {
        Self {
            way: Way::Http(http(), bases.clone()),
            ..self.clone()
        }
    }

    /// The token; empty where it has none.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, ()).await
    }

    /// `POST` with a body, or with `()` for none.
    pub async fn post(&self, path: &str, body: impl Body) -> Answer {
        self.request(Method::POST, path, body).await
    }

    /// `PUT`.
    pub async fn put(&self, path: &str, body: impl Body) -> Answer {
        self.request(Method::PUT, path, body).await
    }

    /// `PATCH`.
    pub async fn patch(&self, path: &str, body: impl Body) -> Answer {
        self.request(Method::PATCH, path, body).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path, ()).await
    }

    /// Sends a message of this kind, such as `text`.
    pub async fn send(&self, kind: &str, body: impl Body) -> Answer {
        self.post(&format!("/api/messages/{kind}"), body).await
    }

    /// A request. Panics where nothing answers.
    pub async fn request(&self, method: Method, path: &str, body: impl Body) -> Answer {
        self.try_request(method, path, body)
            .await
            .expect("the API answers")
    }

    /// A request that may fail on its way; over HTTP alone.
    pub async fn try_request(&self, method: Method, path: &str, body: impl Body) -> reqwest::Result<Answer> {
        self.way.answer(self.build(method, path, body), self.source).await
    }

    /// A request that the test made itself, such as one that no client would make; see [`Caller::build`].
    pub async fn call(&self, request: Request<Bytes>) -> Answer {
        let answer = self.way.answer(request, self.source).await;
        answer.expect("the API answers")
    }

    /// The request that this caller would make.
    pub fn build(&self, method: Method, path: &str, body: impl Body) -> Request<Bytes> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if !self.token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        let body = body.bytes();
        if body.is_some() && !self.headers.contains_key(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(body.unwrap_or_default()).expect("well-formed")
    }
}
