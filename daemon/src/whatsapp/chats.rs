//! What the owner does with a chat: marks it as read, archives, pins and mutes it.
//!
//! All but the first are settings that the account's devices share, and so show on the phone.

use shared::clock::Clock;
use shared::domain::chats::ChatChange;
use shared::domain::recipient::Recipient;
use wacore_binary::Jid;
use whatsapp_rust::Client;
use whatsapp_rust::features::{AppStateError, message_range};

use super::people;
use crate::connection::{AskError, Unread};

/// Tells the senders of messages that these were read, and the account's other devices with them.
pub async fn mark_read(client: &Client, chat: &Recipient, messages: &[Unread]) -> Result<(), AskError> {
    let group = chat.group().is_some();
    // A receipt goes to one sender.
    let mut receipts: Vec<(&Recipient, Vec<&str>)> = Vec::new();
    for Unread { id, from } in messages {
        match receipts.iter_mut().find(|(sender, _)| *sender == from) {
            Some((_, ids)) => ids.push(id),
            None => receipts.push((from, vec![id])),
        }
    }
    for (from, ids) in receipts {
        if !client.is_logged_in() {
            return Err(AskError::NotConnected);
        }
        let sender: Jid = people::jid(from);
        let marked = if group {
            client.mark_as_read(&people::jid(chat), Some(&sender), &ids).await
        } else {
            client.mark_as_read(&sender, None, &ids).await
        };
        marked.map_err(|_| AskError::InDoubt)?;
    }
    Ok(())
}

/// Changes how the account shows a chat.
pub async fn change(
    client: &Client,
    clock: &dyn Clock,
    chat: &Recipient,
    change: &ChatChange,
) -> Result<(), AskError> {
    let chat = people::jid(chat);
    let actions = client.chat_actions();
    let changed = match change {
        ChatChange::Archive { archived: true } => {
            // The phone wants to know how far the chat was when it was archived.
            let range = message_range(clock.now().timestamp(), None, Vec::new());
            actions.archive_chat(&chat, Some(range)).await
        }
        ChatChange::Archive { archived: false } => {
            let range = message_range(clock.now().timestamp(), None, Vec::new());
            actions.unarchive_chat(&chat, Some(range)).await
        }
        ChatChange::Pin { pinned: true } => actions.pin_chat(&chat).await,
        ChatChange::Pin { pinned: false } => actions.unpin_chat(&chat).await,
        ChatChange::Mute { until: None } => actions.mute_chat(&chat).await,
        ChatChange::Mute { until: Some(until) } => {
            actions.mute_chat_until(&chat, until.timestamp_millis()).await
        }
        ChatChange::Unmute => actions.unmute_chat(&chat).await,
    };
    changed.map_err(|error| match error {
        // Nothing was sent: the phone has not shared its keys yet, or the time to mute until is over by now.
        error @ AppStateError::InvalidRequest(_) => AskError::Unavailable(Box::new(error)),
        _ => AskError::InDoubt,
    })
}
