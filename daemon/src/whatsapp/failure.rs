//! The library's errors as ours.

use std::error::Error;
use std::time::Duration;

use shared::domain::message::FailureCode;
use shared::domain::recipient::Recipient;
use wacore::request::{IqError as CoreIqError, ServerErrorCode};
use wacore::store::error::StoreError;
use whatsapp_rust::{ClientError, IqError, SendError as LibraryError, SignalError};

use crate::connection::SendError;

/// Why a message to `to` did not go out.
pub fn of_send(error: LibraryError, to: &Recipient) -> SendError {
    match &error {
        // These end a question that is asked before the message is written, so the message is not out.
        LibraryError::NotLoggedIn
        | LibraryError::Client(ClientError::NotConnected | ClientError::NotLoggedIn)
        | LibraryError::Iq(
            IqError::NotConnected
            | IqError::Socket(_)
            | IqError::EncryptSend(_)
            | IqError::ClientState(_)
            | IqError::Disconnected(_)
            | IqError::InternalChannelClosed,
        ) => return SendError::Interrupted { may_be_out: false },
        LibraryError::Client(ClientError::Socket(_) | ClientError::EncryptSend(_)) => {
            return SendError::Interrupted { may_be_out: true };
        }
        LibraryError::Iq(IqError::Timeout) => return SendError::Unavailable(Box::new(error)),
        _ => {}
    }
    if let Some(answered) = Answered::of(&error) {
        return of_answer(answered, to, Box::new(error));
    }
    if is_of_the_store(&error) {
        SendError::State(Box::new(error))
    } else {
        SendError::Failed(Box::new(error))
    }
}

/// Why a person's devices, or their keys, were not found before a message to that person.
pub fn of_keys(error: SignalError, to: &Recipient) -> SendError {
    let inner = match error {
        SignalError::Internal(inner) => inner,
        other => return SendError::Failed(Box::new(other)),
    };
    let inner = match inner.downcast::<IqError>() {
        Ok(error) => return of_send(LibraryError::Iq(error), to),
        Err(inner) => inner,
    };
    match inner.downcast::<ClientError>() {
        Ok(error) => of_send(error.into(), to),
        Err(inner) => of_send(LibraryError::Internal(inner), to),
    }
}

/// Why a query was not answered.
pub fn of_query(error: IqError) -> SendError {
    match error {
        IqError::Timeout => SendError::Timeout,
        IqError::NotConnected
        | IqError::Socket(_)
        | IqError::EncryptSend(_)
        | IqError::ClientState(_)
        | IqError::Disconnected(_)
        | IqError::InternalChannelClosed => SendError::NotConnected,
        other => SendError::Failed(Box::new(other)),
    }
}

/// Why a question was not answered that is asked before a message: the message is not on the wire.
pub fn of_question(error: IqError) -> SendError {
    match Answered::of(&error) {
        Some(Answered { code: 429, backoff }) => SendError::Throttled {
            after: backoff,
            source: Box::new(error),
        },
        Some(Answered { code: 500..=599, .. }) => SendError::Unavailable(Box::new(error)),
        _ => match of_query(error) {
            SendError::Timeout => SendError::Unavailable("WhatsApp did not answer in time".into()),
            other => other,
        },
    }
}

/// An error that the server answered a question with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answered {
    code: u16,
    /// For how long it asks to be left alone.
    backoff: Option<Duration>,
}

impl Answered {
    /// Looks for it among an error's causes, since the library wraps it in several ways.
    fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let answered = |code: &u16, backoff: &Option<u32>| Self {
            code: *code,
            backoff: backoff.map(|seconds| Duration::from_secs(seconds.into())),
        };
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(IqError::ServerError { code, backoff, .. }) = error.downcast_ref() {
                return Some(answered(code, backoff));
            }
            if let Some(CoreIqError::ServerError { code, backoff, .. }) = error.downcast_ref() {
                return Some(answered(code, backoff));
            }
            if let Some(ServerErrorCode { code, backoff, .. }) = error.downcast_ref() {
                return Some(answered(code, backoff));
            }
            cause = error.source();
        }
        None
    }
}

/// What this answer to a question before a message means for the message. For a group the question was for its
/// members. For a person it was for devices or their keys, and proves nothing lasting.
fn of_answer(answered: Answered, to: &Recipient, source: Box<LibraryError>) -> SendError {
    match (answered.code, to) {
        (404 | 410, Recipient::Group(_)) => SendError::Refused(FailureCode::GroupNotFound),
        (401 | 403, Recipient::Group(_)) => SendError::Refused(FailureCode::NotAMember),
        (429, _) => SendError::Throttled {
            after: answered.backoff,
            source,
        },
        (500..=599, _) => SendError::Unavailable(source),
        _ => SendError::Failed(source),
    }
}

fn is_of_the_store(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<StoreError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> Recipient {
        "15550100001".parse().expect("a number")
    }

    fn group() -> Recipient {
        "120363021033254949@g.us".parse().expect("a group")
    }

    fn server_error(code: u16, backoff: Option<u32>) -> IqError {
        IqError::ServerError {
            code,
            text: String::new(),
            error_type: None,
            backoff,
        }
    }

    #[test]
    fn a_group_that_is_not_ours_is_proven_and_a_persons_keys_are_not() {
        let failed = |code, to: &Recipient| of_send(LibraryError::Iq(server_error(code, None)), to);
        assert!(matches!(
            failed(404, &group()),
            SendError::Refused(FailureCode::GroupNotFound)
        ));
        assert!(matches!(
            failed(403, &group()),
            SendError::Refused(FailureCode::NotAMember)
        ));
        for code in [400, 403, 404, 406] {
            assert!(matches!(failed(code, &person()), SendError::Failed(_)), "{code}");
        }
    }

    #[test]
    fn what_passes_is_told_however_deep_it_lies() {
        let wrapped = |code| {
            let error = anyhow::Error::new(ServerErrorCode {
                code,
                text: String::new(),
                error_type: None,
                backoff: Some(7),
            });
            LibraryError::Internal(error.context("prekeys").context("sessions"))
        };
        let after = Some(Duration::from_secs(7));
        assert!(matches!(
            of_send(wrapped(429), &person()),
            SendError::Throttled { after: told, .. } if told == after
        ));
        assert!(matches!(
            of_send(LibraryError::Iq(server_error(429, Some(7))), &group()),
            SendError::Throttled { after: told, .. } if told == after
        ));
        assert!(matches!(
            of_send(wrapped(503), &group()),
            SendError::Unavailable(_)
        ));
        assert!(matches!(
            of_send(LibraryError::Iq(IqError::Timeout), &person()),
            SendError::Unavailable(_)
        ));
        let store = StoreError::DeviceNotFound(1);
        assert!(matches!(
            of_send(
                LibraryError::Internal(anyhow::Error::new(store).context("sessions")),
                &person()
            ),
            SendError::State(_)
        ));
        assert!(matches!(
            of_send(LibraryError::Internal(anyhow::anyhow!("no idea")), &person()),
            SendError::Failed(_)
        ));
    }

    #[test]
    fn a_question_before_a_message_leaves_no_doubt() {
        let throttled = of_question(server_error(429, Some(7)));
        assert!(matches!(
            throttled,
            SendError::Throttled { after: Some(after), .. } if after == Duration::from_secs(7)
        ));
        for error in [server_error(503, None), IqError::Timeout] {
            assert!(matches!(of_question(error), SendError::Unavailable(_)));
        }
        for error in [server_error(403, None), server_error(404, None)] {
            assert!(
                matches!(of_question(error), SendError::Failed(_)),
                "it proves nothing"
            );
        }
        assert!(matches!(
            of_question(IqError::NotConnected),
            SendError::NotConnected
        ));
    }

    #[test]
    fn a_message_is_not_out_while_its_questions_are_asked() {
        assert!(matches!(
            of_send(LibraryError::Iq(IqError::NotConnected), &person()),
            SendError::Interrupted { may_be_out: false }
        ));
    }
}
