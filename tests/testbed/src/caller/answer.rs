//! An answer, taken apart.

use axum::body::to_bytes;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// A response with its whole body.
    pub async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a whole body");
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes: bytes.to_vec(),
        }
    }

    /// The body, which is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("a JSON body")
    }

    /// Whether it did what was asked, or leads to it.
    pub fn is_success(&self) -> bool {
        (200..400).contains(&self.status)
    }

    /// The data of an answer with this status.
    #[track_caller]
    pub fn data(&self, status: u16) -> Value {
        let body = self.json();
        assert_eq!(self.status, status, "{body}");
        assert_eq!(body["success"], json!(true));
        body["data"].clone()
    }

    /// Status, code and message of an error: `404 NOT_FOUND: There is no such instance`.
    #[track_caller]
    pub fn error(&self) -> String {
        let body = self.json();
        assert_eq!(body["success"], json!(false), "{body}");
        assert_eq!(body["meta"]["request_id"], self.header("x-request-id"));
        let text = |name: &str| body["error"][name].as_str().expect("a text").to_owned();
        format!("{} {}: {}", self.status, text("code"), text("message"))
    }

    /// Status and code of an error alone: `404 NOT_FOUND`.
    #[track_caller]
    pub fn code(&self) -> String {
        let error = self.error();
        let (code, _) = error.split_once(':').expect("a code before the message");
        code.to_owned()
    }

    /// What is wrong with each field, as `text is missing`.
    #[track_caller]
    pub fn faults(&self) -> Vec<String> {
        let said = self.said_of_fields();
        let said = said.iter().map(|(field, message)| format!("{field} {message}"));
        said.collect()
    }

    /// The fields with which something is wrong.
    #[track_caller]
    pub fn bad_fields(&self) -> Vec<String> {
        self.said_of_fields()
            .into_iter()
            .map(|(field, _)| field)
            .collect()
    }

    #[track_caller]
    fn said_of_fields(&self) -> Vec<(String, String)> {
        assert_eq!(self.code(), "400 VALIDATION_ERROR");
        let body = self.json();
        let fields = body["error"]["details"]["fields"].as_array();
        let fields = fields.unwrap_or_else(|| panic!("no fields: {body}")).iter();
        let said = |fault: &Value| {
            let text = |name: &str| fault[name].as_str().expect("a text").to_owned();
            (text("field"), text("message"))
        };
        fields.map(said).collect()
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("plain text"))
    }
}
