//! An answer, taken apart.

use axum::http::HeaderMap;
use serde_json::{Value, json};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("a JSON body")
    }

    /// The data of an answer with this status.
    #[track_caller]
    pub fn data(&self, status: u16) -> Value {
        let body = self.json();
        assert_eq!(self.status, status, "{body}");
        assert_eq!(body["success"], json!(true));
        body["data"].clone()
    }

    /// Status, code and message of an error.
    #[track_caller]
    pub fn error(&self) -> String {
        let body = self.json();
        assert_eq!(body["success"], json!(false), "{body}");
        assert_eq!(body["meta"]["request_id"], self.header("x-request-id"));
        let text = |name: &str| body["error"][name].as_str().expect("a text").to_owned();
        format!("{} {}: {}", self.status, text("code"), text("message"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("plain text"))
    }
}
