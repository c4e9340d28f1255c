//! History: the messages that a phone had before a companion was linked, and how the companion gets them.
//!
//! A new companion starts empty. After its keys, the phone sends it history in messages between devices of one
//! account. First come the latest messages of every chat, the names of people and the LIDs of numbers
//! (`INITIAL_BOOTSTRAP`, `PUSH_NAME`), then more messages (`RECENT`). A companion that registered as wanting all gets
//! all (`FULL`). A companion may ask for still older messages. [`crate::Config::history_messages`] sets how much
//! history a network has.

mod chunk;
mod chunks;
mod messages;
mod on_demand;

use std::collections::BTreeSet;
use std::sync::Arc;

use buffa::Message as _;
use rusqlite::OptionalExtension as _;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::sync_action_value::{SyncActionMessage, SyncActionMessageRange};

use super::content::Content;
use super::send;
use crate::directory::{self, Account, Address};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::store::Unit;
use chunk::Chunk;
pub(crate) use on_demand::answer;

/// The messages of a chat that a phone keeps for its companions, at least.
const KEPT_PER_CHAT: i64 = 1_000;

/// The store's name for the number of messages of a chat that a new companion gets.
const LIMIT: &str = "history_messages";

/// A message as the phone of one account saw it.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// JID.
    pub(crate) chat: &'a str,
    pub(crate) id: &'a str,
    pub(crate) from_me: bool,
    /// JID, in chats of several.
    pub(crate) author: Option<&'a str>,
}

/// Sets how many messages of a chat new companions get.
pub(crate) fn set_limit(unit: &Unit<'_>, messages: u32) -> Result<()> {
    unit.set_meta(LIMIT, &messages.to_be_bytes())
}

fn limit(unit: &Unit<'_>) -> Result<u32> {
    let stored = unit.meta(LIMIT)?.and_then(|bytes| bytes.try_into().ok());
    Ok(stored.map_or(0, u32::from_be_bytes))
}

/// Keeps a message for companions to come; an edit or a revocation changes what is kept.
pub(crate) fn keep(unit: &Unit<'_>, account: &Account, seen: &Seen<'_>, message: &wa::Message) -> Result<()> {
    if let Some(protocol) = message.protocol_message.as_option() {
        return amend(unit, account, seen.chat, protocol);
    }
    // Keys alone are no part of a chat.
    if Content::read(message).is_none() {
        return Ok(());
    }
    let kept = unit.execute(
        "INSERT OR IGNORE INTO phone_history (phone, chat, id, from_me, author, sent_at, message)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        rusqlite::params![
            account.phone,
            seen.chat,
            seen.id,
            seen.from_me,
            seen.author,
            unit.now_secs(),
            message.encode_to_vec()
        ],
    )?;
    if kept > 0 && unit.trims("phone_history", &format!("{} {}", account.phone, seen.chat)) {
        unit.execute(
            "DELETE FROM phone_history WHERE phone = ?1 AND chat = ?2 AND seq <=
                 (SELECT seq FROM phone_history WHERE phone = ?1 AND chat = ?2
                  ORDER BY seq DESC LIMIT 1 OFFSET ?3)",
            (&account.phone, seen.chat, KEPT_PER_CHAT),
        )?;
    }
    Ok(())
}

fn amend(
    unit: &Unit<'_>,
    account: &Account,
    chat: &str,
    protocol: &wa::message::ProtocolMessage,
) -> Result<()> {
    let Some(id) = protocol.key.as_option().and_then(|key| key.id.as_deref()) else {
        return Ok(());
    };
    match protocol.r#type {
        Some(Type::REVOKE) => {
            unit.execute(
                "DELETE FROM phone_history WHERE phone = ?1 AND chat = ?2 AND id = ?3",
                (&account.phone, chat, id),
            )?;
        }
        Some(Type::MESSAGE_EDIT) => {
            if let Some(edited) = protocol.edited_message.as_option() {
                unit.execute(
                    "UPDATE phone_history SET message = ?4 WHERE phone = ?1 AND chat = ?2 AND id = ?3",
                    (&account.phone, chat, id, edited.encode_to_vec()),
                )?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The last message of a chat, which settings name as their end. `None` for a chat without any.
pub(crate) fn range(unit: &Unit<'_>, phone: &str, chat: &str) -> Result<Option<SyncActionMessageRange>> {
    let last = unit
        .prepare(
            "SELECT id, from_me, author, sent_at FROM phone_history WHERE phone = ?1 AND chat = ?2
             ORDER BY seq DESC LIMIT 1",
        )?
        .query_row((phone, chat), |row| {
            let key = wa::MessageKey {
                remote_jid: Some(chat.to_owned()),
                id: Some(row.get(0)?),
                from_me: Some(row.get(1)?),
                participant: row.get(2)?,
            };
            Ok((key, row.get::<_, i64>(3)?))
        })
        .optional()?;
    Ok(last.map(|(key, sent_at)| SyncActionMessageRange {
        last_message_timestamp: Some(sent_at),
        messages: vec![SyncActionMessage {
            key: key.into(),
            timestamp: Some(sent_at),
        }],
        ..Default::default()
    }))
}

/// Lets the phone send a new companion its history, where the network has any.
pub(crate) fn begin(unit: &mut Unit<'_>, account: &Account, device: u16) -> Result<()> {
    if limit(unit)? == 0 {
        return Ok(());
    }
    unit.execute(
        "INSERT OR IGNORE INTO history_due (phone, device) VALUES (?1, ?2)",
        (&account.phone, device),
    )?;
    unit.wake(&Address::primary(&account.phone));
    Ok(())
}

/// The phones that have history to send.
pub(crate) fn waiting_phones(unit: &Unit<'_>) -> Result<BTreeSet<String>> {
    let mut statement = unit.prepare("SELECT DISTINCT phone FROM history_due")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether a new companion of `phone` waits for history.
pub(crate) fn is_due(unit: &Unit<'_>, phone: &str) -> Result<bool> {
    Ok(unit
        .prepare("SELECT 1 FROM history_due WHERE phone = ?1")?
        .exists([phone])?)
}

/// What one new companion is to get.
pub(crate) struct Due {
    account: Account,
    device: u16,
    chunks: Vec<Chunk>,
}

/// The history that a new companion of `phone` waits for. `None` if none waits, or the phone is off.
pub(crate) fn due(unit: &Unit<'_>, phone: &str) -> Result<Option<Due>> {
    let Some(account) = directory::by_phone(unit, phone)?.filter(|account| account.online) else {
        return Ok(None);
    };
    let due: Option<(u16, Vec<u8>)> = unit
        .prepare(
            "SELECT d.device, c.device_props FROM history_due d
             JOIN companions c ON c.phone = d.phone AND c.device = d.device WHERE d.phone = ?1 LIMIT 1",
        )?
        .query_row([phone], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((device, props)) = due else {
        return Ok(None);
    };
    // Properties that do not decode are those of a device that wants nothing in particular.
    let props = wa::DeviceProps::decode_from_slice(&props).unwrap_or_default();
    let chunks = chunks::initial(unit, &account, &props, limit(unit)?)?;
    Ok(Some(Due {
        account,
        device,
        chunks,
    }))
}

/// Sends one new companion of `phone` its history. `false` if none waits for it, or the phone is off.
pub(crate) async fn step(network: &Arc<Network>, phone: &str) -> Result<bool> {
    let one = phone.to_owned();
    let Some(due) = network.store.run(move |unit| due(unit, &one)).await? else {
        return Ok(false);
    };
    let mut carried = Vec::with_capacity(due.chunks.len());
    for chunk in due.chunks {
        carried.push(chunk.carry(network).await?);
    }
    let (account, device) = (due.account, due.device);
    let sent = move |unit: &mut Unit<'_>| {
        // It may have been unlinked meanwhile, or another task may have sent it.
        let waits = unit.execute(
            "DELETE FROM history_due WHERE phone = ?1 AND device = ?2",
            (&account.phone, device),
        )?;
        for notification in carried.into_iter().filter(|_| waits > 0) {
            send(unit, &account, device, notification)?;
        }
        Ok(true)
    };
    network.store.run(sent).await
}

/// Tells a companion of a chunk.
fn send(
    unit: &mut Unit<'_>,
    account: &Account,
    device: u16,
    notification: wa::message::HistorySyncNotification,
) -> Result<()> {
    let message = wa::Message {
        protocol_message: wa::message::ProtocolMessage {
            r#type: Some(Type::HISTORY_SYNC_NOTIFICATION),
            history_sync_notification: notification.into(),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    };
    send::peer_message(unit, account, &Address::new(&account.phone, device), &message)
}

fn decode(message: &[u8]) -> Result<wa::Message> {
    wa::Message::decode_from_slice(message).map_err(|error| Error::codec("a kept message", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn of_each_chat_the_latest_messages_are_kept() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let account = identity::create(unit, None, None)?;
            let message = wa::Message {
                conversation: Some("hi".into()),
                ..Default::default()
            };
            let many = KEPT_PER_CHAT + 600;
            // Chats in turn, so that none has a row of its own at each so many.
            for n in 0..many {
                for chat in ["a", "b"] {
                    let seen = Seen {
                        chat,
                        id: &n.to_string(),
                        from_me: false,
                        author: None,
                    };
                    keep(unit, &account, &seen, &message)?;
                }
            }
            for chat in ["a", "b"] {
                let (count, oldest, newest): (i64, i64, i64) = unit
                    .prepare(
                        "SELECT COUNT(*), MIN(CAST(id AS INTEGER)), MAX(CAST(id AS INTEGER)) FROM phone_history
                         WHERE phone = ?1 AND chat = ?2",
                    )?
                    .query_row((&account.phone, chat), |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })?;
                assert!((KEPT_PER_CHAT..KEPT_PER_CHAT + 300).contains(&count), "{count}");
                assert_eq!((oldest, newest), (many - count, many - 1));
            }
            Ok(())
        });
    }
}
