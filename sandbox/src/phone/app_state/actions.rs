//! What a person does with chats, contacts and settings, as the settings that all of the account's devices share.

use serde::Deserialize;
use wacore::appstate::Mutation;
use wacore::appstate::schemas;
use wacore_binary::Jid;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use super::changes::change;
use super::write::author;
use crate::directory::{self, Account};
use crate::error::Result;
use crate::people::contacts;
use crate::store::Unit;

/// One thing that a person does. Chats are named by number, by `lid:` and the digits, or by JID.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    tag = "action",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Action {
    /// Pins a chat to the top, or unpins it.
    Pin {
        /// The chat.
        chat: String,
        /// True without it.
        #[serde(default = "yes")]
        pinned: bool,
    },
    /// Archives a chat, or brings it back.
    Archive {
        /// The chat.
        chat: String,
        /// True without it.
        #[serde(default = "yes")]
        archived: bool,
    },
    /// Mutes a chat, or ends that.
    Mute {
        /// The chat.
        chat: String,
        /// True without it.
        #[serde(default = "yes")]
        muted: bool,
        /// Until when, in milliseconds since the Unix epoch; without it for good.
        until: Option<i64>,
    },
    /// Marks a whole chat as read or unread. Nobody else learns of it.
    MarkRead {
        /// The chat.
        chat: String,
        /// True without it.
        #[serde(default = "yes")]
        read: bool,
    },
    /// Stars a message, or takes the star away.
    Star {
        /// The chat.
        chat: String,
        /// The message's id.
        message: String,
        /// Whether the person wrote it.
        #[serde(default)]
        from_me: bool,
        /// The author's JID in a group.
        participant: Option<String>,
        /// True without it.
        #[serde(default = "yes")]
        starred: bool,
    },
    /// Deletes a chat from the account.
    DeleteChat {
        /// The chat.
        chat: String,
    },
    /// Deletes a chat's messages from the account.
    ClearChat {
        /// The chat.
        chat: String,
    },
    /// Puts a number into the address book under a name.
    Contact {
        /// The number.
        phone: String,
        /// The name.
        full_name: String,
        /// The first of it.
        first_name: Option<String>,
    },
    /// Changes the name that others see.
    PushName {
        /// The new one.
        name: String,
    },
    /// Changes the language.
    Locale {
        /// Such as `en-GB`.
        locale: String,
    },
    /// Says whether archived chats come back with a new message.
    UnarchiveChats {
        /// Whether they do.
        unarchive: bool,
    },
    /// Makes, renames or deletes a label.
    Label {
        /// The label's id.
        id: String,
        /// What it is called.
        name: String,
        /// The number of its colour.
        color: Option<i32>,
        /// Whether it goes.
        #[serde(default)]
        deleted: bool,
    },
    /// Puts a label on a chat, or takes it off.
    LabelChat {
        /// The label's id.
        label: String,
        /// The chat.
        chat: String,
        /// True without it.
        #[serde(default = "yes")]
        labeled: bool,
    },
}

fn yes() -> bool {
    true
}

/// Does it: writes the setting, for all of the account's devices.
///
/// # Errors
/// [`Error::Invalid`] for a chat or text that cannot be.
pub(crate) fn act(unit: &mut Unit<'_>, account: &Account, action: Action) -> Result<()> {
    let change = change(unit, account, action)?;
    author(unit, account, vec![change])
}

/// What a setting that any device wrote means for the phone itself.
pub(super) fn follow(unit: &Unit<'_>, account: &Account, mutation: &Mutation) -> Result<()> {
    let kind = mutation.index.first().map(String::as_str);
    if kind == Some(schemas::CONTACT.name) {
        return save(unit, account, mutation);
    }
    let is_name = kind == Some(schemas::SETTING_PUSH_NAME.name);
    if mutation.operation != SyncdOperation::SET || !is_name {
        return Ok(());
    }
    let value = mutation.action_value.as_ref();
    let name = value.and_then(|value| value.push_name_setting.as_option()?.name.as_deref());
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        unit.execute(
            "UPDATE phones SET name = ?2 WHERE phone = ?1",
            (&account.phone, name),
        )?;
    }
    Ok(())
}

/// Somebody came into the address book, or went.
fn save(unit: &Unit<'_>, account: &Account, mutation: &Mutation) -> Result<()> {
    let jid = mutation.index.get(1).and_then(|jid| jid.parse::<Jid>().ok());
    let Some(jid) = jid else {
        return Ok(());
    };
    match directory::resolve(unit, &jid)? {
        Some(person) if mutation.operation == SyncdOperation::SET => {
            contacts::add(unit, &account.phone, &person.phone)
        }
        Some(person) => contacts::remove(unit, &account.phone, &person.phone),
        None => Ok(()),
    }
}
