//! Requests to be let in, on which the admins decide.

use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;

use super::participants::{Change, Verdict};
use super::record::Group;
use super::{announce, enter_as_admin, invites, view};
use crate::directory::{self, Account};
use crate::error::{Error, Result};
use crate::store::Unit;

/// Requests that may wait in one group.
const MAX_REQUESTS: usize = 1_024;

/// What an admin, or who asked, makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Approve,
    Reject,
}

/// Somebody asks to be let in.
///
/// # Errors
/// [`Error::Conflict`] for those who have asked already, [`Error::Refused`] (419) where too many wait.
pub(super) fn ask(unit: &mut Unit<'_>, account: &Account, group: &Group) -> Result<()> {
    if waits(unit, group, account)? {
        return Err(Error::Conflict("the request waits for the admins already".into()));
    }
    if list_of(unit, group)?.len() >= MAX_REQUESTS {
        return Err(Error::full("too many requests wait in this group"));
    }
    unit.execute(
        "INSERT INTO group_requests (group_id, phone, requested_at) VALUES (?1, ?2, ?3)",
        (&group.id, &account.phone, unit.now_secs()),
    )?;
    let user = view::named(NodeBuilder::new("requested_user"), group, account).build();
    let change = NodeBuilder::new("created_membership_requests")
        .attr("request_method", "invite_link")
        .children([user])
        .build();
    announce::to_admins(unit, group, account, change)
}

fn waits(unit: &Unit<'_>, group: &Group, account: &Account) -> Result<bool> {
    Ok(unit
        .prepare("SELECT 1 FROM group_requests WHERE group_id = ?1 AND phone = ?2")?
        .exists((&group.id, &account.phone))?)
}

/// Those who wait, oldest first, with the Unix seconds at which they asked. For admins.
pub(crate) fn list(unit: &Unit<'_>, asker: &Account, group: &Jid) -> Result<(Group, Vec<(Account, i64)>)> {
    let group = enter_as_admin(unit, group, asker)?;
    let requests = list_of(unit, &group)?;
    Ok((group, requests))
}

fn list_of(unit: &Unit<'_>, group: &Group) -> Result<Vec<(Account, i64)>> {
    let rows: Vec<(String, i64)> = unit
        .prepare(
            "SELECT phone, requested_at FROM group_requests WHERE group_id = ?1 ORDER BY requested_at, phone",
        )?
        .query_map([&group.id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    rows.into_iter()
        .map(|(phone, at)| Ok((directory::require(unit, &phone)?, at)))
        .collect()
}

/// Admins decide. A request that is not there gets a 404, one that finds the group full a 419.
pub(crate) fn decide(
    unit: &mut Unit<'_>,
    actor: &Account,
    group: &Jid,
    (jids, decision): (&[Jid], Decision),
) -> Result<(Group, Vec<Change>)> {
    let mut group = enter_as_admin(unit, group, actor)?;
    let mut changes = Vec::with_capacity(jids.len());
    for jid in jids {
        let account = directory::resolve(unit, jid)?;
        let verdict = match &account {
            Some(account) if waits(unit, &group, account)? => match decision {
                Decision::Approve => approve(unit, actor, &mut group, account)?,
                Decision::Reject => {
                    withdraw(unit, actor, &group, account)?;
                    Verdict::Done
                }
            },
            _ => Verdict::Refused(404),
        };
        changes.push(Change {
            jid: jid.clone(),
            account,
            verdict,
        });
    }
    Ok((group, changes))
}

fn approve(unit: &mut Unit<'_>, actor: &Account, group: &mut Group, account: &Account) -> Result<Verdict> {
    match invites::come_in(unit, account, (group, actor)) {
        Ok(()) => Ok(Verdict::Done),
        Err(Error::Refused { code, .. }) => Ok(Verdict::Refused(code)),
        Err(error) => Err(error),
    }
}

/// Who asked takes it back.
pub(crate) fn cancel(unit: &mut Unit<'_>, account: &Account, group: &Jid) -> Result<Group> {
    let group = super::require(unit, group)?;
    if !waits(unit, &group, account)? {
        return Err(Error::NotFound("there is no such request".into()));
    }
    withdraw(unit, account, &group, account)?;
    Ok(group)
}

/// Ends a request; the admins hear of it, and who asked.
fn withdraw(unit: &mut Unit<'_>, author: &Account, group: &Group, account: &Account) -> Result<()> {
    unit.execute(
        "DELETE FROM group_requests WHERE group_id = ?1 AND phone = ?2",
        (&group.id, &account.phone),
    )?;
    let change = NodeBuilder::new("revoked_membership_requests")
        .children(view::participants(group, [account]))
        .build();
    announce::to(unit, group, author, std::slice::from_ref(account), change.clone())?;
    announce::to_admins(unit, group, author, change)
}
