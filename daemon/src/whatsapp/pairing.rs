//! Pairing by a code that is entered on the phone.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::phone::PhoneNumber;
use tokio::time::Instant;
use wacore::pair_code::{PairCodeError, PairCodeUtils};
use whatsapp_rust::Client;
use whatsapp_rust::pair_code::{PairCodeOptions, PairCodeRejection, PairError};

use super::failure::of_query;
use crate::connection::{PairingCode, PairingError, SendError};

/// How long the request may take: the code is stretched into a key, which takes a moment,
/// and the library waits 30 s for the server.
const DEADLINE: Duration = Duration::from_secs(35);

/// Asks for a code. The library makes it; the server learns the number and tells the phone.
pub async fn request(client: &Arc<Client>, phone: &PhoneNumber) -> Result<PairingCode, PairingError> {
    // The library's own clock begins here too.
    let begun = Instant::now();
    let options = PairCodeOptions {
        phone_number: phone.as_str().to_owned(),
        ..PairCodeOptions::default()
    };
    match tokio::time::timeout(DEADLINE, client.pair_with_code(options)).await {
        Ok(Ok(code)) => Ok(PairingCode {
            code,
            valid_for: PairCodeUtils::code_validity().saturating_sub(begun.elapsed()),
        }),
        Ok(Err(error)) => Err(failure(error)),
        Err(_) => Err(PairingError::Timeout),
    }
}

/// Why there is no code. `bad-request` stands for a wrong number and for too many requests of a number alike.
fn failure(error: PairError) -> PairingError {
    if error.rejection() == Some(PairCodeRejection::RateOverlimit) {
        return PairingError::Throttled(Box::new(error));
    }
    match error {
        PairError::RequestFailed(error) => match of_query(error) {
            SendError::Timeout => PairingError::Timeout,
            SendError::NotConnected | SendError::Interrupted { .. } => PairingError::NotConnected,
            SendError::Throttled { source, .. } => PairingError::Throttled(source),
            SendError::State(source) | SendError::Unavailable(source) | SendError::Failed(source) => {
                PairingError::Refused(source)
            }
            other @ SendError::Refused(_) => PairingError::Refused(Box::new(other)),
        },
        // The code was withdrawn, as every code is when its connection ends.
        PairError::PairCode(PairCodeError::Cancelled) => PairingError::NotConnected,
        other => PairingError::Refused(Box::new(other)),
    }
}
