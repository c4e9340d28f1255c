//! Whether anybody can read a message to a person, before the message is on the wire.
//!
//! The library writes a message for those devices whose keys it has. Where it gets the keys of none of the recipient's devices,
//! it writes the message for the account's own alone: the server acknowledges that, and the message is delivered to nobody. So
//! what the library does for that is done before, in its order, which it finds done; and without a session with any device of
//! the recipient nothing goes out.

use shared::domain::recipient::Recipient;
use wacore_binary::Jid;
use whatsapp_rust::{Client, ErrorChainExt as _, SignalError};

use super::{failure, people};
use crate::connection::SendError;

/// The server's answer to a request for the keys of devices that are gone. The library looks for that person's devices anew
/// then, the next time.
const GONE: u16 = 406;

/// No device of a recipient has keys.
#[derive(Debug, thiserror::Error)]
#[error("no device of the recipient has keys")]
struct Unreadable;

/// An error where nobody could read a message to this person. One whose devices nobody knows is left to the library.
pub async fn require(client: &Client, to: &Recipient) -> Result<(), SendError> {
    if is_readable(client, to).await? {
        Ok(())
    } else {
        Err(SendError::Failed(Box::new(Unreadable)))
    }
}

/// Whether there is a session with a device of this person, or one was agreed upon just now; and where nobody knows of a device.
/// The answer that names a person's devices names their LID as well, under which sessions stand.
pub async fn is_readable(client: &Client, to: &Recipient) -> Result<bool, SendError> {
    let signal = client.signal();
    let devices = signal.get_user_devices(&[people::jid(to)]).await;
    let devices = devices.map_err(|error| failure::of_keys(error, to))?;
    if devices.is_empty() || has_session(client, &devices).await? {
        return Ok(true);
    }
    match signal.assert_sessions(&devices).await {
        Ok(()) => has_session(client, &devices).await,
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(failure::of_keys(error, to)),
    }
}

async fn has_session(client: &Client, devices: &[Jid]) -> Result<bool, SendError> {
    for device in devices {
        let found = client.signal().validate_session(device).await;
        if found.map_err(|error| SendError::State(Box::new(error)))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_gone(error: &SignalError) -> bool {
    error.server_rejection().is_some_and(|said| said.code == GONE)
}
