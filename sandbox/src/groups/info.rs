//! Changing a group's subject, description and settings.

use rand::RngExt as _;
use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;

use super::record::{self, Description, Group};
use super::{announce, enter_as_admin, may_edit_info, view};
use crate::directory::Account;
use crate::error::{Error, Result};
use crate::store::Unit;

/// The longest timer, by which clients check what they are told.
const MAX_EPHEMERAL: u32 = i32::MAX.unsigned_abs();

/// The largest source of a timer that clients know.
const MAX_TRIGGER: u32 = 20;

/// Refuses what is no subject: 1 to 100 characters.
pub(super) fn check_subject(subject: &str) -> Result<()> {
    if (1..=super::MAX_SUBJECT).contains(&subject.chars().count()) {
        Ok(())
    } else {
        Err(Error::not_acceptable("a subject has 1 to 100 characters"))
    }
}

/// Refuses what is no description: 1 to 2,048 characters.
pub(super) fn check_description(text: &str) -> Result<()> {
    if (1..=super::MAX_DESCRIPTION).contains(&text.chars().count()) {
        Ok(())
    } else {
        Err(Error::not_acceptable("a description has 1 to 2048 characters"))
    }
}

/// Refuses a timer, or a source of one, that clients would not take.
pub(super) fn check_timer(seconds: u32, trigger: Option<u32>) -> Result<()> {
    if seconds <= MAX_EPHEMERAL && trigger.is_none_or(|trigger| trigger <= MAX_TRIGGER) {
        Ok(())
    } else {
        Err(Error::Invalid("the timer or its trigger is out of range".into()))
    }
}

/// Gives the group another subject.
pub(crate) fn set_subject(unit: &mut Unit<'_>, author: &Account, group: &Jid, subject: String) -> Result<()> {
    let mut group = may_edit_info(unit, group, author)?;
    check_subject(&subject)?;
    group.subject = subject;
    group.subject_owner.clone_from(&author.phone);
    group.subject_at = unit.now_secs();
    record::save(unit, &group)?;
    let change = NodeBuilder::new("subject")
        .attr("subject", group.subject.as_str())
        .attr("s_t", group.subject_at);
    let change = view::by_both(change, &group, author, view::SUBJECT_OWNER).build();
    announce::to_members(unit, &group, author, change)
}

/// A new id of a description, in the form that clients give: eight hex digits.
pub(crate) fn new_id() -> String {
    format!("{:08X}", rand::rng().random::<u32>())
}

/// A change of description: its id, the id of the one that it replaces, and the text; without a text it is removed.
#[derive(Debug, Clone)]
pub(crate) struct Redescription {
    pub(crate) id: String,
    pub(crate) previous: Option<String>,
    pub(crate) text: Option<String>,
}

/// Gives the group another description, or none.
///
/// # Errors
/// [`Error::Conflict`] where the group has another description than the one to be replaced.
pub(crate) fn set_description(
    unit: &mut Unit<'_>,
    author: &Account,
    group: &Jid,
    change: Redescription,
) -> Result<()> {
    let mut group = may_edit_info(unit, group, author)?;
    let current = group.description.as_ref().map(|description| &description.id);
    if current != change.previous.as_ref() {
        return Err(Error::Conflict("the description has changed meanwhile".into()));
    }
    let node = NodeBuilder::new("description").attr("id", change.id.as_str());
    let node = if let Some(text) = change.text {
        check_description(&text)?;
        let node = node.children([view::body(&text)]).build();
        group.description = Some(Description {
            text,
            id: change.id,
            owner: author.phone.clone(),
            at: unit.now_secs(),
        });
        node
    } else {
        group.description = None;
        node.children([NodeBuilder::new("delete").build()]).build()
    };
    record::save(unit, &group)?;
    announce::to_members(unit, &group, author, node)
}

/// A setting and its new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Only admins edit the info.
    Locked(bool),
    /// Only admins write.
    Announcement(bool),
    /// Admins decide who joins.
    Approval(bool),
    /// Every member may add others.
    MembersAdd(bool),
    /// Seconds until messages disappear, 0 for never, and what set the timer.
    Ephemeral(u32, Option<u32>),
}

/// Changes a setting. The timer is part of the group's info, all else is the admins' alone.
pub(crate) fn set(unit: &mut Unit<'_>, author: &Account, group: &Jid, setting: Setting) -> Result<()> {
    let mut group = match setting {
        Setting::Ephemeral(..) => may_edit_info(unit, group, author)?,
        _ => enter_as_admin(unit, group, author)?,
    };
    let node = match setting {
        Setting::Locked(on) => {
            group.settings.locked = on;
            NodeBuilder::new(if on { "locked" } else { "unlocked" }).build()
        }
        Setting::Announcement(on) => {
            group.settings.announcement = on;
            versioned(
                unit,
                &mut group,
                if on { "announcement" } else { "not_announcement" },
            )
            .build()
        }
        Setting::Approval(on) => {
            group.settings.approval = on;
            view::approval_mode(on)
        }
        Setting::MembersAdd(on) => {
            group.settings.members_add = on;
            view::text("member_add_mode", group.settings.member_add_mode())
        }
        Setting::Ephemeral(seconds, trigger) => {
            check_timer(seconds, trigger)?;
            group.settings.ephemeral = seconds;
            group.settings.ephemeral_trigger = trigger.filter(|_| seconds > 0);
            view::ephemeral(&group)
        }
    };
    record::save(unit, &group)?;
    announce::to_members(unit, &group, author, node)
}

/// A change of who may write or of who is an admin, with the versions before and after it.
pub(super) fn versioned(unit: &Unit<'_>, group: &mut Group, tag: &'static str) -> NodeBuilder {
    let former = group.admins_version;
    group.admins_version = record::next_version(unit, former);
    NodeBuilder::new(tag)
        .attr("v_id", group.admins_version.to_string())
        .attr("prev_v_id", former.to_string())
}
