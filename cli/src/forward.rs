//! Posts events to the receiver, as a webhook's are posted: see `docs/webhooks-delivery.md`.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use tokio::time::Instant;

use crate::address::Address;
use crate::client;
use crate::clock;
use crate::event::Event;
use crate::failure::Failure;
use crate::key::Token;

/// How long a webhook's endpoint may take until its answer's headers are there.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// For how long an answer's body is read, and how much of it, in bytes. Nothing is done with it: a receiver that may end its
/// answer writes no error into its log.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 4 * 1_024;

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// What signs events.
#[derive(Debug, Clone)]
pub struct Secret(Token);

impl Secret {
    /// A new one: 32 random bytes.
    pub fn generate() -> Self {
        let text = format!("{PREFIX}{}", STANDARD.encode(rand::random::<[u8; 32]>()));
        let Ok(token) = text.parse();
        Self(token)
    }

    /// The one that was given.
    pub fn read(given: &Token) -> Result<Self, Failure> {
        let key = given
            .reveal()
            .strip_prefix(PREFIX)
            .map(|text| STANDARD.decode(text));
        match key {
            Some(Ok(key)) if !key.is_empty() => Ok(Self(given.clone())),
            _ => Err(Failure::Secret),
        }
    }

    /// What the receiver is given.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

/// Posts events, one after the other.
pub struct Forwarder {
    client: Client,
    to: Address,
    signer: Webhook,
    deadline: Duration,
}

/// How the receiver has answered.
#[derive(Debug)]
pub enum Outcome {
    /// With this status.
    Answered {
        /// The status.
        status: StatusCode,
        /// How long that took.
        took: Duration,
    },
    /// Not at all, and why.
    Failed(String),
}

impl Forwarder {
    /// Posts to this address.
    pub fn new(to: Address, secret: &Secret, deadline: Duration) -> Result<Self, Failure> {
        Ok(Self {
            client: client::of_receiver()?,
            to,
            signer: Webhook::new(secret.reveal()).map_err(|_| Failure::Secret)?,
            deadline,
        })
    }

    /// Posts an event, once.
    pub async fn post(&self, event: &Event) -> Outcome {
        let began = Instant::now();
        let Some(request) = self.request(event) else {
            return Outcome::Failed("it cannot be signed".to_owned());
        };
        match tokio::time::timeout(self.deadline, request.send()).await {
            Ok(Ok(response)) => {
                let (status, took) = (response.status(), began.elapsed());
                linger(response, LINGER.min(self.deadline.saturating_sub(took))).await;
                Outcome::Answered { status, took }
            }
            Ok(Err(error)) => Outcome::Failed(client::words(&error, &self.to.place())),
            Err(_) => Outcome::Failed(format!("no answer within {} s", self.deadline.as_secs_f64())),
        }
    }

    fn request(&self, event: &Event) -> Option<reqwest::RequestBuilder> {
        let seconds = clock::now().timestamp();
        let signature = self.signer.sign(&event.id, seconds, event.body.as_bytes()).ok()?;
        Some(
            self.client
                .post(self.to.url().clone())
                .header(HEADER_WEBHOOK_SIGNATURE, signature)
                .header(HEADER_WEBHOOK_TIMESTAMP, seconds.to_string())
                .header(HEADER_WEBHOOK_ID, &event.id)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(event.body.clone()),
        )
    }
}

/// Reads a little of a body and drops the rest, with its connection.
async fn linger(mut response: Response, for_at_most: Duration) {
    let reading = async {
        let mut left = LINGER_BYTES;
        while left > 0 {
            match response.chunk().await {
                Ok(Some(chunk)) => left = left.saturating_sub(chunk.len()),
                Ok(None) | Err(_) => break,
            }
        }
    };
    let _ = tokio::time::timeout(for_at_most, reading).await;
}

impl Outcome {
    /// Whether the receiver has the event.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status, .. } if status.is_success())
    }
}

/// What a webhook would make of it stands beside what is no success.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (status, took) = match self {
            Self::Answered { status, took } => (*status, took.as_millis()),
            Self::Failed(why) => return write!(f, "failed: {why}"),
        };
        write!(f, "{} ({took} ms)", status.as_u16())?;
        match status {
            StatusCode::GONE => f.write_str(": it would switch a webhook off"),
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => f.write_str(": redirects are not followed"),
            _ => f.write_str(": not taken"),
        }
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        let Ok(token) = text.parse();
        token
    }

    #[test]
    fn a_secret_is_of_32_bytes_and_each_is_another() {
        let (one, other) = (Secret::generate(), Secret::generate());
        assert_ne!(one.reveal(), other.reveal());
        let key = one
            .reveal()
            .strip_prefix(PREFIX)
            .map(|text| STANDARD.decode(text));
        assert_eq!(key.expect("the prefix").expect("base64").len(), 32);
        assert!(!format!("{one:?}").contains(PREFIX));
    }

    #[test]
    fn what_cannot_sign_is_no_secret() {
        assert!(Secret::read(&token("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).is_ok());
        for text in ["", "whsec_", "whsec_?", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert!(Secret::read(&token(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn an_outcome_says_what_a_webhook_would_make_of_it() {
        let of = |status| {
            let took = Duration::from_millis(12);
            Outcome::Answered { status, took }.to_string()
        };
        assert_eq!(of(StatusCode::NO_CONTENT), "204 (12 ms)");
        assert_eq!(of(StatusCode::FOUND), "302 (12 ms): redirects are not followed");
        assert_eq!(of(StatusCode::GONE), "410 (12 ms): it would switch a webhook off");
        assert_eq!(of(StatusCode::BAD_GATEWAY), "502 (12 ms): not taken");
    }
}
