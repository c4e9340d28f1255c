//! What a session knows of trust between its account and a person: the tokens that each gives the other.
//!
//! A client gives a token to everybody whom it writes to, and notes that. WhatsApp wants a token of the recipient's, or
//! one that is derived for their LID, with messages of accounts that it has reason to watch.

use shared::domain::recipient::Recipient;
use tracing::debug;
use whatsapp_rust::Client;
use whatsapp_rust::features::{ContactError, TcTokenError};

use super::{failure, people};
use crate::connection::SendError;

/// Whether the session has a token of this person's, or has given one lately: the library does so with the first message.
/// Where its store does not answer nobody is a stranger.
pub async fn has_written_to(client: &Client, to: &Recipient) -> bool {
    if to.is_shared() {
        return true;
    }
    let jid = people::jid(to);
    let lid = match client.get_lid_pn_entry(&jid).await {
        Ok(entry) => entry.map(|entry| entry.lid.to_string()),
        Err(_) => return true,
    };
    for name in [lid, Some(jid.user.to_string())].into_iter().flatten() {
        match client.tc_token().get(&name).await {
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => return true,
        }
    }
    false
}

/// Makes good what this side can of a token that is missing: learns the person's LID, under which tokens are found and
/// from which one is derived, and gives the person a token of the account's.
pub async fn refresh(client: &Client, to: &Recipient) -> Result<(), SendError> {
    let jid = people::jid(to);
    let known = client.contacts().is_on_whatsapp(std::slice::from_ref(&jid)).await;
    if let Err(error) = known {
        return Err(match error {
            ContactError::Iq(error) => failure::of_query(error),
            other => SendError::Failed(Box::new(other)),
        });
    }
    let lid = client.get_lid_pn_entry(&jid).await.ok().flatten();
    let lid = lid.and_then(|entry| format!("{}@lid", entry.lid).parse().ok());
    let given = client.tc_token().issue_tokens(&[lid.unwrap_or(jid)]).await;
    match given {
        Ok(tokens) => {
            debug!(tokens = tokens.len(), "a token of trust was given");
            Ok(())
        }
        Err(TcTokenError::Iq(error)) => Err(failure::of_query(error)),
        Err(other) => Err(SendError::Failed(Box::new(other))),
    }
}
