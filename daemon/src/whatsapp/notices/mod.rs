//! The server's stanzas that tell of groups, contacts, presence and calls, as notices.
//!
//! They are read from the stanzas and not from the library's events: those leave out the stanza's id, by which a notice is
//! the same one when it comes again, and names of people. Whatever does not read is left out; nothing that a stanza holds
//! ends a session. The library acknowledges them by itself, before or after this has seen them.

mod calls;
mod contacts;
mod groups;
mod presences;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use shared::clock::Clock;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use wacore::types::events::ContactUpdate;
use wacore_binary::{Jid, NodeRef};

use super::people;
use crate::notice::{Notice, NoticeSink};

pub use self::groups::own_picture;

/// Hands a session's notices on.
#[derive(Debug)]
pub struct Notices {
    pub sink: Arc<dyn NoticeSink>,
    clock: Arc<dyn Clock>,
    began_at: DateTime<Utc>,
    /// When the phone was linked by this very session: what its address book held before is no news.
    linked_at: std::sync::OnceLock<DateTime<Utc>>,
}

impl Notices {
    pub fn new(sink: Arc<dyn NoticeSink>, clock: Arc<dyn Clock>) -> Self {
        Self {
            sink,
            began_at: clock.now(),
            clock,
            linked_at: std::sync::OnceLock::new(),
        }
    }

    /// The phone has linked this session.
    pub fn note_linked(&self) {
        let _ = self.linked_at.set(self.clock.now());
    }

    /// Tells what a stanza of the server's tells, if it is one of these. `own` is the account.
    pub fn note(&self, stanza: &NodeRef<'_>, own: impl FnOnce() -> Person) {
        if !matches!(
            stanza.tag.as_ref(),
            "notification" | "presence" | "chatstate" | "call"
        ) {
            return;
        }
        for notice in read(stanza, &own(), self.clock.now()) {
            self.sink.tell(notice);
        }
    }

    /// Tells that the phone's address book is changed. What it held before is not told.
    pub fn note_saved(&self, update: &ContactUpdate) {
        let linked_at = self.linked_at.get().copied();
        // A book that comes as a whole says nothing of what is new in it but the time.
        let since = linked_at.or(update.from_full_sync.then_some(self.began_at));
        if since.is_some_and(|since| update.timestamp < since) {
            return;
        }
        if let Some(notice) = contacts::saved(update) {
            self.sink.tell(notice);
        }
    }
}

/// What a stanza tells; `now` is when it came.
fn read(stanza: &NodeRef<'_>, own: &Person, now: DateTime<Utc>) -> Vec<Notice> {
    let Some(from) = stanza.attrs().optional_jid("from") else {
        return Vec::new();
    };
    match stanza.tag.as_ref() {
        "notification" => {
            let head = Head {
                at: time(stanza, now),
                id: text(stanza, "id").unwrap_or_default(),
                own,
            };
            match text(stanza, "type").as_deref() {
                Some("w:gp2") => groups::changes(stanza, &from, &head),
                Some("picture") => picture(stanza, &from, &head),
                Some("status") => contacts::about(stanza, &from, &head).into_iter().collect(),
                Some("contacts") => contacts::number(stanza, &head).into_iter().collect(),
                Some("account_sync") => contacts::blocked(stanza, &head),
                _ => Vec::new(),
            }
        }
        "presence" => presences::presence(stanza, &from, own, now).into_iter().collect(),
        "chatstate" => presences::chat_state(stanza, &from, own, now)
            .into_iter()
            .collect(),
        "call" => calls::offer(stanza, &from, time(stanza, now), own)
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// What all of a notification's notices have in common.
struct Head<'a> {
    at: DateTime<Utc>,
    /// The stanza's id.
    id: String,
    own: &'a Person,
}

fn picture(stanza: &NodeRef<'_>, from: &Jid, head: &Head<'_>) -> Vec<Notice> {
    let told = match people::chat(from) {
        Some(Recipient::Group(_)) => groups::picture(stanza, from, head),
        Some(_) => contacts::picture(stanza, from, head),
        None => None,
    };
    told.into_iter().collect()
}

/// What became of a picture, by the child that says so; and the picture's id.
fn picture_change(stanza: &NodeRef<'_>) -> Option<(bool, Option<String>)> {
    if let Some(set) = stanza.get_optional_child("set") {
        return Some((true, text(set, "id")));
    }
    // A notification without a child says the same as `<delete>`.
    let is_bare = stanza.children().is_none_or(<[_]>::is_empty);
    (is_bare || stanza.get_optional_child("delete").is_some()).then_some((false, None))
}

/// When a stanza says that it happened, in whole seconds.
fn time(stanza: &NodeRef<'_>, now: DateTime<Utc>) -> DateTime<Utc> {
    let told = stanza.attrs().optional_u64("t");
    let told = told.and_then(|seconds| DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0));
    // A time that no calendar has, and the end of an id's, is nobody's.
    told.filter(|at| at.timestamp() < MOST_SECONDS).unwrap_or(now)
}

/// The year 5138: before the last time of an id, of 48 bits of milliseconds.
const MOST_SECONDS: i64 = 100_000_000_000;

fn text(stanza: &NodeRef<'_>, name: &str) -> Option<String> {
    let text = stanza.attrs().optional_string(name)?;
    Some(text.into_owned()).filter(|text| !text.is_empty())
}

/// A node's own text, be it packed as one or not.
fn words(node: &NodeRef<'_>) -> String {
    if let Some(bytes) = node.content_bytes() {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    node.content_str().unwrap_or_default().to_owned()
}

/// Whoever the attributes `names` name; `None` where they name nobody.
fn person(stanza: &NodeRef<'_>, names: &[&str]) -> Option<Person> {
    let mut attributes = stanza.attrs();
    let jids: Vec<Jid> = names
        .iter()
        .filter_map(|name| attributes.optional_jid(name))
        .collect();
    Some(people::person(&jids)).filter(|person| !person.is_nobody())
}

/// The name by which a stanza itself names somebody, without a device: the same at every delivery.
fn by(jid: Option<&Jid>) -> String {
    jid.map(|jid| jid.to_non_ad().to_string()).unwrap_or_default()
}

/// Adds to the account's own name the other one.
fn with_own(person: Person, own: &Person) -> Person {
    if person.is_same_as(own) == Some(true) {
        own.clone()
    } else {
        person
    }
}

#[cfg(test)]
mod tests;
