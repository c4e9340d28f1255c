//! What WhatsApp is asked on somebody's behalf. Each ask is put in the file of its family.

mod chats;
mod contacts;
mod groups;
mod media;

use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::domain::question::{Answer, Ask, Asks};
use whatsapp_rust::{Client, IqError};

use super::following::Following;
use super::notices::Notices;
use super::presence::Presence;
use super::runtime::SessionRuntime;
use crate::connection::AskError;

pub use self::contacts::look_up;

/// What asks are put to.
#[derive(Clone, Copy)]
pub struct Socket<'a> {
    /// The library's client, which was logged in a moment ago.
    pub client: &'a Arc<Client>,
    /// What others see of the account.
    pub presence: &'a Arc<Presence>,
    /// Where it is told what the account changes that WhatsApp may tell to others alone.
    pub notices: &'a Notices,
    /// Whose presence the account follows.
    pub following: &'a Arc<Following>,
    /// Runs what goes on after the answer, to the session's end.
    pub runtime: &'a SessionRuntime,
    /// The time of day.
    pub clock: &'a dyn Clock,
}

/// An ask that can be put to WhatsApp.
trait Put: Asks {
    /// Puts it. An ask that changes something gives [`AskError::InDoubt`] wherever it may have been done.
    async fn put(&self, socket: Socket<'_>) -> Result<Self::Answer, AskError>;
}

/// Answers a question.
pub async fn answer(socket: Socket<'_>, ask: &Ask) -> Result<Answer, AskError> {
    if !socket.client.is_logged_in() {
        return Err(AskError::NotConnected);
    }
    shared::with_ask!(ask, ask => Box::pin(ask.put(socket)).await.map(Into::into))
}

/// A part of an answer: without it the rest is told all the same, unless nothing more is to be asked now.
fn part<T>(answer: Result<T, AskError>) -> Result<Option<T>, AskError> {
    match answer {
        Ok(part) => Ok(Some(part)),
        Err(error @ (AskError::NotConnected | AskError::Throttled { .. })) => Err(error),
        Err(_) => Ok(None),
    }
}

/// What was asked before a change has left no doubt: nothing was changed yet.
fn before_change<T>(answer: Result<T, AskError>) -> Result<T, AskError> {
    answer.map_err(|error| match error {
        AskError::InDoubt => AskError::Unavailable("WhatsApp did not answer before the change".into()),
        other => other,
    })
}

/// Why a change has no answer. The connection may have ended after it was on the wire, which the library does not tell from
/// before. Only what WhatsApp refuses, and what could not be written, was certainly not done.
fn of_change(error: IqError) -> AskError {
    match &error {
        IqError::ServerError { code, .. } if (400..500).contains(code) && *code != 408 => of_query(error),
        IqError::EncodeError(_) | IqError::DuplicateRequestId(_) => of_query(error),
        _ => AskError::InDoubt,
    }
}

/// Why a question was not answered.
fn of_query(error: IqError) -> AskError {
    match error {
        IqError::NotConnected | IqError::ClientState(_) => AskError::NotConnected,
        IqError::ServerError { code, backoff, .. } => of_code(Some(code), backoff, Box::new(error)),
        IqError::EncodeError(_) | IqError::DuplicateRequestId(_) => AskError::Unavailable(Box::new(error)),
        // It was on the wire, or may have been.
        _ => AskError::InDoubt,
    }
}

fn of_code(
    code: Option<u16>,
    backoff: Option<u32>,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> AskError {
    match code {
        Some(429) => AskError::Throttled {
            after: backoff.map(|seconds| Duration::from_secs(seconds.into())),
            source,
        },
        Some(500..=599) => AskError::Unavailable(source),
        code => AskError::Refused { code, source },
    }
}
