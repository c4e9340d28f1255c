//! What people change about themselves, and what the account's own phone changes about them.

use shared::domain::event::{
    ContactChanges, ContactUpdated, Data, MAX_ABOUT, MAX_CONTACT_WORDS, NumberChange, PictureChange, Words,
};
use shared::domain::person::Person;
use wacore::types::events::ContactUpdate;
use wacore_binary::{Jid, NodeRef};

use super::{Head, by, person, picture_change, text, words};
use crate::notice::Notice;
use crate::whatsapp::people;

/// Most people that one change of a block list names.
const MAX_BLOCKED: usize = 256;

/// `<notification type="picture">` of a person.
pub fn picture(stanza: &NodeRef<'_>, from: &Jid, head: &Head<'_>) -> Option<Notice> {
    let (is_set, id) = picture_change(stanza)?;
    let picture = if is_set {
        PictureChange::Changed
    } else {
        PictureChange::Removed
    };
    let changes = ContactChanges {
        picture: Some(picture),
        ..ContactChanges::default()
    };
    let mut notice = of(from, people::person([from]), head, changes)?;
    if let Some(id) = id {
        notice.key = format!("picture/{id}");
    }
    Some(notice)
}

/// `<notification type="status">`: what a person says of themselves.
pub fn about(stanza: &NodeRef<'_>, from: &Jid, head: &Head<'_>) -> Option<Notice> {
    let set = stanza.get_optional_child("set")?;
    let (about, is_whole) = Words::within(&words(set), MAX_ABOUT);
    let changes = ContactChanges {
        about: Some(about),
        ..ContactChanges::default()
    };
    let mut notice = of(from, people::person([from]), head, changes)?;
    if let Data::ContactUpdated(data) = &mut notice.data {
        data.truncated = !is_whole;
    }
    Some(notice)
}

/// `<notification type="contacts"><modify>`: a person has another number.
pub fn number(stanza: &NodeRef<'_>, head: &Head<'_>) -> Option<Notice> {
    let modify = stanza.get_optional_child("modify")?;
    let to = person(modify, &["new", "new_lid"])?;
    let from = person(modify, &["old", "old_lid"])?;
    let jid = modify.attrs().optional_jid("new")?;
    let changes = ContactChanges {
        number: Some(NumberChange { from, to: to.clone() }),
        ..ContactChanges::default()
    };
    of(&jid, to, head, changes)
}

/// `<notification type="account_sync"><blocklist>`: the account has blocked people on another of its devices, or blocks them
/// no longer.
pub fn blocked(stanza: &NodeRef<'_>, head: &Head<'_>) -> Vec<Notice> {
    let Some(list) = stanza.get_optional_child("blocklist") else {
        return Vec::new();
    };
    let items = list.get_children_by_tag("item").take(MAX_BLOCKED).enumerate();
    let told = items.filter_map(|(place, item)| {
        let blocked = match text(item, "action")?.as_str() {
            "block" => true,
            "unblock" => false,
            _ => return None,
        };
        let jid = item.attrs().optional_jid("jid")?;
        let changes = ContactChanges {
            blocked: Some(blocked),
            ..ContactChanges::default()
        };
        let contact = person(item, &["jid", "pn_jid", "lid_jid"])?;
        let notice = of(&jid, contact, head, changes)?;
        Some(Notice {
            key: format!("{}/{place}", head.id),
            ..notice
        })
    });
    told.collect()
}

/// The phone's address book names somebody otherwise.
pub fn saved(update: &ContactUpdate) -> Option<Notice> {
    let action = &update.action;
    let other = [&action.lid_jid, &action.pn_jid];
    let other = other
        .into_iter()
        .flatten()
        .filter_map(|jid| jid.parse::<Jid>().ok());
    let jids: Vec<Jid> = other.chain([update.jid.clone()]).collect();
    let shortened =
        |name: &Option<String>| Words::within(name.as_deref().unwrap_or_default(), MAX_CONTACT_WORDS);
    let (name, is_whole) = shortened(&action.full_name);
    let (first_name, is_whole_too) = shortened(&action.first_name);
    let head = Head {
        at: update.timestamp,
        id: format!("book/{}", update.timestamp.timestamp_millis()),
        own: &Person::default(),
    };
    let changes = ContactChanges {
        name: Some(name),
        first_name: Some(first_name),
        ..ContactChanges::default()
    };
    let mut notice = of(&update.jid, people::person(&jids), &head, changes)?;
    if let Data::ContactUpdated(data) = &mut notice.data {
        data.truncated = !(is_whole && is_whole_too);
    }
    Some(notice)
}

/// A notice of a person; `None` of what is none, and of the account itself.
fn of(jid: &Jid, contact: Person, head: &Head<'_>, changes: ContactChanges) -> Option<Notice> {
    let chat = people::chat_or_other_name(jid, &contact).filter(|chat| chat.group().is_none())?;
    if contact.is_same_as(head.own) == Some(true) {
        return None;
    }
    Some(Notice {
        chat,
        by: by(Some(jid)),
        key: head.id.clone(),
        at: head.at,
        data: Data::ContactUpdated(Box::new(ContactUpdated {
            contact,
            changes,
            truncated: false,
        })),
    })
}
