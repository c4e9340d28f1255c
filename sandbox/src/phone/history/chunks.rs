//! What goes into the pieces of a history.

use wacore::appstate::schemas;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use waproto::whatsapp::conversation::EndOfHistoryTransferType;
use waproto::whatsapp::history_sync::HistorySyncType;

use super::chunk::{Chunk, pack};
use super::messages::{CHUNK, Older, latest};
use crate::directory::{self, Account, Family};
use crate::error::Result;
use crate::phone::{app_state, salt};
use crate::store::Unit;

/// The messages of a chat that come first.
const FIRST: u32 = 10;

/// The chats of which a companion gets anything, the latest.
const CHATS: u32 = 1_000;

/// The history of a companion just linked: up to `limit` messages of each chat, fewer if it asked for fewer, or all
/// that are kept if it asked for that.
pub(super) fn initial(
    unit: &Unit<'_>,
    account: &Account,
    props: &wa::DeviceProps,
    limit: u32,
) -> Result<Vec<Chunk>> {
    let asked = props.history_sync_config.initial_sync_max_messages_per_chat;
    let limit = limit.min(asked.unwrap_or(limit));
    let chats = chats(unit, account)?;
    let mut chunks = pieces(
        unit,
        account,
        &chats,
        HistorySyncType::INITIAL_BOOTSTRAP,
        (0, limit.min(FIRST)),
    )?;
    chunks.push(push_names(unit, account, &chats)?);
    chunks.extend(pieces(
        unit,
        account,
        &chats,
        HistorySyncType::RECENT,
        (FIRST, limit),
    )?);
    if props.require_full_sync == Some(true) {
        chunks.extend(pieces(
            unit,
            account,
            &chats,
            HistorySyncType::FULL,
            (limit, u32::MAX),
        )?);
    }
    Ok(chunks)
}

/// The chats of a phone by their JIDs, the latest first.
fn chats(unit: &Unit<'_>, account: &Account) -> Result<Vec<String>> {
    let mut statement = unit.prepare(
        "SELECT chat FROM phone_history WHERE phone = ?1 GROUP BY chat ORDER BY MAX(seq) DESC LIMIT ?2",
    )?;
    let rows = statement.query_map((&account.phone, CHATS), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The messages `from` to `to` of each chat, counted from the latest, in as many chunks as they need.
fn pieces(
    unit: &Unit<'_>,
    account: &Account,
    chats: &[String],
    kind: HistorySyncType,
    (from, to): (u32, u32),
) -> Result<Vec<Chunk>> {
    let mut all: Vec<(Vec<wa::Conversation>, Option<i64>)> = vec![(Vec::new(), None)];
    let mut size = 0;
    for chat in chats {
        let messages = latest(unit, account, chat, (from, to.saturating_sub(from)))?;
        if messages.is_empty() && from > 0 {
            continue;
        }
        let described = conversation(unit, account, chat)?;
        let last = all.len() - 1;
        all[last].0.push(described.clone());
        for message in messages {
            size += message.size;
            if size > CHUNK {
                size = message.size;
                all.push((vec![described.clone()], None));
            }
            let last = all.len() - 1;
            let (conversations, oldest) = &mut all[last];
            *oldest = Some(oldest.unwrap_or(message.sent_at).min(message.sent_at));
            if let Some(conversation) = conversations.last_mut() {
                conversation.messages.push(message.info);
            }
        }
    }
    let count = all.len();
    let mut chunks = Vec::with_capacity(count);
    for (at, (conversations, oldest)) in all.into_iter().enumerate() {
        let first = kind == HistorySyncType::INITIAL_BOOTSTRAP && at == 0;
        let (lids, salt) = if first {
            (
                lids(unit, account, chats)?,
                salt::for_history(unit, &account.phone)?,
            )
        } else {
            (Vec::new(), None)
        };
        let sync = wa::HistorySync {
            sync_type: kind,
            conversations,
            phone_number_to_lid_mappings: lids,
            nct_salt: salt,
            ..Default::default()
        };
        let progress = u32::try_from((at + 1) * 100 / count).unwrap_or(100);
        chunks.push(pack(sync, (at, progress), oldest)?);
    }
    Ok(chunks)
}

/// One chunk with older messages of one chat, as asked for.
pub(super) fn older(
    unit: &Unit<'_>,
    account: &Account,
    chat: &str,
    Older { messages, more }: Older,
) -> Result<Chunk> {
    let oldest = messages.last().map(|message| message.sent_at);
    let end = if more {
        EndOfHistoryTransferType::COMPLETE_ON_DEMAND_SYNC_BUT_MORE_MSG_REMAIN_ON_PRIMARY
    } else {
        EndOfHistoryTransferType::COMPLETE_AND_NO_MORE_MESSAGE_REMAIN_ON_PRIMARY
    };
    let conversation = wa::Conversation {
        messages: messages.into_iter().map(|message| message.info).collect(),
        end_of_history_transfer: Some(!more),
        end_of_history_transfer_type: Some(end),
        ..conversation(unit, account, chat)?
    };
    let sync = wa::HistorySync {
        sync_type: HistorySyncType::ON_DEMAND,
        conversations: vec![conversation],
        ..Default::default()
    };
    pack(sync, (0, 100), oldest)
}

/// What a chat is besides its messages.
fn conversation(unit: &Unit<'_>, account: &Account, chat: &str) -> Result<wa::Conversation> {
    let jid: Option<Jid> = chat.parse().ok();
    let person = match &jid {
        Some(jid) => directory::resolve(unit, jid)?,
        None => None,
    };
    let setting = |name: &str| app_state::value(unit, &account.phone, &[name, chat]);
    let archived =
        setting(schemas::ARCHIVE.name)?.and_then(|value| value.archive_chat_action.as_option()?.archived);
    let pinned = setting(schemas::PIN.name)?.and_then(|value| {
        let pinned = value.pin_action.as_option()?.pinned?;
        pinned.then(|| u32::try_from(value.timestamp.unwrap_or_default() / 1000).unwrap_or(u32::MAX))
    });
    let muted =
        setting(schemas::MUTE.name)?.and_then(|value| value.mute_action.as_option()?.mute_end_timestamp);
    let unread: u32 = match &person {
        Some(person) => unit
            .prepare(
                "SELECT COUNT(*) FROM inbox WHERE phone = ?1 AND chat = ?2 AND sender <> ?1 AND read = 0",
            )?
            .query_row((&account.phone, &person.phone), |row| row.get(0))?,
        None => 0,
    };
    let last: Option<u64> = unit
        .prepare("SELECT MAX(sent_at) FROM phone_history WHERE phone = ?1 AND chat = ?2")?
        .query_row((&account.phone, chat), |row| row.get(0))?;
    Ok(wa::Conversation {
        id: chat.to_owned(),
        last_msg_timestamp: last,
        conversation_timestamp: last,
        unread_count: Some(unread),
        archived,
        pinned,
        // Milliseconds; an end that is negative is none.
        mute_end_time: muted.map(|end| u64::try_from(end).unwrap_or(u64::MAX)),
        name: person.as_ref().map(|person| person.name.clone()),
        pn_jid: person
            .as_ref()
            .map(|person| person.jid(Family::Pn, 0).to_string()),
        lid_jid: person
            .as_ref()
            .map(|person| person.jid(Family::Lid, 0).to_string()),
        ..Default::default()
    })
}

/// The people of these chats, and the account itself.
fn people(unit: &Unit<'_>, account: &Account, chats: &[String]) -> Result<Vec<Account>> {
    let mut people = vec![account.clone()];
    for chat in chats {
        if let Ok(jid) = chat.parse::<Jid>()
            && let Some(person) = directory::resolve(unit, &jid)?
            && person.phone != account.phone
        {
            people.push(person);
        }
    }
    Ok(people)
}

fn lids(unit: &Unit<'_>, account: &Account, chats: &[String]) -> Result<Vec<wa::PhoneNumberToLIDMapping>> {
    let people = people(unit, account, chats)?;
    let mappings = people.into_iter().map(|person| wa::PhoneNumberToLIDMapping {
        pn_jid: Some(person.jid(Family::Pn, 0).to_string()),
        lid_jid: Some(person.jid(Family::Lid, 0).to_string()),
    });
    Ok(mappings.collect())
}

fn push_names(unit: &Unit<'_>, account: &Account, chats: &[String]) -> Result<Chunk> {
    let people = people(unit, account, chats)?;
    let pushnames = people.into_iter().map(|person| wa::Pushname {
        id: Some(person.jid(Family::Pn, 0).to_string()),
        pushname: Some(person.name),
    });
    let sync = wa::HistorySync {
        sync_type: HistorySyncType::PUSH_NAME,
        pushnames: pushnames.collect(),
        ..Default::default()
    };
    pack(sync, (0, 100), None)
}
