//! What each action writes: the name of the setting, and its value.

use wacore::appstate::schemas::{self, Schema};
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use waproto::whatsapp::sync_action_value as value;

use super::actions::Action;
use super::write::Change;
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::phone::history;
use crate::store::Unit;

/// What `until` of a chat that is muted for good is on the wire.
const FOR_GOOD: i64 = -1;

/// The longest text in a setting, in bytes.
const MAX_TEXT: usize = 1_000;

/// The setting that `action` writes.
pub(super) fn change(unit: &Unit<'_>, account: &Account, action: Action) -> Result<Change> {
    match action {
        Action::Pin { chat, pinned } => pin(unit, &chat, pinned),
        Action::Archive { chat, archived } => archive(unit, account, &chat, archived),
        Action::Mute { chat, muted, until } => mute(unit, &chat, muted, until),
        Action::MarkRead { chat, read } => mark_read(unit, account, &chat, read),
        Action::Star {
            chat,
            message,
            from_me,
            participant,
            starred,
        } => {
            let author = participant.as_deref().map(jid).transpose()?;
            let author = author.unwrap_or_else(|| flag(false));
            let index = [jid(&chat)?, text(message, "message")?, flag(from_me), author];
            Ok(star(unit, index, starred))
        }
        Action::DeleteChat { chat } => delete_chat(unit, account, &chat),
        Action::ClearChat { chat } => clear_chat(unit, account, &chat),
        Action::Contact {
            phone,
            full_name,
            first_name,
        } => contact(unit, &phone, full_name, first_name),
        Action::PushName { name } => Ok(push_name(unit, text(name, "name")?)),
        Action::Locale { locale: language } => Ok(locale(unit, text(language, "locale")?)),
        Action::UnarchiveChats { unarchive } => Ok(unarchive_chats(unit, unarchive)),
        Action::Label {
            id,
            name,
            color,
            deleted,
        } => {
            let label = value::LabelEditAction {
                name: Some(text(name, "name")?),
                color,
                deleted: Some(deleted),
                ..Default::default()
            };
            Ok(set(unit, &schemas::LABEL_EDIT, [text(id, "id")?], |value| {
                value.label_edit_action = label.into();
            }))
        }
        Action::LabelChat { label, chat, labeled } => label_chat(unit, label, &chat, labeled),
    }
}

fn pin(unit: &Unit<'_>, chat: &str, pinned: bool) -> Result<Change> {
    let pinned = value::PinAction { pinned: Some(pinned) };
    Ok(set(unit, &schemas::PIN, [jid(chat)?], |value| {
        value.pin_action = pinned.into();
    }))
}

fn archive(unit: &Unit<'_>, account: &Account, chat: &str, archived: bool) -> Result<Change> {
    let chat = jid(chat)?;
    let archived = value::ArchiveChatAction {
        archived: Some(archived),
        message_range: history::range(unit, &account.phone, &chat)?.into(),
    };
    Ok(set(unit, &schemas::ARCHIVE, [chat], |value| {
        value.archive_chat_action = archived.into();
    }))
}

fn mark_read(unit: &Unit<'_>, account: &Account, chat: &str, read: bool) -> Result<Change> {
    let chat = jid(chat)?;
    let read = value::MarkChatAsReadAction {
        read: Some(read),
        message_range: history::range(unit, &account.phone, &chat)?.into(),
    };
    Ok(set(unit, &schemas::MARK_CHAT_AS_READ, [chat], |value| {
        value.mark_chat_as_read_action = read.into();
    }))
}

/// With its media, as the last part of the index says.
fn delete_chat(unit: &Unit<'_>, account: &Account, chat: &str) -> Result<Change> {
    let chat = jid(chat)?;
    let deleted = value::DeleteChatAction {
        message_range: history::range(unit, &account.phone, &chat)?.into(),
    };
    let index = [chat, flag(true)];
    Ok(set(unit, &schemas::DELETE_CHAT, index, |value| {
        value.delete_chat_action = deleted.into();
    }))
}

/// With what is starred, and with its media.
fn clear_chat(unit: &Unit<'_>, account: &Account, chat: &str) -> Result<Change> {
    let chat = jid(chat)?;
    let cleared = value::ClearChatAction {
        message_range: history::range(unit, &account.phone, &chat)?.into(),
    };
    let index = [chat, flag(true), flag(true)];
    Ok(set(unit, &schemas::CLEAR_CHAT, index, |value| {
        value.clear_chat_action = cleared.into();
    }))
}

fn star(unit: &Unit<'_>, index: [String; 4], starred: bool) -> Change {
    let starred = value::StarAction {
        starred: Some(starred),
    };
    set(unit, &schemas::STAR, index, |value| {
        value.star_action = starred.into();
    })
}

fn unarchive_chats(unit: &Unit<'_>, unarchive: bool) -> Change {
    let setting = value::UnarchiveChatsSetting {
        unarchive_chats: Some(unarchive),
    };
    set(unit, &schemas::UNARCHIVE_CHATS_SETTING, [], |value| {
        value.unarchive_chats_setting = setting.into();
    })
}

fn label_chat(unit: &Unit<'_>, label: String, chat: &str, labeled: bool) -> Result<Change> {
    let index = [text(label, "label")?, jid(chat)?];
    let labeled = value::LabelAssociationAction {
        labeled: Some(labeled),
        ..Default::default()
    };
    Ok(set(unit, &schemas::LABEL_JID, index, |value| {
        value.label_association_action = labeled.into();
    }))
}

fn mute(unit: &Unit<'_>, chat: &str, muted: bool, until: Option<i64>) -> Result<Change> {
    let muted = value::MuteAction {
        muted: Some(muted),
        mute_end_timestamp: Some(if muted { until.unwrap_or(FOR_GOOD) } else { 0 }),
        ..Default::default()
    };
    Ok(set(unit, &schemas::MUTE, [jid(chat)?], |value| {
        value.mute_action = muted.into();
    }))
}

fn contact(unit: &Unit<'_>, phone: &str, full_name: String, first_name: Option<String>) -> Result<Change> {
    let phone = phone.strip_prefix('+').unwrap_or(phone);
    directory::check_number(phone)?;
    let known = directory::by_phone(unit, phone)?;
    let contact = value::ContactAction {
        full_name: Some(text(full_name, "fullName")?),
        first_name: first_name.map(|name| text(name, "firstName")).transpose()?,
        lid_jid: known.map(|account| account.jid(Family::Lid, 0).to_string()),
        save_on_primary_addressbook: Some(true),
        ..Default::default()
    };
    let index = [Jid::pn(phone).to_string()];
    Ok(set(unit, &schemas::CONTACT, index, |value| {
        value.contact_action = contact.into();
    }))
}

/// The name that others see.
pub(super) fn push_name(unit: &Unit<'_>, name: String) -> Change {
    let name = value::PushNameSetting { name: Some(name) };
    set(unit, &schemas::SETTING_PUSH_NAME, [], |value| {
        value.push_name_setting = name.into();
    })
}

/// The phone's language.
pub(super) fn locale(unit: &Unit<'_>, locale: String) -> Change {
    let locale = value::LocaleSetting { locale: Some(locale) };
    set(unit, &schemas::LOCALE_SETTING, [], |value| {
        value.locale_setting = locale.into();
    })
}

/// A setting as of now.
fn set<const PARTS: usize>(
    unit: &Unit<'_>,
    schema: &'static Schema,
    index: [String; PARTS],
    fill: impl FnOnce(&mut wa::SyncActionValue),
) -> Change {
    let mut value = wa::SyncActionValue {
        timestamp: Some(unit.now_ms()),
        ..Default::default()
    };
    fill(&mut value);
    Change {
        schema,
        index: index.into(),
        value,
    }
}

/// A flag in an index.
fn flag(set: bool) -> String {
    u8::from(set).to_string()
}

fn jid(chat: &str) -> Result<String> {
    let chat = chat.strip_prefix('+').unwrap_or(chat);
    if let Some(lid) = chat.strip_prefix("lid:") {
        directory::check_number(lid)?;
        return Ok(Jid::lid(lid).to_string());
    }
    if chat.contains('@') {
        let jid: Jid = chat
            .parse()
            .map_err(|_| Error::Invalid("a chat is a number, `lid:` with digits, or a JID".into()))?;
        return Ok(jid.to_non_ad().to_string());
    }
    directory::check_number(chat)?;
    Ok(Jid::pn(chat).to_string())
}

fn text(text: String, member: &'static str) -> Result<String> {
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(Error::Invalid(format!("`{member}` has 1 to {MAX_TEXT} bytes")));
    }
    Ok(text)
}
