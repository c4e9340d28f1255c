//! Mail over SMTP (RFC 5321), with STARTTLS or implicit TLS.

use std::fmt;

use async_trait::async_trait;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::{AsyncTransport as _, Message, Tokio1Executor};

use super::{Mail, MailError, Mailer, SEND_DEADLINE};

/// A mail server that takes our mails.
pub struct SmtpMailer {
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

/// A URL or a sender that makes no mailer. It holds a password, so it is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSmtp {
    /// The server's URL.
    #[error("must be smtp:// or smtps:// with a host, and perhaps user, password and port")]
    Url,
    /// The sender.
    #[error("must be an e-mail address, perhaps with a name before it")]
    From,
}

impl SmtpMailer {
    /// A mailer through `url`: `smtps://user:password@host` for implicit TLS (port 465),
    /// `smtp://…?tls=required` for STARTTLS (port 587), `smtp://host:port` without TLS, for a
    /// server on the same machine. Each mail has a connection of its own: a Lambda that sleeps
    /// would keep none alive.
    pub fn new(url: &str, from: &str) -> Result<Self, InvalidSmtp> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| InvalidSmtp::Url)?
            .timeout(Some(SEND_DEADLINE))
            .build();
        Ok(Self {
            from: from.parse().map_err(|_| InvalidSmtp::From)?,
            transport,
        })
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmtpMailer")
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let to = mail
            .to
            .as_str()
            .parse()
            .map_err(|error: lettre::address::AddressError| MailError::Refused(error.into()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&mail.subject)
            .multipart(MultiPart::alternative_plain_html(
                mail.text.clone(),
                mail.html.clone(),
            ))
            .map_err(|error| MailError::Refused(error.into()))?;
        let sent = tokio::time::timeout(SEND_DEADLINE, self.transport.send(message)).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() => Err(MailError::Refused(error.into())),
            Ok(Err(error)) => Err(MailError::Unavailable(error.into())),
            Err(late) => Err(MailError::Unavailable(late.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_makes_no_mailer_is_named() {
        let from = "Waxwing <waxwing@example.com>";
        assert!(SmtpMailer::new("smtps://user:secret@mail.example.com", from).is_ok());
        assert!(SmtpMailer::new("smtp://127.0.0.1:2525", "waxwing@example.com").is_ok());
        assert_eq!(
            SmtpMailer::new("http://mail.example.com", from).err(),
            Some(InvalidSmtp::Url)
        );
        assert_eq!(
            SmtpMailer::new("smtp://127.0.0.1", "nobody").err(),
            Some(InvalidSmtp::From)
        );
    }
}
