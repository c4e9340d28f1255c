//! `<call>`: somebody calls. Told is the offer alone, and not what becomes of the call.

use chrono::{DateTime, Utc};
use shared::domain::event::{CallReceived, Data, MAX_CALL_ID, MAX_CONTACT_WORDS, Words};
use shared::domain::person::Person;
use wacore_binary::{Jid, NodeRef};

use super::{by, person, text};
use crate::notice::Notice;
use crate::whatsapp::people;

/// An offer. One that waited for the session, by the attribute `offline`, does not ring any more.
pub fn offer(stanza: &NodeRef<'_>, from: &Jid, at: DateTime<Utc>, own: &Person) -> Option<Notice> {
    let children = stanza.children()?;
    let offer = children
        .iter()
        .find(|child| matches!(child.tag.as_ref(), "offer" | "offer_notice"))?;
    let id = text(offer, "call-id").filter(|id| id.len() <= MAX_CALL_ID)?;
    let creator = offer.attrs().optional_jid("call-creator");
    let names = person(offer, &["call-creator", "caller_pn", "caller_lid"]);
    let caller = names.unwrap_or_else(|| people::person([from]));
    let jid = creator.as_ref().unwrap_or(from);
    let chat = people::chat_or_other_name(jid, &caller).filter(|chat| chat.group().is_none())?;
    // The account itself calls, from another device.
    if caller.is_same_as(own) == Some(true) {
        return None;
    }
    let group = offer.attrs().optional_jid("group-jid");
    let group = group.as_ref().and_then(people::chat).map(|group| group.to_jid());
    let is_of_group = text(offer, "type").as_deref() == Some("group");
    let has_video = offer.get_optional_child("video").is_some();
    let push_name = text(stanza, "notify").map(|name| Words::within(&name, MAX_CONTACT_WORDS).0);
    Some(Notice {
        chat,
        by: by(Some(jid)),
        key: format!("call/{id}"),
        at,
        data: Data::CallReceived(Box::new(CallReceived {
            id,
            from: caller,
            push_name: push_name.and_then(|name| name.0),
            is_group: group.is_some() || is_of_group,
            group,
            is_video: has_video || text(offer, "media").as_deref() == Some("video"),
            missed: stanza.get_attr("offline").is_some(),
            timestamp: at,
        })),
    })
}
