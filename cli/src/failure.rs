//! Why a command ends without having done what was asked, in words for people.

use std::io;

use crate::event::list_of_types;

/// Why a command has failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The realtime feed does not let the key in.
    #[error("the deployment refuses the key: {0}. Nothing is forwarded")]
    KeyRefused(String),
    /// The realtime feed has let the key in before, and does not any longer.
    #[error("the deployment has ended the connection: {why}{lost}")]
    Ended {
        /// Why.
        why: String,
        /// What becomes of events that had come; empty where there are none.
        lost: String,
    },
    /// There is no realtime feed at the address.
    #[error(
        "there is no realtime feed at {url} (status {status}). In a deployment it may have an address of its own: name it with `--feed`"
    )]
    NoFeed {
        /// Where it was looked for.
        url: String,
        /// What was answered.
        status: u16,
    },
    /// The API says no.
    #[error("{code}: {message}{hint}")]
    Refused {
        /// The code.
        code: String,
        /// The API's own words.
        message: String,
        /// What to do; empty where the API has said it.
        hint: String,
    },
    /// The API answers otherwise than it should.
    #[error("{0} answers with no answer of Waxwing's API. Is `--url` right?")]
    NotTheApi(String),
    /// The API has not answered. The request may have been done.
    #[error("{0}. If the request arrived, the event is sent all the same")]
    NoAnswer(String),
    /// It is no type of event.
    #[error("`{0}` is no type of event. There are:\n{types}", types = list_of_types())]
    UnknownType(String),
    /// The secret cannot sign.
    #[error("the secret must be `whsec_` and base64, as a webhook's secret is")]
    Secret,
    /// It was interrupted before it was done.
    #[error("interrupted")]
    Interrupted,
    /// No client could be made.
    #[error("no connection can be made from this machine: {0}")]
    Client(#[from] reqwest::Error),
    /// What is said cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Whether nobody reads the output any longer, as behind `| head`: then there is nobody to tell either.
    pub fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
