//! Invite links: a code with which everybody can look at a group and join it.

use rand::RngExt as _;
use rand::distr::Alphanumeric;
use rusqlite::OptionalExtension as _;
use wacore_binary::Jid;

use super::members::{self, Role};
use super::record::{self, Group};
use super::{announce, enter, participants, requests};
use crate::directory::Account;
use crate::error::{Error, Result};
use crate::store::Unit;

/// The length of a code.
const CODE: usize = 22;

/// Former codes of one group that are remembered as such.
const FORMER_CODES: i64 = 100;

/// What came of following a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Joined {
    /// In the group.
    Member(Group),
    /// The admins have to decide.
    Requested(Group),
}

/// The group's code, made at the first question. For admins, and for members where the group lets them.
///
/// # Errors
/// [`Error::Refused`] (401) for those who have no right to it.
pub(crate) fn code(unit: &Unit<'_>, asker: &Account, group: &Jid) -> Result<String> {
    let (group, role) = enter(unit, group, asker)?;
    if !role.is_admin() && !group.settings.members_link {
        return Err(Error::not_authorized("only admins see the invite link"));
    }
    match current(unit, &group)? {
        Some(code) => Ok(code),
        None => renew(unit, &group),
    }
}

/// Gives the group a new code; the former one is void.
///
/// # Errors
/// [`Error::Refused`] (401) for those who are no admins.
pub(crate) fn reset(unit: &mut Unit<'_>, author: &Account, group: &Jid) -> Result<String> {
    let (group, role) = enter(unit, group, author)?;
    if !role.is_admin() {
        return Err(Error::not_authorized("only admins reset the invite link"));
    }
    if let Some(former) = current(unit, &group)? {
        unit.execute(
            "INSERT INTO group_former_codes (code, group_id) VALUES (?1, ?2)",
            (&former, &group.id),
        )?;
        unit.execute(
            "DELETE FROM group_former_codes WHERE group_id = ?1 AND seq NOT IN
             (SELECT seq FROM group_former_codes WHERE group_id = ?1 ORDER BY seq DESC LIMIT ?2)",
            (&group.id, FORMER_CODES),
        )?;
    }
    let code = renew(unit, &group)?;
    let change = wacore_binary::builder::NodeBuilder::new("invite")
        .attr("code", code.as_str())
        .build();
    announce::to_admins(unit, &group, author, change)?;
    Ok(code)
}

fn current(unit: &Unit<'_>, group: &Group) -> Result<Option<String>> {
    Ok(unit
        .prepare("SELECT invite_code FROM groups WHERE id = ?1")?
        .query_row([&group.id], |row| row.get(0))?)
}

fn renew(unit: &Unit<'_>, group: &Group) -> Result<String> {
    let code: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(CODE)
        .map(char::from)
        .collect();
    unit.execute(
        "UPDATE groups SET invite_code = ?2 WHERE id = ?1",
        (&group.id, &code),
    )?;
    Ok(code)
}

/// The group that a code leads to.
///
/// # Errors
/// [`Error::Refused`]: 406 for what is no code, 410 for one that was reset; [`Error::NotFound`] for others.
pub(crate) fn group(unit: &Unit<'_>, code: &str) -> Result<Group> {
    if code.len() != CODE || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::not_acceptable("this is no invite code"));
    }
    let id: Option<String> = unit
        .prepare("SELECT id FROM groups WHERE invite_code = ?1")?
        .query_row([code], |row| row.get(0))
        .optional()?;
    if let Some(id) = id
        && let Some(group) = record::by_id(unit, &id)?
    {
        return Ok(group);
    }
    let former = unit
        .prepare("SELECT 1 FROM group_former_codes WHERE code = ?1")?
        .exists([code])?;
    Err(if former {
        Error::gone("this invite link was reset")
    } else {
        Error::NotFound("no group has this invite code".into())
    })
}

/// Joins by a code, or asks to be let in where the admins decide.
///
/// # Errors
/// As [`group`]; [`Error::Conflict`] for those who are in, or have asked; [`Error::Refused`] (419) for a full group.
pub(crate) fn join(unit: &mut Unit<'_>, account: &Account, code: &str) -> Result<Joined> {
    let mut group = group(unit, code)?;
    if members::role(unit, &group.id, &account.phone)?.is_some() {
        return Err(Error::Conflict("already in this group".into()));
    }
    if group.settings.approval {
        requests::ask(unit, account, &group)?;
        return Ok(Joined::Requested(group));
    }
    come_in(unit, account, (&mut group, account))?;
    Ok(Joined::Member(group))
}

/// Lets somebody in who came by themselves; `author` opened the door.
///
/// # Errors
/// [`Error::Refused`] (419) for a full group.
pub(super) fn come_in(
    unit: &mut Unit<'_>,
    account: &Account,
    (group, author): (&mut Group, &Account),
) -> Result<()> {
    if members::count(unit, &group.id)? >= super::MAX_MEMBERS {
        return Err(Error::full("the group is full"));
    }
    members::insert(unit, &group.id, &account.phone, Role::Member)?;
    let newcomers = std::slice::from_ref(account);
    participants::welcome(unit, author, group, (newcomers, Some("invite")))
}
