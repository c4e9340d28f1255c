//! What a person does with chats, contacts and settings, as the settings that all of the account's devices share.

use serde::Deserialize;
use wacore::appstate::Mutation;
use wacore::appstate::schemas::{self, Schema};
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use waproto::whatsapp::sync_action_value as value;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use super::write::{Change, author};
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::phone::history;
use crate::store::Unit;

/// What `until` of a chat that is muted for good is on the wire.
const FOR_GOOD: i64 = -1;

/// The longest text in a setting, in bytes.
const MAX_TEXT: usize = 1_000;

/// One thing that a person does. Chats are named by number, by `lid:` and the digits, or by JID.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    tag = "action",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(crate) enum Action {
    /// Pins a chat to the top, or unpins it.
    Pin {
        chat: String,
        #[serde(default = "yes")]
        pinned: bool,
    },
    /// Archives a chat, or brings it back.
    Archive {
        chat: String,
        #[serde(default = "yes")]
        archived: bool,
    },
    /// Mutes a chat, until a moment (milliseconds since the Unix epoch) or for good, or ends that.
    Mute {
        chat: String,
        #[serde(default = "yes")]
        muted: bool,
        until: Option<i64>,
    },
    /// Marks a whole chat as read or unread. Nobody else learns of it.
    MarkRead {
        chat: String,
        #[serde(default = "yes")]
        read: bool,
    },
    /// Stars a message, or takes the star away. `participant` is the author's JID in a group.
    Star {
        chat: String,
        message: String,
        #[serde(default)]
        from_me: bool,
        participant: Option<String>,
        #[serde(default = "yes")]
        starred: bool,
    },
    /// Deletes a chat from the account.
    DeleteChat { chat: String },
    /// Deletes a chat's messages from the account.
    ClearChat { chat: String },
    /// Puts a number into the address book under a name.
    Contact {
        phone: String,
        full_name: String,
        first_name: Option<String>,
    },
    /// Changes the name that others see.
    PushName { name: String },
    /// Changes the language, such as `en-GB`.
    Locale { locale: String },
    /// Whether archived chats come back with a new message.
    UnarchiveChats { unarchive: bool },
    /// Makes, renames or deletes a label.
    Label {
        id: String,
        name: String,
        color: Option<i32>,
        #[serde(default)]
        deleted: bool,
    },
    /// Puts a label on a chat, or takes it off.
    LabelChat {
        label: String,
        chat: String,
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

fn change(unit: &Unit<'_>, account: &Account, action: Action) -> Result<Change> {
    match action {
        Action::Pin { chat, pinned } => Ok(Change {
            value: wa::SyncActionValue {
                pin_action: value::PinAction { pinned: Some(pinned) }.into(),
                ..now(unit)
            },
            ..of(&schemas::PIN, [jid(&chat)?])
        }),
        Action::Mute { chat, muted, until } => Ok(Change {
            value: wa::SyncActionValue {
                mute_action: value::MuteAction {
                    muted: Some(muted),
                    mute_end_timestamp: Some(if muted { until.unwrap_or(FOR_GOOD) } else { 0 }),
                    ..Default::default()
                }
                .into(),
                ..now(unit)
            },
            ..of(&schemas::MUTE, [jid(&chat)?])
        }),
        Action::Star {
            chat,
            message,
            from_me,
            participant,
            starred,
        } => {
            let participant = participant.as_deref().map(jid).transpose()?;
            let parts = [
                jid(&chat)?,
                text(message, "message")?,
                u8::from(from_me).to_string(),
                participant.unwrap_or_else(|| "0".into()),
            ];
            Ok(Change {
                value: wa::SyncActionValue {
                    star_action: value::StarAction {
                        starred: Some(starred),
                    }
                    .into(),
                    ..now(unit)
                },
                ..of(&schemas::STAR, parts)
            })
        }
        Action::PushName { name } => Ok(push_name(unit, text(name, "name")?)),
        Action::Locale { locale: language } => Ok(locale(unit, text(language, "locale")?)),
        Action::UnarchiveChats { unarchive } => Ok(Change {
            value: wa::SyncActionValue {
                unarchive_chats_setting: value::UnarchiveChatsSetting {
                    unarchive_chats: Some(unarchive),
                }
                .into(),
                ..now(unit)
            },
            ..of(&schemas::UNARCHIVE_CHATS_SETTING, [])
        }),
        Action::Contact {
            phone,
            full_name,
            first_name,
        } => contact(unit, &phone, full_name, first_name),
        other => ranged(unit, account, other),
    }
}

/// What concerns all messages of a chat up to now, and labels.
fn ranged(unit: &Unit<'_>, account: &Account, action: Action) -> Result<Change> {
    match action {
        Action::Archive { chat, archived } => {
            let chat = jid(&chat)?;
            Ok(Change {
                value: wa::SyncActionValue {
                    archive_chat_action: value::ArchiveChatAction {
                        archived: Some(archived),
                        message_range: history::range(unit, &account.phone, &chat)?.into(),
                    }
                    .into(),
                    ..now(unit)
                },
                ..of(&schemas::ARCHIVE, [chat])
            })
        }
        Action::MarkRead { chat, read } => {
            let chat = jid(&chat)?;
            Ok(Change {
                value: wa::SyncActionValue {
                    mark_chat_as_read_action: value::MarkChatAsReadAction {
                        read: Some(read),
                        message_range: history::range(unit, &account.phone, &chat)?.into(),
                    }
                    .into(),
                    ..now(unit)
                },
                ..of(&schemas::MARK_CHAT_AS_READ, [chat])
            })
        }
        Action::DeleteChat { chat } => {
            let chat = jid(&chat)?;
            Ok(Change {
                value: wa::SyncActionValue {
                    delete_chat_action: value::DeleteChatAction {
                        message_range: history::range(unit, &account.phone, &chat)?.into(),
                    }
                    .into(),
                    ..now(unit)
                },
                ..of(&schemas::DELETE_CHAT, [chat, "1".into()])
            })
        }
        Action::ClearChat { chat } => {
            let chat = jid(&chat)?;
            Ok(Change {
                value: wa::SyncActionValue {
                    clear_chat_action: value::ClearChatAction {
                        message_range: history::range(unit, &account.phone, &chat)?.into(),
                    }
                    .into(),
                    ..now(unit)
                },
                ..of(&schemas::CLEAR_CHAT, [chat, "1".into(), "1".into()])
            })
        }
        Action::Label {
            id,
            name,
            color,
            deleted,
        } => Ok(Change {
            value: wa::SyncActionValue {
                label_edit_action: value::LabelEditAction {
                    name: Some(text(name, "name")?),
                    color,
                    deleted: Some(deleted),
                    ..Default::default()
                }
                .into(),
                ..now(unit)
            },
            ..of(&schemas::LABEL_EDIT, [text(id, "id")?])
        }),
        Action::LabelChat { label, chat, labeled } => Ok(Change {
            value: wa::SyncActionValue {
                label_association_action: value::LabelAssociationAction {
                    labeled: Some(labeled),
                    ..Default::default()
                }
                .into(),
                ..now(unit)
            },
            ..of(&schemas::LABEL_JID, [text(label, "label")?, jid(&chat)?])
        }),
        _ => Err(Error::Invalid("there is no such action".into())),
    }
}

fn contact(unit: &Unit<'_>, phone: &str, full_name: String, first_name: Option<String>) -> Result<Change> {
    let phone = phone.strip_prefix('+').unwrap_or(phone);
    directory::check_number(phone)?;
    let known = directory::by_phone(unit, phone)?;
    Ok(Change {
        value: wa::SyncActionValue {
            contact_action: value::ContactAction {
                full_name: Some(text(full_name, "fullName")?),
                first_name: first_name.map(|name| text(name, "firstName")).transpose()?,
                lid_jid: known.map(|account| account.jid(Family::Lid, 0).to_string()),
                save_on_primary_addressbook: Some(true),
                ..Default::default()
            }
            .into(),
            ..now(unit)
        },
        ..of(&schemas::CONTACT, [Jid::pn(phone).to_string()])
    })
}

/// The name that others see.
pub(super) fn push_name(unit: &Unit<'_>, name: String) -> Change {
    Change {
        value: wa::SyncActionValue {
            push_name_setting: value::PushNameSetting { name: Some(name) }.into(),
            ..now(unit)
        },
        ..of(&schemas::SETTING_PUSH_NAME, [])
    }
}

/// The phone's language.
pub(super) fn locale(unit: &Unit<'_>, locale: String) -> Change {
    Change {
        value: wa::SyncActionValue {
            locale_setting: value::LocaleSetting { locale: Some(locale) }.into(),
            ..now(unit)
        },
        ..of(&schemas::LOCALE_SETTING, [])
    }
}

fn of<const PARTS: usize>(schema: &'static Schema, index: [String; PARTS]) -> Change {
    Change {
        schema,
        index: index.into(),
        value: wa::SyncActionValue::default(),
    }
}

fn now(unit: &Unit<'_>) -> wa::SyncActionValue {
    wa::SyncActionValue {
        timestamp: Some(unit.now_ms()),
        ..Default::default()
    }
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

/// What a setting that any device wrote means for the phone itself.
pub(super) fn follow(unit: &Unit<'_>, account: &Account, mutation: &Mutation) -> Result<()> {
    let is_name = mutation.index.first().map(String::as_str) == Some(schemas::SETTING_PUSH_NAME.name);
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
