//! Personal invitations, for people whose privacy settings do not let somebody add them.
//!
//! The code is for that person alone. Whoever tried to add them passes it on in a message, and the person accepts.

use rand::RngExt as _;
use rand::distr::Alphanumeric;
use rusqlite::OptionalExtension as _;
use wacore_binary::Jid;

use super::participants::{Change, Verdict};
use super::record::Group;
use super::{enter_as_admin, invites, members};
use crate::directory::{self, Account};
use crate::error::{Error, Result};
use crate::store::Unit;

/// The length of a code.
const CODE: usize = 16;

/// How long an invitation holds: three days, as in the apps.
const LIFETIME_SECS: i64 = 3 * 24 * 60 * 60;

/// Invites `account` in the name of `host`; a former invitation is void.
pub(super) fn invite(unit: &Unit<'_>, host: &Account, group: &Group, account: &Account) -> Result<Verdict> {
    let code: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(CODE)
        .map(char::from)
        .collect();
    let expires_at = unit.now_secs() + LIFETIME_SECS;
    unit.execute(
        "INSERT OR REPLACE INTO group_invitations (group_id, phone, admin, code, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (&group.id, &account.phone, &host.phone, &code, expires_at),
    )?;
    Ok(Verdict::Invited { code, expires_at })
}

/// Joins by an invitation that `host` passed on. The admins need not decide: somebody in the group did.
///
/// # Errors
/// [`Error::NotFound`] for an invitation that does not exist; [`Error::Refused`]: 410 for one that has run out, 419 for
/// a full group; [`Error::Conflict`] for those who are in.
pub(crate) fn accept(
    unit: &mut Unit<'_>,
    account: &Account,
    group: &Jid,
    (code, host): (&str, &Jid),
) -> Result<Group> {
    let mut group = super::require(unit, group)?;
    if members::role(unit, &group.id, &account.phone)?.is_some() {
        return Err(Error::Conflict("already in this group".into()));
    }
    let missing = || Error::NotFound("there is no such invitation".into());
    let host = directory::resolve(unit, host)?.ok_or_else(missing)?;
    let expires_at: Option<i64> = unit
        .prepare(
            "SELECT expires_at FROM group_invitations
             WHERE group_id = ?1 AND phone = ?2 AND admin = ?3 AND code = ?4",
        )?
        .query_row((&group.id, &account.phone, &host.phone, code), |row| row.get(0))
        .optional()?;
    if expires_at.ok_or_else(missing)? < unit.now_secs() {
        return Err(Error::gone("this invitation has run out"));
    }
    invites::come_in(unit, account, (&mut group, &host))?;
    Ok(group)
}

/// Admins take invitations back. One that is not there gets a 404.
pub(crate) fn revoke(
    unit: &mut Unit<'_>,
    actor: &Account,
    group: &Jid,
    jids: &[Jid],
) -> Result<(Group, Vec<Change>)> {
    let group = enter_as_admin(unit, group, actor)?;
    let mut changes = Vec::with_capacity(jids.len());
    for jid in jids {
        let account = directory::resolve(unit, jid)?;
        let gone = match &account {
            Some(account) => unit.execute(
                "DELETE FROM group_invitations WHERE group_id = ?1 AND phone = ?2",
                (&group.id, &account.phone),
            )?,
            None => 0,
        };
        let verdict = match gone {
            0 => Verdict::Refused(404),
            _ => Verdict::Done,
        };
        changes.push(Change {
            jid: jid.clone(),
            account,
            verdict,
        });
    }
    Ok((group, changes))
}
