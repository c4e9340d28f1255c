//! The port's part about passkeys: what a session tells and is told where WhatsApp wants one before it links.

/// Why WhatsApp has not got an answer, or has not accepted it.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// The session is not connected (any more).
    #[error("the session is not connected")]
    NotConnected,
    /// WhatsApp has said no, or the library does not ask it.
    #[error("WhatsApp has not accepted the answer")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time: it may have been accepted.
    #[error("no answer to the passkey in time")]
    Timeout,
}
