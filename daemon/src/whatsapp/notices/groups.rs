//! `<notification type="w:gp2">`: what somebody has changed about a group, a child for each change. And its picture, which
//! is told otherwise.

use chrono::{DateTime, Utc};
use shared::domain::event::{
    Data, GroupChanges, GroupParticipants, GroupUpdated, InviteLinkChange, JoinReason, MAX_DESCRIPTION,
    MAX_PARTICIPANTS, MAX_SUBJECT, ParticipantsAction, PictureChange, Words,
};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use wacore_binary::{Jid, NodeRef};

use super::{Head, by, person, picture_change, text, with_own, words};
use crate::notice::Notice;
use crate::whatsapp::people;

/// The attributes that name who did it.
const AUTHOR: [&str; 3] = ["participant", "participant_pn", "participant_lid"];

/// The attributes that name a member.
const MEMBER: [&str; 3] = ["jid", "phone_number", "lid"];

/// A group's notices. Each has its place among the stanza's children in its key.
pub fn changes(stanza: &NodeRef<'_>, from: &Jid, head: &Head<'_>) -> Vec<Notice> {
    let Some(group @ Recipient::Group(_)) = people::chat(from) else {
        return Vec::new();
    };
    let author = person(stanza, &AUTHOR).map(|author| with_own(author, head.own));
    let named = by(stanza.attrs().optional_jid("participant").as_ref());
    let children = stanza.children().unwrap_or_default();
    let told = children.iter().enumerate().filter_map(|(place, child)| {
        let data = change(child, &group, author.as_ref(), head.own)?;
        Some(Notice {
            chat: group.clone(),
            by: named.clone(),
            key: format!("{}/{place}", head.id),
            at: head.at,
            data,
        })
    });
    told.collect()
}

/// What one child tells.
fn change(child: &NodeRef<'_>, group: &Recipient, author: Option<&Person>, own: &Person) -> Option<Data> {
    if let Some(data) = coming_and_going(child, group, author, own) {
        return Some(data);
    }
    let mut truncated = false;
    let mut shortened = |text: &str, most: usize| {
        let (words, is_whole) = Words::within(text, most);
        truncated |= !is_whole;
        Some(words)
    };
    let mut changes = GroupChanges::default();
    match child.tag.as_ref() {
        "subject" => changes.subject = shortened(&text(child, "subject").unwrap_or_default(), MAX_SUBJECT),
        "description" => {
            let body = child.get_optional_child("body").map(words);
            if body.is_none() && child.get_optional_child("delete").is_none() {
                return None;
            }
            changes.description = shortened(&body.unwrap_or_default(), MAX_DESCRIPTION);
        }
        "announcement" => changes.announce = Some(true),
        "not_announcement" => changes.announce = Some(false),
        "locked" => changes.locked = Some(true),
        "unlocked" => changes.locked = Some(false),
        "not_ephemeral" => changes.ephemeral_seconds = Some(0),
        "ephemeral" => {
            let seconds = child.attrs().optional_u64("expiration")?;
            changes.ephemeral_seconds = Some(u32::try_from(seconds).ok()?);
        }
        "membership_approval_mode" => {
            let state = child.get_optional_child("group_join")?;
            changes.join_approval = Some(text(state, "state")? == "on");
        }
        "member_add_mode" => changes.members_add = Some(words(child) == "all_member_add"),
        // The new link, or that the former one is void.
        "invite" | "revoke" => changes.invite_link = Some(InviteLinkChange::Revoked),
        _ => return None,
    }
    Some(Data::GroupUpdated(Box::new(GroupUpdated {
        group: group.to_jid(),
        by: author.cloned(),
        changes,
        truncated,
    })))
}

fn coming_and_going(
    child: &NodeRef<'_>,
    group: &Recipient,
    author: Option<&Person>,
    own: &Person,
) -> Option<Data> {
    let listed = child.get_children_by_tag("participant");
    let people: Vec<Person> = listed
        .filter_map(|member| person(member, &MEMBER))
        .map(|member| with_own(member, own))
        .take(MAX_PARTICIPANTS + 1)
        .collect();
    let are_themselves = |people: &[Person]| match (author, people) {
        (Some(author), [one]) => author.is_same_as(one) == Some(true),
        _ => false,
    };
    let reason = join_reason(child);
    let (action, reason, mut people) = match child.tag.as_ref() {
        "add" if reason == Some(JoinReason::InviteLink) || are_themselves(&people) => {
            (ParticipantsAction::Joined, reason, people)
        }
        "add" => (ParticipantsAction::Added, reason, people),
        "remove" if are_themselves(&people) => (ParticipantsAction::Left, None, people),
        "remove" => (ParticipantsAction::Removed, None, people),
        "promote" => (ParticipantsAction::Promoted, None, people),
        "demote" => (ParticipantsAction::Demoted, None, people),
        // What the account itself is told when it comes into a group.
        "create" => {
            let is_new = text(child, "type").as_deref() == Some("new");
            let reason = reason.or(is_new.then_some(JoinReason::Created));
            let own = vec![own.clone()];
            let action = if reason == Some(JoinReason::InviteLink) || are_themselves(&own) {
                ParticipantsAction::Joined
            } else {
                ParticipantsAction::Added
            };
            (action, reason, own)
        }
        _ => return None,
    };
    if people.iter().all(Person::is_nobody) {
        return None;
    }
    let truncated = people.len() > MAX_PARTICIPANTS;
    people.truncate(MAX_PARTICIPANTS);
    Some(Data::GroupParticipants(Box::new(GroupParticipants {
        group: group.to_jid(),
        action,
        reason,
        by: author.cloned(),
        participants: people,
        truncated,
    })))
}

fn join_reason(child: &NodeRef<'_>) -> Option<JoinReason> {
    match text(child, "reason")?.as_str() {
        "invite" => Some(JoinReason::InviteLink),
        "linked_group_join" | "default_sub_group_admin_add" | "auto_add" => Some(JoinReason::Community),
        _ => None,
    }
}

/// Somebody has changed a group's picture.
pub fn picture(stanza: &NodeRef<'_>, from: &Jid, head: &Head<'_>) -> Option<Notice> {
    let group = people::chat(from)?;
    let (is_set, id) = picture_change(stanza)?;
    let child = stanza.children().and_then(<[_]>::first);
    let author = child.and_then(|child| person(child, &["author"]));
    let author = author.or_else(|| person(stanza, &AUTHOR));
    let author = author.map(|author| with_own(author, head.own));
    Some(match id.filter(|_| is_set) {
        Some(id) => with_picture(&group, author, &id, head.at),
        None => Notice {
            key: head.id.clone(),
            ..told_picture(&group, author, is_set, head.at)
        },
    })
}

/// The account itself has changed a group's picture. Whether WhatsApp tells that to the device that did it is not known: if it
/// does, it is the same notice.
pub fn own_picture(group: &Recipient, own: Person, id: Option<&str>, now: DateTime<Utc>) -> Notice {
    match id {
        Some(id) => with_picture(group, Some(own), id, now),
        None => Notice {
            key: "picture".to_owned(),
            ..told_picture(group, Some(own), false, now)
        },
    }
}

/// A new picture is known by its id, which is mostly the second in which it was made.
fn with_picture(group: &Recipient, author: Option<Person>, id: &str, at: DateTime<Utc>) -> Notice {
    let made = id
        .parse()
        .ok()
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let made = made.filter(|made| (*made - at).abs() < chrono::TimeDelta::days(1));
    Notice {
        key: format!("picture/{id}"),
        ..told_picture(group, author, true, made.unwrap_or(at))
    }
}

fn told_picture(group: &Recipient, author: Option<Person>, is_set: bool, at: DateTime<Utc>) -> Notice {
    let picture = if is_set {
        PictureChange::Changed
    } else {
        PictureChange::Removed
    };
    Notice {
        chat: group.clone(),
        by: String::new(),
        key: String::new(),
        at,
        data: Data::GroupUpdated(Box::new(GroupUpdated {
            group: group.to_jid(),
            by: author,
            changes: GroupChanges {
                picture: Some(picture),
                ..GroupChanges::default()
            },
            truncated: false,
        })),
    }
}
