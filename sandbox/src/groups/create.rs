//! Making a group.

use rand::RngExt as _;
use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;

use super::members::{self, Role};
use super::participants::{self, Change};
use super::record::{self, Description, Group, Settings};
use super::{announce, info, view};
use crate::directory::{Account, Family};
use crate::error::{Error, Result};
use crate::store::Unit;

/// The first digits of a group's id, as on the real network.
const ID_PREFIX: &str = "120363";

/// A group as its creator wants it.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// May be empty: a group needs no subject at first.
    pub(crate) subject: String,
    /// Those to be in it besides the creator.
    pub(crate) participants: Vec<Jid>,
    /// The description's id and text.
    pub(crate) description: Option<(String, String)>,
    pub(crate) settings: Settings,
}

/// Makes a group with `creator` and the people of the draft who can be added; answers the outcome for each.
///
/// # Errors
/// [`Error::Refused`] (406) for a subject or description that is too long, [`Error::Invalid`] for more people than a
/// group may have.
pub(crate) fn create(unit: &mut Unit<'_>, creator: &Account, draft: Draft) -> Result<(Group, Vec<Change>)> {
    if !draft.subject.is_empty() {
        info::check_subject(&draft.subject)?;
    }
    if draft.participants.len() >= super::MAX_MEMBERS {
        return Err(Error::Invalid(format!(
            "a group has up to {} participants",
            super::MAX_MEMBERS
        )));
    }
    info::check_timer(draft.settings.ephemeral, draft.settings.ephemeral_trigger)?;
    let now = unit.now_secs();
    let version = record::next_version(unit, 0);
    let description = match draft.description {
        Some((id, text)) => {
            info::check_description(&text)?;
            Some(Description {
                text,
                id,
                owner: creator.phone.clone(),
                at: now,
            })
        }
        None => None,
    };
    let group = Group {
        id: free_id(unit)?,
        addressing: Family::Lid,
        creator: creator.phone.clone(),
        created_at: now,
        subject: draft.subject,
        subject_owner: creator.phone.clone(),
        subject_at: now,
        description,
        settings: draft.settings,
        participants_version: version,
        admins_version: version,
    };
    record::save(unit, &group)?;
    members::insert(unit, &group.id, &creator.phone, Role::Superadmin)?;
    let changes = participants::admit(unit, creator, &group, &draft.participants)?;
    let change = NodeBuilder::new("create")
        .attr("type", "new")
        .children([view::group(unit, &group, view::Extent::FULL)?])
        .build();
    announce::to_members(unit, &group, creator, change)?;
    Ok((group, changes))
}

fn free_id(unit: &Unit<'_>) -> Result<String> {
    loop {
        let id = format!(
            "{ID_PREFIX}{:012}",
            rand::rng().random_range(0_u64..1_000_000_000_000)
        );
        if record::by_id(unit, &id)?.is_none() {
            return Ok(id);
        }
    }
}
