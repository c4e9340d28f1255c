//! A caller as callers should be: it asks under one idempotency key until it is answered.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use testbed::caller::Caller;
use tokio::time::Instant;

/// The pause between two attempts.
pub const PAUSE: Duration = Duration::from_millis(250);

/// What was answered in the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// The answer's data.
    pub data: Value,
    /// How often it was asked for.
    pub attempts: usize,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'a str,
    /// The body, where there is one.
    pub body: Option<&'a Value>,
    /// The idempotency key.
    pub name: &'a str,
}

impl Wish<'_> {
    /// Asks again and again while the answer is one that passes, or none comes. `Err` is a refusal: its status and body. Panics
    /// with the last answer when the time is over.
    pub async fn ask(&self, caller: &Caller, patience: Duration) -> Result<Granted, String> {
        let Self {
            method,
            path,
            body,
            name,
        } = self;
        let deadline = Instant::now() + patience;
        let caller = caller.with_header("idempotency-key", name);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let last = match caller.try_request(method.clone(), path, *body).await {
                Ok(answer) if answer.is_success() => {
                    let data = answer.json()["data"].clone();
                    return Ok(Granted { data, attempts });
                }
                Ok(answer) => {
                    let status = answer.status;
                    let said = format!("{status} {}", String::from_utf8_lossy(&answer.bytes));
                    if status < 500 && ![409, 425, 429].contains(&status) {
                        return Err(said);
                    }
                    said
                }
                Err(error) => error.to_string(),
            };
            assert!(
                Instant::now() < deadline,
                "{name} was not accepted within {} s, asked for {attempts} times: {last}",
                patience.as_secs()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}
