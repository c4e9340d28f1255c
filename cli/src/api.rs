//! The deployment's API, as far as the commands need it.

use std::time::Duration;

use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::Value;

use crate::address::Address;
use crate::client;
use crate::failure::Failure;
use crate::key::Token;

/// How long an answer may take. API Gateway ends at 30 s.
const DEADLINE: Duration = Duration::from_secs(30);

/// The largest answer that is read, in bytes.
const LARGEST: usize = 256 * 1024;

/// Somebody who may call the API.
#[derive(Debug)]
pub struct Api<'a> {
    client: Client,
    url: &'a Address,
    token: &'a Token,
}

/// The form of all answers.
#[derive(Deserialize)]
struct Envelope {
    success: bool,
    #[serde(default)]
    data: Value,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
    #[serde(default)]
    details: Value,
}

impl<'a> Api<'a> {
    /// The API at this address, for whoever has this token.
    pub fn new(client: Client, url: &'a Address, token: &'a Token) -> Self {
        Self { client, url, token }
    }

    /// A request, and the `data` of its answer.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let mut request = self
            .client
            .request(method, self.url.at(path))
            .bearer_auth(self.token.reveal())
            .timeout(DEADLINE);
        if let Some(body) = body {
            request = request.json(body);
        }
        let none = |error: reqwest::Error| Failure::NoAnswer(client::words(&error, &self.url.place()));
        let mut response = request.send().await.map_err(none)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(none)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST {
                return Err(self.is_other());
            }
        }
        let envelope: Envelope = serde_json::from_slice(&bytes).map_err(|_| self.is_other())?;
        match envelope.error {
            None if envelope.success => Ok(envelope.data),
            Some(refusal) => Err(refusal.into()),
            None => Err(self.is_other()),
        }
    }

    fn is_other(&self) -> Failure {
        Failure::NotTheApi(self.url.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let fields = refusal.details["fields"].as_array().into_iter().flatten();
        let hint = fields.fold(String::new(), |hint, field| {
            let (name, message) = (field["field"].as_str(), field["message"].as_str());
            format!(
                "{hint}\n  {}: {}",
                name.unwrap_or_default(),
                message.unwrap_or_default()
            )
        });
        Self::Refused {
            code: refusal.code,
            message: refusal.message,
            hint,
        }
    }
}
