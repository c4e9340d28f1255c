//! Secrets Manager's protocol on 127.0.0.1: one secret, which a test changes and takes away.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::served::Served;

/// The secret's ARN, as `template.yaml` has it in the rights of tests.
pub const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:JwtSecret";

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// This text.
    Text(String),
    /// That the secret is no text.
    Bytes,
    /// An error of this code. Where the code ends with `ServiceError`, the status says that the service itself failed.
    Error(&'static str),
}

/// The service, which ends when this is dropped.
#[derive(Debug)]
pub struct SecretsStandIn {
    desk: Arc<Mutex<Desk>>,
    served: Served,
}

#[derive(Debug)]
struct Desk {
    says: Says,
    asked: u64,
}

impl SecretsStandIn {
    /// One whose secret is this text.
    pub async fn with(text: &str) -> Self {
        let says = Says::Text(text.to_owned());
        let desk = Arc::new(Mutex::new(Desk { says, asked: 0 }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&desk));
        Self {
            desk,
            served: Served::start(router).await,
        }
    }

    /// Where it answers.
    pub fn endpoint(&self) -> String {
        self.served.url()
    }

    /// From here on it answers so.
    pub fn now(&self, says: Says) {
        self.desk.lock().expect("no holder panics").says = says;
    }

    /// From here on its secret is this text.
    pub fn now_text(&self, text: &str) {
        self.now(Says::Text(text.to_owned()));
    }

    /// How often it was asked. An SDK asks again after an error of the service.
    pub fn asked(&self) -> u64 {
        self.desk.lock().expect("no holder panics").asked
    }
}

async fn answer(State(desk): State<Arc<Mutex<Desk>>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|name| name.to_str().ok());
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let says = {
        let mut desk = desk.lock().expect("no holder panics");
        desk.asked += 1;
        desk.says.clone()
    };
    let mut told = json!({
        "ARN": ARN, "Name": "JwtSecret", "VersionId": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111", "VersionStages": ["AWSCURRENT"],
    });
    let says = match (target, asked["SecretId"].as_str()) {
        (Some("secretsmanager.GetSecretValue"), Some(ARN)) => says,
        (Some("secretsmanager.GetSecretValue"), _) => Says::Error("ResourceNotFoundException"),
        _ => Says::Error("UnknownOperationException"),
    };
    let (status, told) = match says {
        Says::Text(text) => {
            told["SecretString"] = json!(text);
            (StatusCode::OK, told)
        }
        Says::Bytes => {
            told["SecretBinary"] = json!("AAEC");
            (StatusCode::OK, told)
        }
        Says::Error(code) => {
            let status = if code.ends_with("ServiceError") {
                StatusCode::INTERNAL_SERVER_ERROR
            } else {
                StatusCode::BAD_REQUEST
            };
            (status, json!({"__type": code, "Message": "no"}))
        }
    };
    let kind = [(CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, kind, told.to_string()).into_response()
}
