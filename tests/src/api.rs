//! A client of the HTTP API.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::wait::until;

/// The password that users are registered with.
pub const PASSWORD: &str = "correct horse battery";

/// Where the API is. Behind one gateway all are the same; under `cargo lambda watch` each
/// function has its own.
#[derive(Debug, Clone)]
pub struct Bases {
    /// `/api/auth/…`
    pub auth: String,
    /// `/api/instances…`, `/api/subscription…`, `/api/users…`
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
        if path.starts_with("/api/auth") {
            &self.auth
        } else if ["/api/instances", "/api/subscription", "/api/users"]
            .iter()
            .any(|start| path.starts_with(start))
        {
            &self.management
        } else {
            &self.messaging
        }
    }
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Value,
}

impl Answer {
    /// The data of an answer with this status.
    #[track_caller]
    pub fn data(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["success"], json!(true));
        self.body["data"].clone()
    }

    /// Status and code of an error.
    #[track_caller]
    pub fn error(&self) -> (u16, &str) {
        assert_eq!(self.body["success"], json!(false), "{}", self.body);
        (
            self.status.as_u16(),
            self.body["error"]["code"].as_str().expect("a code"),
        )
    }
}

/// A client with or without a token.
#[derive(Debug, Clone)]
pub struct Api {
    bases: Bases,
    http: Client,
    token: Option<String>,
}

impl Api {
    /// A client without a token.
    pub fn new(bases: Bases) -> Self {
        Self {
            bases,
            http: http(),
            token: None,
        }
    }

    /// The same with a token: an access token or an API key.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same at another address.
    #[must_use]
    pub fn at(&self, bases: &Bases) -> Self {
        Self {
            bases: bases.clone(),
            ..self.clone()
        }
    }

    /// A request; answers only with an envelope.
    pub async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.try_request(method, path, body, &[])
            .await
            .expect("the API answers")
    }

    /// A request with further headers, which may fail on its way.
    pub async fn try_request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.bases.of(path)));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        Ok(Answer {
            status: answer.status(),
            body: answer.json().await?,
        })
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, None).await
    }

    /// `POST` with a body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path, Some(body)).await
    }

    /// Registers a user: a client with an access token.
    pub async fn register(&self, email: &str) -> Self {
        let body = json!({"email": email, "password": PASSWORD, "name": "Test"});
        let data = self.post("/api/auth/register", &body).await.data(201);
        self.with_token(data["tokens"]["accessToken"].as_str().expect("a token"))
    }

    /// Creates a key for an instance: a client with it.
    pub async fn key(&self, instance: &str) -> Self {
        let path = format!("/api/instances/{instance}/keys");
        let data = self.post(&path, &json!({"name": "test"})).await.data(201);
        self.with_token(data["key"].as_str().expect("a key"))
    }

    /// Waits until an instance has this status.
    pub async fn until_status(&self, instance: &str, wanted: &str) -> Value {
        let path = format!("/api/instances/{instance}/status");
        until(&format!("{wanted} of {instance}"), async || {
            let data = self.get(&path).await.data(200);
            (data["status"] == wanted).then_some(data)
        })
        .await
    }

    /// Sends a text: the message's id.
    pub async fn send_text(&self, to: &str, text: &str) -> String {
        let data = self
            .post("/api/messages/text", &json!({"to": to, "text": text}))
            .await
            .data(202);
        assert_eq!(data["status"], "queued");
        data["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until a message has this state.
    pub async fn until_state(&self, message: &str, wanted: &str) -> Value {
        let path = format!("/api/messages/{message}");
        until(&format!("{wanted} of {message}"), async || {
            let data = self.get(&path).await.data(200);
            (data["status"] == wanted).then_some(data)
        })
        .await
    }
}

/// An HTTP client for addresses of this machine.
pub fn http() -> Client {
    // The first call of the process wins; it is the same provider each time.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(Duration::from_secs(30))
        .no_proxy()
        .build()
        .expect("a client")
}
