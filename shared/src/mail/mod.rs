//! E-mail: a port, and what we write.
//!
//! A mail is rendered before it is handed over, so adapters know only an address, a subject and two bodies. Sending
//! has a time-out, and nothing is queued: whoever asked for a mail that did not go out asks again.

mod folder;
mod letters;
mod ses;
mod smtp;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::config;
use crate::domain::account::EmailAddress;

pub use folder::FolderMailer;
pub use letters::{Letter, Letters};
pub use ses::SesMailer;
pub use smtp::{InvalidSmtp, SmtpMailer};

/// One mail's deadline, connecting included.
pub const SEND_DEADLINE: Duration = Duration::from_secs(10);

/// A mail, ready to go out. Its bodies hold codes, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: EmailAddress,
    /// One line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Why a mail did not go out.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The mail server refuses this mail: trying again does not help.
    #[error("the mail server refused the mail")]
    Refused(#[source] BoxError),
    /// The mail server cannot be reached, is busy or did not answer in time.
    #[error("the mail server cannot be reached")]
    Unavailable(#[source] BoxError),
    /// This deployment sends no e-mail.
    #[error("no way to send e-mail is configured")]
    Off,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Sends mails.
#[async_trait]
pub trait Mailer: fmt::Debug + Send + Sync {
    /// Hands a mail over to the mail service.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;

    /// Whether mails go out at all. Where they do not, no address can be verified.
    fn sends(&self) -> bool {
        true
    }
}

/// The mailer that a configuration names.
pub fn from_config(
    aws: &aws_config::SdkConfig,
    config: &config::Mail,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Mailer>, InvalidSmtp> {
    Ok(match config {
        config::Mail::Off => {
            tracing::warn!("WAXWING_MAIL is off: no address can be verified and no password reset");
            Arc::new(NoMailer)
        }
        config::Mail::Ses { from } => Arc::new(SesMailer::new(aws, from)),
        config::Mail::Smtp { url, from } => Arc::new(SmtpMailer::new(url.expose(), from)?),
        config::Mail::Folder(folder) => Arc::new(FolderMailer::new(folder, clock.clone())),
    })
}

/// Sends nothing: for deployments without e-mail.
#[derive(Debug, Clone, Copy)]
pub struct NoMailer;

#[async_trait]
impl Mailer for NoMailer {
    async fn send(&self, _: &Mail) -> Result<(), MailError> {
        Err(MailError::Off)
    }

    fn sends(&self) -> bool {
        false
    }
}
