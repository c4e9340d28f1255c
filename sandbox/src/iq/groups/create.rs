//! `<create>`

use wacore_binary::Node;

use super::{Question, edit, jids, text};
use crate::error::{Error, Result};
use crate::groups::create::{Draft, create as make};
use crate::groups::info::Setting;
use crate::groups::{Settings, view};
use crate::iq::unknown;
use crate::store::Unit;
use crate::wire;

/// Answers the group as it is, and who could not be added.
pub(super) fn create(unit: &mut Unit<'_>, question: &Question<'_>) -> Result<Node> {
    // Communities are no part of this network.
    if ["parent", "linked_parent"]
        .iter()
        .any(|tag| question.child.get_optional_child(tag).is_some())
    {
        return Ok(unknown(question.node));
    }
    let draft = draft(question.child)?;
    let (group, changes) = make(unit, &question.asker, draft)?;
    Ok(question.result(view::created(unit, &group, &changes)?))
}

fn draft(create: &Node) -> Result<Draft> {
    let mut settings = Settings {
        members_add: true,
        ..Settings::default()
    };
    for child in wire::children(create) {
        match edit::setting(child)? {
            Some(Setting::Locked(on)) => settings.locked = on,
            Some(Setting::Announcement(on)) => settings.announcement = on,
            Some(Setting::Approval(on)) => settings.approval = on,
            Some(Setting::MembersAdd(on)) => settings.members_add = on,
            Some(Setting::Ephemeral(seconds, trigger)) => {
                settings.ephemeral = seconds;
                settings.ephemeral_trigger = trigger.filter(|_| seconds > 0);
            }
            None if child.tag == "member_link_mode" => {
                settings.members_link = text(child)? == "all_member_link";
            }
            None => {}
        }
    }
    let description = match create.get_optional_child("description") {
        Some(description) => {
            let id = wire::attr(description, "id")
                .ok_or_else(|| Error::Invalid("a description without an id".into()))?;
            let body = description
                .get_optional_child("body")
                .ok_or_else(|| Error::Invalid("a description without a body".into()))?;
            Some((id.into_owned(), text(body)?))
        }
        None => None,
    };
    Ok(Draft {
        subject: wire::attr(create, "subject").unwrap_or_default().into_owned(),
        participants: jids(create)?,
        description,
        settings,
    })
}
