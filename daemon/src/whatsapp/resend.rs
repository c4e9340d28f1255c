//! Incoming messages that must be asked for again.
//!
//! A message that was decrypted and neither buffered nor committed ([`MissingInbound`]) cannot be decrypted from the
//! server's copy again, since its key is used up. Its sender encrypts it anew upon a retry receipt, which every
//! client sends for a message that it cannot read.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::clock::Clock;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node, Server};
use whatsapp_rust::{Client, RetryRequestOptions};

use super::keys_only::KeysOnly;
use crate::store::MissingInbound;

/// How many messages wait to be asked for.
pub const CAPACITY: usize = 256;

/// How long asking for one may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Asks for missing messages, one after the other. A session waits here for most of its life, so what is rarely done is boxed.
pub async fn ask_for(
    client: Arc<Client>,
    clock: Arc<dyn Clock>,
    keys_only: Arc<KeysOnly>,
    mut missing: mpsc::Receiver<Box<MissingInbound>>,
) {
    while let Some(message) = missing.recv().await {
        let id = &message.id;
        let is_lost = !keys_only.has(&message.chat, id);
        let asking = Box::pin(ask(&client, &message, is_lost, clock.now()));
        match tokio::time::timeout(DEADLINE, asking).await {
            Ok(Ok(())) if !is_lost => debug!(whatsapp.id = %id, "a sender's key came twice"),
            Ok(Ok(())) => {
                info!(whatsapp.id = %id, "an incoming message is asked for again: its first copy was lost");
            }
            Ok(Err(error)) => {
                warn!(whatsapp.id = %id, %error, "an incoming message could not be asked for again");
            }
            Err(_) => warn!(whatsapp.id = %id, "an incoming message could not be asked for again in time"),
        }
    }
}

/// Sends the retry receipt where something is lost, and then the acknowledgement. Without that the server's
/// unreadable copy would come at every login.
async fn ask(
    client: &Arc<Client>,
    message: &MissingInbound,
    is_lost: bool,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let stanza = stanza(message, now)?;
    if is_lost {
        client
            .request_message_retry(&stanza.as_node_ref(), RetryRequestOptions::new())
            .await?;
    }
    client.acknowledge_stanza(&stanza.as_node_ref()).await?;
    Ok(())
}

/// The message's stanza, as far as it names the message. The sender in a group or of a status is a participant; a
/// message from another device of the account has a recipient.
fn stanza(message: &MissingInbound, now: DateTime<Utc>) -> anyhow::Result<Node> {
    let (chat, sender): (Jid, Jid) = (message.chat.parse()?, message.sender.parse()?);
    // Its time is not known here. Retries find a message by its id.
    let stanza = NodeBuilder::new("message")
        .attr("id", message.id.clone())
        .attr("t", now.timestamp());
    let stanza = if chat.is_group() || chat.server == Server::Broadcast {
        stanza.attr("from", &chat).attr("participant", &sender)
    } else if sender.is_same_user_as(&chat) {
        stanza.attr("from", &sender)
    } else {
        stanza.attr("from", &sender).attr("recipient", &chat)
    };
    Ok(stanza.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lean::{MOST, size_of_future};

    #[test]
    fn whoever_waits_for_missing_messages_takes_little_memory() {
        let size =
            size_of_future(|(client, clock, keys_only, missing)| ask_for(client, clock, keys_only, missing));
        assert!(size <= MOST, "{size} bytes");
    }
}
