//! `<presence>` of those whom the account follows, and `<chatstate>` of those who write to it. Neither has an id or a time,
//! and neither comes twice.

use chrono::{DateTime, Utc};
use shared::domain::event::{ChatNames, Data, PresenceState, PresenceUpdated};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use wacore_binary::{Jid, NodeRef};

use super::{by, text, with_own};
use crate::notice::Notice;
use crate::whatsapp::people;

/// Somebody is there, or not any longer.
pub fn presence(stanza: &NodeRef<'_>, from: &Jid, own: &Person, now: DateTime<Utc>) -> Option<Notice> {
    let state = match text(stanza, "type").as_deref() {
        None | Some("available") => PresenceState::Available,
        Some("unavailable") => PresenceState::Unavailable,
        Some(_) => return None,
    };
    let chat = people::chat(from).filter(|chat| chat.group().is_none())?;
    // What a person does not show is a word in the place of the time.
    let seconds = text(stanza, "last").and_then(|last| last.parse().ok());
    let last_seen = seconds
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .filter(|_| state == PresenceState::Unavailable);
    of(chat, from, own, state, last_seen, now)
}

/// Somebody writes or records, or does that no longer.
pub fn chat_state(stanza: &NodeRef<'_>, from: &Jid, own: &Person, now: DateTime<Utc>) -> Option<Notice> {
    let child = stanza.children()?.first()?;
    let state = match (child.tag.as_ref(), text(child, "media").as_deref()) {
        ("composing", Some("audio")) => PresenceState::Recording,
        ("composing", _) => PresenceState::Typing,
        ("paused", _) => PresenceState::Paused,
        _ => return None,
    };
    let chat = people::chat(from)?;
    let who = match &chat {
        Recipient::Group(_) => stanza.attrs().optional_jid("participant")?,
        _ => from.clone(),
    };
    of(chat, &who, own, state, None, now)
}

fn of(
    chat: Recipient,
    who: &Jid,
    own: &Person,
    state: PresenceState,
    last_seen: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<Notice> {
    let from = with_own(people::person([who]), own);
    if from.is_nobody() || from == *own {
        return None;
    }
    let state_text = serde_json::to_string(&state).unwrap_or_default();
    Some(Notice {
        by: by(Some(who)),
        key: format!("{state_text}/{}", now.timestamp_micros()),
        at: now,
        data: Data::PresenceUpdated(Box::new(PresenceUpdated {
            chat: ChatNames::of(&chat, &from),
            from,
            state,
            last_seen,
        })),
        chat,
    })
}
