//! Older messages of a chat, when a companion asks for them.

use rusqlite::OptionalExtension as _;
use wacore_binary::Jid;
use waproto::whatsapp::message::HistorySyncNotification;
use waproto::whatsapp::message::peer_data_operation_request_message::HistorySyncOnDemandRequest;

use super::{chunks, messages, send};
use crate::directory::{self, Account, Family};
use crate::error::Result;
use crate::store::Unit;

/// The most messages in one answer.
const MOST: u32 = 200;

/// Sends `device` the messages of a chat before the one that it names as its oldest. `id` is that of the request.
pub(crate) fn answer(
    unit: &mut Unit<'_>,
    account: &Account,
    (device, id): (u16, &str),
    request: &HistorySyncOnDemandRequest,
) -> Result<()> {
    let Some(jid) = request
        .chat_jid
        .as_deref()
        .and_then(|jid| jid.parse::<Jid>().ok())
    else {
        return Ok(());
    };
    // Chats with people are kept by their numbers.
    let chat = match directory::resolve(unit, &jid)? {
        Some(person) => person.jid(Family::Pn, 0).to_string(),
        None => jid.to_string(),
    };
    let count = request
        .on_demand_msg_count
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or(MOST)
        .clamp(1, MOST);
    let oldest: Option<i64> = unit
        .prepare("SELECT seq FROM phone_history WHERE phone = ?1 AND chat = ?2 AND id = ?3")?
        .query_row((&account.phone, &chat, &request.oldest_msg_id), |row| row.get(0))
        .optional()?;
    let seq = match oldest {
        Some(seq) => seq,
        // The message may have been deleted here; its time is as good.
        None => unit
            .prepare(
                "SELECT COALESCE(MIN(seq), 0) FROM phone_history
                 WHERE phone = ?1 AND chat = ?2 AND sent_at >= ?3",
            )?
            .query_row(
                (
                    &account.phone,
                    &chat,
                    request.oldest_msg_timestamp_ms.unwrap_or_default() / 1000,
                ),
                |row| row.get(0),
            )?,
    };
    let older = messages::before(unit, account, &chat, (seq, count))?;
    let notification = HistorySyncNotification {
        peer_data_request_session_id: Some(id.to_owned()),
        ..chunks::older(unit, account, &chat, older)?.inline()
    };
    send(unit, account, device, notification)
}
