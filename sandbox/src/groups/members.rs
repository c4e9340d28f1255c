//! Who is in a group, and in which role.

use rusqlite::OptionalExtension as _;
use serde::Serialize;

use super::record::{self, Group};
use crate::directory::{self, Account, Address};
use crate::error::Result;
use crate::store::Unit;

/// A member's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nobody in particular.
    Member,
    /// One who may change the group and who is in it.
    Admin,
    /// Its creator, who cannot be removed or demoted.
    Superadmin,
}

impl Role {
    /// Whether the role has an admin's rights.
    pub(crate) fn is_admin(self) -> bool {
        self != Self::Member
    }

    /// Its name, in stanzas and in the store.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Superadmin => "superadmin",
        }
    }

    fn parse(name: &str) -> Self {
        match name {
            "superadmin" => Self::Superadmin,
            "admin" => Self::Admin,
            _ => Self::Member,
        }
    }
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) account: Account,
    pub(crate) role: Role,
}

/// The members of a group in the order in which they came.
pub(crate) fn members(unit: &Unit<'_>, group: &str) -> Result<Vec<Member>> {
    let rows: Vec<(String, Role)> = unit
        .prepare("SELECT phone, role FROM group_members WHERE group_id = ?1 ORDER BY seq")?
        .query_map([group], |row| {
            Ok((row.get(0)?, Role::parse(row.get_ref(1)?.as_str()?)))
        })?
        .collect::<rusqlite::Result<_>>()?;
    rows.into_iter()
        .map(|(phone, role)| {
            Ok(Member {
                account: directory::require(unit, &phone)?,
                role,
            })
        })
        .collect()
}

/// The role of `phone` in a group; `None` for those who are not in it.
pub(crate) fn role(unit: &Unit<'_>, group: &str, phone: &str) -> Result<Option<Role>> {
    Ok(unit
        .prepare("SELECT role FROM group_members WHERE group_id = ?1 AND phone = ?2")?
        .query_row((group, phone), |row| Ok(Role::parse(row.get_ref(0)?.as_str()?)))
        .optional()?)
}

/// How many are in a group.
pub(super) fn count(unit: &Unit<'_>, group: &str) -> Result<usize> {
    Ok(unit
        .prepare("SELECT COUNT(*) FROM group_members WHERE group_id = ?1")?
        .query_row([group], |row| row.get(0))?)
}

/// The groups that `phone` is in, in the order in which it came to them.
pub(crate) fn groups_of(unit: &Unit<'_>, phone: &str) -> Result<Vec<Group>> {
    let ids: Vec<String> = unit
        .prepare("SELECT group_id FROM group_members WHERE phone = ?1 ORDER BY seq")?
        .query_map([phone], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let groups = ids.iter().map(|id| record::by_id(unit, id));
    groups.filter_map(Result::transpose).collect()
}

/// All devices of all members.
pub(crate) fn devices(unit: &Unit<'_>, group: &str) -> Result<Vec<Address>> {
    let mut devices = Vec::new();
    for member in members(unit, group)? {
        let phone = member.account.phone;
        let own = directory::devices(unit, &phone)?;
        devices.extend(own.into_iter().map(|device| Address::new(&phone, device)));
    }
    Ok(devices)
}

/// Puts somebody in.
pub(super) fn insert(unit: &Unit<'_>, group: &str, phone: &str, role: Role) -> Result<()> {
    unit.execute(
        "INSERT INTO group_members (group_id, phone, role, joined_at) VALUES (?1, ?2, ?3, ?4)",
        (group, phone, role.as_str(), unit.now_secs()),
    )?;
    // Whoever is in has nothing left to ask for and needs no invitation.
    for table in ["group_requests", "group_invitations"] {
        let sql = format!("DELETE FROM {table} WHERE group_id = ?1 AND phone = ?2");
        unit.execute(&sql, (group, phone))?;
    }
    Ok(())
}

/// Takes somebody out.
pub(super) fn delete(unit: &Unit<'_>, group: &str, phone: &str) -> Result<()> {
    unit.execute(
        "DELETE FROM group_members WHERE group_id = ?1 AND phone = ?2",
        (group, phone),
    )?;
    Ok(())
}

/// Gives somebody another role.
pub(super) fn set_role(unit: &Unit<'_>, group: &str, phone: &str, role: Role) -> Result<()> {
    unit.execute(
        "UPDATE group_members SET role = ?3 WHERE group_id = ?1 AND phone = ?2",
        (group, phone, role.as_str()),
    )?;
    Ok(())
}
