//! Linking with a passkey. The library does all of it but the assertion.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::passkey::Credential;
use whatsapp_rust::Client;
use whatsapp_rust::passkey::Assertion;

use crate::passkey::PasskeyError;

/// How long WhatsApp may take over an answer. The library asks it twice.
const DEADLINE: Duration = Duration::from_secs(45);

/// Hands WhatsApp an assertion.
pub async fn answer(client: &Arc<Client>, credential: &Credential) -> Result<(), PasskeyError> {
    let assertion = Assertion {
        assertion_json: serde_json::to_vec(credential)
            .map_err(|error| PasskeyError::Refused(error.into()))?,
        credential_id: credential.raw_id_bytes(),
    };
    told(client, client.send_passkey_response(assertion)).await
}

/// Tells WhatsApp that the phone shows the same code.
pub async fn confirm(client: &Arc<Client>) -> Result<(), PasskeyError> {
    told(client, client.send_passkey_confirmation()).await
}

async fn told(
    client: &Client,
    telling: impl Future<Output = Result<(), whatsapp_rust::passkey::PasskeyError>>,
) -> Result<(), PasskeyError> {
    match tokio::time::timeout(DEADLINE, telling).await {
        Ok(Ok(())) => Ok(()),
        // The library's error is a text, which does not tell the one from the other.
        Ok(Err(_)) if !client.is_connected() => Err(PasskeyError::NotConnected),
        Ok(Err(error)) => Err(PasskeyError::Refused(Box::new(error))),
        Err(_) => Err(PasskeyError::Timeout),
    }
}
