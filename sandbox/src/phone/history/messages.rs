//! The kept messages of a chat, in the form in which companions get them.

use wacore_binary::Jid;
use waproto::whatsapp as wa;

use super::decode;
use crate::directory::{self, Account};
use crate::error::Result;
use crate::store::Unit;

/// The most bytes of messages in a chunk, before compression.
pub(super) const CHUNK: usize = 512 * 1024;

/// A kept message.
pub(super) struct Kept {
    pub(super) info: wa::HistorySyncMsg,
    /// Unix seconds.
    pub(super) sent_at: i64,
    /// Bytes.
    pub(super) size: usize,
}

/// Messages before another.
pub(super) struct Older {
    pub(super) messages: Vec<Kept>,
    /// Whether there are some before these.
    pub(super) more: bool,
}

/// `count` messages of a chat, the latest first, after the `skip` latest.
pub(super) fn latest(
    unit: &Unit<'_>,
    account: &Account,
    chat: &str,
    (skip, count): (u32, u32),
) -> Result<Vec<Kept>> {
    let sql = "SELECT seq, id, from_me, author, sent_at, message FROM phone_history
               WHERE phone = ?1 AND chat = ?2 ORDER BY seq DESC LIMIT ?4 OFFSET ?3";
    read(unit, account, chat, sql, (i64::from(skip), i64::from(count)))
}

/// Up to `count` messages of a chat before the one with the row `seq`, the latest first; fewer where they are long.
pub(super) fn before(
    unit: &Unit<'_>,
    account: &Account,
    chat: &str,
    (seq, count): (i64, u32),
) -> Result<Older> {
    let sql = "SELECT seq, id, from_me, author, sent_at, message FROM phone_history
               WHERE phone = ?1 AND chat = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4";
    let mut messages = read(unit, account, chat, sql, (seq, i64::from(count) + 1))?;
    let all = messages.len();
    messages.truncate(count as usize);
    let mut size = 0;
    let fit = messages.iter().take_while(|message| {
        size += message.size;
        size <= CHUNK
    });
    // One message at least: the longest there is fits by itself.
    let fit = fit.count().max(1);
    messages.truncate(fit);
    Ok(Older {
        more: all > messages.len(),
        messages,
    })
}

fn read(
    unit: &Unit<'_>,
    account: &Account,
    chat: &str,
    sql: &str,
    (from, count): (i64, i64),
) -> Result<Vec<Kept>> {
    let mut statement = unit.prepare(sql)?;
    let mut rows = statement.query((&account.phone, chat, from, count))?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let (from_me, author): (bool, Option<String>) = (row.get(2)?, row.get(3)?);
        let sent_at: i64 = row.get(4)?;
        let message = row.get_ref(5)?.as_blob().unwrap_or_default();
        let name = push_name(unit, author.as_deref().unwrap_or(chat))?;
        let info = wa::WebMessageInfo {
            key: wa::MessageKey {
                remote_jid: Some(chat.to_owned()),
                from_me: Some(from_me),
                id: Some(row.get(1)?),
                participant: author.clone(),
            }
            .into(),
            message: decode(message)?.into(),
            message_timestamp: Some(sent_at.unsigned_abs()),
            status: Some(wa::web_message_info::Status::DELIVERY_ACK),
            participant: author,
            push_name: name.filter(|_| !from_me),
            ..Default::default()
        };
        messages.push(Kept {
            size: message.len(),
            sent_at,
            info: wa::HistorySyncMsg {
                message: info.into(),
                msg_order_id: Some(row.get(0)?),
            },
        });
    }
    Ok(messages)
}

fn push_name(unit: &Unit<'_>, jid: &str) -> Result<Option<String>> {
    let Ok(jid) = jid.parse::<Jid>() else {
        return Ok(None);
    };
    Ok(directory::resolve(unit, &jid)?.map(|person| person.name))
}
