//! Adding and removing members, leaving, and giving and taking an admin's rights.

use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;

use super::members::{self, Role};
use super::record::{self, Group};
use super::{announce, enter, enter_as_admin, info, invitations, view};
use crate::directory::{self, Account};
use crate::error::{Error, Result};
use crate::people::{blocks, privacy};
use crate::pictures::{self, Owner};
use crate::store::Unit;

/// What became of one of those whom an act named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// As the act named them.
    pub(crate) jid: Jid,
    /// Who that is; `None` for those who are not on the network.
    pub(crate) account: Option<Account>,
    pub(crate) verdict: Verdict,
}

/// The result for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// This person does not let them be added. Whoever tried can pass the invitation on, until its end in Unix
    /// seconds.
    Invited {
        code: String,
        expires_at: i64,
    },
    /// 401: blocked by this person; 404: not on the network, or not in the group; 406: not possible for this person;
    /// 409: so already; 419: the group is full.
    Refused(u16),
}

impl Change {
    fn new(jid: &Jid, account: Option<Account>, verdict: Verdict) -> Self {
        Self {
            jid: jid.clone(),
            account,
            verdict,
        }
    }

    /// The person, if it was done.
    fn done(&self) -> Option<&Account> {
        self.account.as_ref().filter(|_| self.verdict == Verdict::Done)
    }
}

fn all_done(changes: &[Change]) -> Vec<Account> {
    changes.iter().filter_map(Change::done).cloned().collect()
}

/// Adds people. Members may where the group lets them; while admins decide who joins, only they add.
pub(crate) fn add(
    unit: &mut Unit<'_>,
    actor: &Account,
    group: &Jid,
    jids: &[Jid],
) -> Result<(Group, Vec<Change>)> {
    check_number(jids)?;
    let (mut group, role) = enter(unit, group, actor)?;
    let open = group.settings.members_add && !group.settings.approval;
    if !open && !role.is_admin() {
        return Err(Error::forbidden("only admins add members to this group"));
    }
    let changes = admit(unit, actor, &group, jids)?;
    welcome(unit, actor, &mut group, (&all_done(&changes), None))?;
    Ok((group, changes))
}

/// Puts those of `jids` in who can be. Nobody is told yet.
pub(super) fn admit(
    unit: &mut Unit<'_>,
    adder: &Account,
    group: &Group,
    jids: &[Jid],
) -> Result<Vec<Change>> {
    let mut changes = Vec::with_capacity(jids.len());
    for jid in jids {
        let account = directory::resolve(unit, jid)?;
        let verdict = match &account {
            None => Verdict::Refused(404),
            Some(account) if members::role(unit, &group.id, &account.phone)?.is_some() => {
                Verdict::Refused(409)
            }
            Some(account) if blocks::blocks(unit, &account.phone, &adder.phone)? => Verdict::Refused(401),
            Some(_) if members::count(unit, &group.id)? >= super::MAX_MEMBERS => Verdict::Refused(419),
            Some(account) if !privacy::may_add_to_group(unit, &adder.phone, &account.phone)? => {
                invitations::invite(unit, adder, group, account)?
            }
            Some(account) => {
                members::insert(unit, &group.id, &account.phone, Role::Member)?;
                Verdict::Done
            }
        };
        changes.push(Change::new(jid, account, verdict));
    }
    Ok(changes)
}

/// Tells the new members of the group, and the others of the new members. `reason` is `invite` for those who came by
/// themselves.
pub(super) fn welcome(
    unit: &mut Unit<'_>,
    author: &Account,
    group: &mut Group,
    (newcomers, reason): (&[Account], Option<&'static str>),
) -> Result<()> {
    if newcomers.is_empty() {
        return Ok(());
    }
    let add = participants_versioned(unit, group, "add");
    record::save(unit, group)?;
    let add = add.children(view::participants(group, newcomers));
    let create = NodeBuilder::new("create").children([view::group(unit, group, view::Extent::FULL)?]);
    let (add, create) = match reason {
        Some(reason) => (add.attr("reason", reason), create.attr("reason", reason)),
        None => (add, create),
    };
    let others: Vec<Account> = members::members(unit, &group.id)?
        .into_iter()
        .map(|member| member.account)
        .filter(|account| !newcomers.contains(account))
        .collect();
    announce::to(unit, group, author, newcomers, create.build())?;
    announce::to(unit, group, author, &others, add.build())
}

/// Removes people. The group's creator stays, and nobody removes themselves: they leave.
pub(crate) fn remove(
    unit: &mut Unit<'_>,
    actor: &Account,
    group: &Jid,
    jids: &[Jid],
) -> Result<(Group, Vec<Change>)> {
    check_number(jids)?;
    let mut group = enter_as_admin(unit, group, actor)?;
    let mut changes = Vec::with_capacity(jids.len());
    for jid in jids {
        changes.push(each(unit, &group, jid, |unit, account, role| {
            if role == Role::Superadmin || account.phone == actor.phone {
                return Ok(Verdict::Refused(406));
            }
            members::delete(unit, &group.id, &account.phone)?;
            Ok(Verdict::Done)
        })?);
    }
    let gone = all_done(&changes);
    if !gone.is_empty() {
        farewell(unit, actor, &mut group, &gone)?;
    }
    Ok((group, changes))
}

/// Tells the others, and those who are gone.
fn farewell(unit: &mut Unit<'_>, author: &Account, group: &mut Group, gone: &[Account]) -> Result<()> {
    let remove = participants_versioned(unit, group, "remove");
    record::save(unit, group)?;
    let remove = remove.children(view::participants(group, gone)).build();
    announce::to(unit, group, author, gone, remove.clone())?;
    announce::to_members(unit, group, author, remove)
}

/// Makes people admins.
pub(crate) fn promote(
    unit: &mut Unit<'_>,
    actor: &Account,
    group: &Jid,
    jids: &[Jid],
) -> Result<(Group, Vec<Change>)> {
    change_role(unit, actor, group, jids, Role::Admin)
}

/// Makes admins members again. The group's creator stays one.
pub(crate) fn demote(
    unit: &mut Unit<'_>,
    actor: &Account,
    group: &Jid,
    jids: &[Jid],
) -> Result<(Group, Vec<Change>)> {
    change_role(unit, actor, group, jids, Role::Member)
}

fn change_role(
    unit: &mut Unit<'_>,
    actor: &Account,
    group: &Jid,
    jids: &[Jid],
    to: Role,
) -> Result<(Group, Vec<Change>)> {
    check_number(jids)?;
    let mut group = enter_as_admin(unit, group, actor)?;
    let mut changes = Vec::with_capacity(jids.len());
    for jid in jids {
        changes.push(each(unit, &group, jid, |unit, account, role| {
            if role == Role::Superadmin {
                return Ok(Verdict::Refused(406));
            }
            if role == to {
                return Ok(Verdict::Refused(409));
            }
            members::set_role(unit, &group.id, &account.phone, to)?;
            Ok(Verdict::Done)
        })?);
    }
    let done = all_done(&changes);
    if !done.is_empty() {
        tell_role(unit, actor, &mut group, (&done, to))?;
    }
    Ok((group, changes))
}

fn tell_role(
    unit: &mut Unit<'_>,
    author: &Account,
    group: &mut Group,
    (people, role): (&[Account], Role),
) -> Result<()> {
    let tag = if role.is_admin() { "promote" } else { "demote" };
    let change = info::versioned(unit, group, tag);
    record::save(unit, group)?;
    let change = change.children(view::participants(group, people)).build();
    announce::to_members(unit, group, author, change)
}

/// Somebody leaves. Where no admin remains, the oldest member becomes one; with its last member the group ends.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Refused`] (403) for those who are not in it.
pub(crate) fn leave(unit: &mut Unit<'_>, account: &Account, group: &Jid) -> Result<()> {
    let (mut group, _) = enter(unit, group, account)?;
    members::delete(unit, &group.id, &account.phone)?;
    farewell(unit, account, &mut group, std::slice::from_ref(account))?;
    let rest = members::members(unit, &group.id)?;
    let Some(heir) = rest.first() else {
        unit.execute("DELETE FROM groups WHERE id = ?1", [&group.id])?;
        return pictures::remove_with_owner(unit, &Owner::Group(Box::new(group)));
    };
    if rest.iter().any(|member| member.role.is_admin()) {
        return Ok(());
    }
    members::set_role(unit, &group.id, &heir.account.phone, Role::Admin)?;
    tell_role(
        unit,
        account,
        &mut group,
        (std::slice::from_ref(&heir.account), Role::Admin),
    )
}

/// An account ends: it leaves all its groups.
pub(crate) fn leave_all(unit: &mut Unit<'_>, account: &Account) -> Result<()> {
    for group in members::groups_of(unit, &account.phone)? {
        leave(unit, account, &group.jid())?;
    }
    Ok(())
}

/// Does `act` to a member; those who are none get a 404.
fn each(
    unit: &mut Unit<'_>,
    group: &Group,
    jid: &Jid,
    act: impl FnOnce(&mut Unit<'_>, &Account, Role) -> Result<Verdict>,
) -> Result<Change> {
    let account = directory::resolve(unit, jid)?;
    let role = match &account {
        Some(account) => members::role(unit, &group.id, &account.phone)?,
        None => None,
    };
    let verdict = match (&account, role) {
        (Some(account), Some(role)) => act(unit, account, role)?,
        _ => Verdict::Refused(404),
    };
    Ok(Change::new(jid, account, verdict))
}

fn participants_versioned(unit: &Unit<'_>, group: &mut Group, tag: &'static str) -> NodeBuilder {
    let former = group.participants_version;
    group.participants_version = record::next_version(unit, former);
    NodeBuilder::new(tag)
        .attr("v_id", group.participants_version.to_string())
        .attr("prev_v_id", former.to_string())
}

fn check_number(jids: &[Jid]) -> Result<()> {
    if (1..=super::MAX_MEMBERS).contains(&jids.len()) {
        Ok(())
    } else {
        Err(Error::Invalid(format!(
            "1 to {} participants are wanted",
            super::MAX_MEMBERS
        )))
    }
}
