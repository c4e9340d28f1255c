//! The library's errors as ours.

use std::error::Error;

use wacore::store::error::StoreError;
use whatsapp_rust::{ClientError, IqError, SendError as LibraryError};

use crate::connection::SendError;

/// Why a message did not go out.
pub fn of_send(error: LibraryError) -> SendError {
    match error {
        LibraryError::NotLoggedIn
        | LibraryError::Client(
            ClientError::NotConnected
            | ClientError::NotLoggedIn
            | ClientError::Socket(_)
            | ClientError::EncryptSend(_),
        ) => SendError::NotConnected,
        LibraryError::Iq(error) => of_query(error),
        other if is_of_the_store(&other) => SendError::State(Box::new(other)),
        other => SendError::Failed(Box::new(other)),
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
