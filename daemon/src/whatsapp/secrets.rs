//! The secrets of our own messages: derived, so that they need not be stored.
//!
//! A message's secret goes out with it, and is used by whoever reacts to it, edits it or votes in it. A job that is
//! sent again must carry the same secret under the same id. So the secret is HMAC-SHA-256 (RFC 2104) of the message's
//! id under a random key in the session's state. This also saves a write for every message.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use shared::ids::MessageId;
use shared::session_state::SessionState;
use shared::storage::StorageError;
use wacore::msg_secret::OriginalMessageResolver;

use crate::store::{Early, Found};

/// The key's entry in the session state; the library's entries have other names.
pub const ENTRY: &str = "own#message-secret";

/// Makes the secrets of one instance's messages.
#[derive(Clone)]
pub struct MessageSecrets {
    key: [u8; 32],
}

impl MessageSecrets {
    /// Reads the instance's key, unless it was read early, or makes it.
    pub async fn load(state: &dyn SessionState, early: &Early) -> Result<Self, StorageError> {
        let stored = match early.take(ENTRY) {
            Some(Found(stored)) => stored,
            None => state.get(ENTRY).await?,
        };
        if let Some(stored) = stored {
            let key = stored.try_into().map_err(|_| StorageError::Corrupt {
                entity: "session state",
                key: ENTRY.to_owned(),
                field: "v",
            })?;
            return Ok(Self { key });
        }
        let key: [u8; 32] = rand::random();
        state.put(ENTRY, &key, None).await?;
        Ok(Self { key })
    }

    /// The secret of a message of ours.
    pub fn of(&self, message: MessageId) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(b"message secret");
        mac.update(&message.to_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// The library asks here for secrets that it has not stored, which is all of them.
#[async_trait]
impl OriginalMessageResolver for MessageSecrets {
    async fn resolve_msg_secret(&self, _chat: &str, _sender: &str, msg_id: &str) -> Option<[u8; 32]> {
        MessageId::from_whatsapp(msg_id).map(|message| self.of(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_messages_secret_is_its_own_and_always_the_same() {
        let secrets = MessageSecrets { key: [1; 32] };
        let (one, two) = (MessageId::from_bytes([1; 16]), MessageId::from_bytes([2; 16]));
        assert_eq!(secrets.of(one), secrets.of(one));
        assert_ne!(secrets.of(one), secrets.of(two));
        assert_ne!(secrets.of(one), MessageSecrets { key: [2; 32] }.of(one));
        let resolved = secrets
            .resolve_msg_secret("chat", "sender", &one.to_whatsapp())
            .await;
        assert_eq!(resolved, Some(secrets.of(one)));
        assert_eq!(secrets.resolve_msg_secret("chat", "sender", "A5D0").await, None);
    }
}
