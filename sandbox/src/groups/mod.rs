//! Groups: what they are, who is in them, and who may do what.
//!
//! The acts here are the network's rules on accounts and groups. Clients reach them through `iq::groups`, phones
//! through `script`; both get the same refusals. Every act stores what it changes and queues the
//! notifications for all who are in the group, in one unit.

pub(crate) mod announce;
pub(crate) mod create;
pub(crate) mod info;
pub(crate) mod invitations;
pub(crate) mod invites;
pub(crate) mod members;
pub(crate) mod participants;
mod record;
pub(crate) mod requests;
pub(crate) mod view;

use wacore_binary::Jid;

pub use members::Role;
pub(crate) use members::{Member, members, role};
pub(crate) use record::{Group, Settings, find};

use crate::directory::Account;
use crate::error::{Error, Result};
use crate::store::Unit;

/// The most members of one group.
pub(crate) const MAX_MEMBERS: usize = 1_024;

/// The longest subject, in characters.
pub(crate) const MAX_SUBJECT: usize = 100;

/// The longest description, in characters.
pub(crate) const MAX_DESCRIPTION: usize = 2_048;

/// The group that `jid` names, or [`Error::NotFound`].
pub(crate) fn require(unit: &Unit<'_>, jid: &Jid) -> Result<Group> {
    find(unit, jid)?.ok_or_else(|| Error::NotFound("there is no such group".into()))
}

/// The group that `jid` names and the place of `account` in it.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Refused`] (403) for those who are not in it.
pub(crate) fn enter(unit: &Unit<'_>, jid: &Jid, account: &Account) -> Result<(Group, Role)> {
    let group = require(unit, jid)?;
    let role = role(unit, &group.id, &account.phone)?
        .ok_or_else(|| Error::forbidden("only members of the group may do this"))?;
    Ok((group, role))
}

/// The same for what admins alone may do.
pub(crate) fn enter_as_admin(unit: &Unit<'_>, jid: &Jid, account: &Account) -> Result<Group> {
    let (group, role) = enter(unit, jid, account)?;
    if role.is_admin() {
        Ok(group)
    } else {
        Err(Error::forbidden("only admins of the group may do this"))
    }
}

/// The group whose subject, description, timer or picture `account` may change.
///
/// # Errors
/// [`Error::NotFound`] where there is no such group, [`Error::Refused`] (403) for those who are not in it and, if
/// it is locked, for those who are no admins.
pub(crate) fn may_edit_info(unit: &Unit<'_>, jid: &Jid, account: &Account) -> Result<Group> {
    let (group, role) = enter(unit, jid, account)?;
    if group.settings.locked && !role.is_admin() {
        return Err(Error::forbidden("only admins may edit the info of this group"));
    }
    Ok(group)
}
