//! Who is who: numbers, LIDs and devices, and the JIDs that name them.
//!
//! Every account has both a phone number and a LID from birth, and everything inside is keyed by the number:
//! the LID is another spelling of the same person. Sessions and queues are kept by (number, device), whichever
//! spelling a stanza used.

use rusqlite::OptionalExtension as _;
use wacore_binary::{Jid, Server};

use crate::error::{Error, Result};
use crate::store::Unit;

/// One device of one account. Device 0 is the phone itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The account's number, digits only.
    pub phone: String,
    /// The device.
    pub device: u16,
}

impl Address {
    /// A device of `phone`.
    pub fn new(phone: impl Into<String>, device: u16) -> Self {
        Self {
            phone: phone.into(),
            device,
        }
    }

    /// The phone itself.
    pub fn primary(phone: impl Into<String>) -> Self {
        Self::new(phone, 0)
    }
}

/// Which of a person's two names a JID uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `<number>@s.whatsapp.net`
    Pn,
    /// `<lid>@lid`
    Lid,
}

impl Family {
    /// The family of a user's JID; `None` for groups, broadcasts and the like.
    pub fn of(jid: &Jid) -> Option<Self> {
        match jid.server {
            Server::Pn | Server::Legacy | Server::Hosted => Some(Self::Pn),
            Server::Lid | Server::HostedLid => Some(Self::Lid),
            _ => None,
        }
    }

    /// Its name in the store.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pn => "pn",
            Self::Lid => "lid",
        }
    }

    /// The family that the store calls `name`.
    pub(crate) fn named(name: &str) -> Self {
        if name == Self::Lid.as_str() {
            Self::Lid
        } else {
            Self::Pn
        }
    }
}

/// An account of the network: a phone and its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// E.164 digits.
    pub phone: String,
    /// The LID's digits.
    pub lid: String,
    /// The push name its contacts see.
    pub name: String,
    /// Whether the phone is reachable; its messages wait while it is not.
    pub online: bool,
}

impl Account {
    /// The JID of `device` in `family`.
    pub fn jid(&self, family: Family, device: u16) -> Jid {
        match family {
            Family::Pn => Jid::pn_device(self.phone.as_str(), device),
            Family::Lid => Jid::lid_device(self.lid.as_str(), device),
        }
    }

    /// The other family's JID, for `sender_pn` and `sender_lid`.
    pub fn alternate(&self, family: Family, device: u16) -> Jid {
        match family {
            Family::Pn => self.jid(Family::Lid, device),
            Family::Lid => self.jid(Family::Pn, device),
        }
    }

    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            phone: row.get(0)?,
            lid: row.get(1)?,
            name: row.get(2)?,
            online: row.get(3)?,
        })
    }
}

const COLUMNS: &str = "phone, lid, name, online";

/// The account with this number.
pub fn by_phone(unit: &Unit<'_>, phone: &str) -> Result<Option<Account>> {
    let known = unit.known().accounts.get(phone).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let account = unit
        .prepare("SELECT phone, lid, name, online FROM phones WHERE phone = ?1")?
        .query_row([phone], Account::from_row)
        .optional()?;
    unit.known().accounts.insert(phone.to_owned(), account.clone());
    Ok(account)
}

/// The oldest account with this push name.
pub fn by_name(unit: &Unit<'_>, name: &str) -> Result<Option<Account>> {
    let sql = format!("SELECT {COLUMNS} FROM phones WHERE name = ?1 ORDER BY rowid LIMIT 1");
    Ok(unit
        .prepare(&sql)?
        .query_row([name], Account::from_row)
        .optional()?)
}

/// The account with this number, or [`Error::NotFound`].
pub fn require(unit: &Unit<'_>, phone: &str) -> Result<Account> {
    by_phone(unit, phone)?.ok_or_else(|| Error::NotFound("there is no such phone".into()))
}

/// The account that `jid` names, by either name; `None` for strangers and for what is not a user.
pub fn resolve(unit: &Unit<'_>, jid: &Jid) -> Result<Option<Account>> {
    match Family::of(jid) {
        Some(Family::Pn) => by_phone(unit, &jid.user),
        Some(Family::Lid) => by_lid(unit, &jid.user),
        None => Ok(None),
    }
}

fn by_lid(unit: &Unit<'_>, lid: &str) -> Result<Option<Account>> {
    let known = unit.known().numbers.get(lid).cloned();
    if let Some(phone) = known {
        return by_phone(unit, &phone);
    }
    let account = unit
        .prepare("SELECT phone, lid, name, online FROM phones WHERE lid = ?1")?
        .query_row([lid], Account::from_row)
        .optional()?;
    if let Some(account) = &account {
        let mut known = unit.known();
        known.numbers.insert(lid.to_owned(), account.phone.clone());
        known
            .accounts
            .insert(account.phone.clone(), Some(account.clone()));
    }
    Ok(account)
}

/// Every account, oldest first.
pub fn all(unit: &Unit<'_>) -> Result<Vec<Account>> {
    let sql = format!("SELECT {COLUMNS} FROM phones ORDER BY rowid");
    let mut statement = unit.prepare(&sql)?;
    let rows = statement.query_map([], Account::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The account's devices in order, the phone (device 0) first.
pub fn devices(unit: &Unit<'_>, phone: &str) -> Result<Vec<u16>> {
    let known = unit.known().devices.get(phone).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let mut statement = unit.prepare("SELECT device FROM companions WHERE phone = ?1 ORDER BY device")?;
    let rows = statement.query_map([phone], |row| row.get(0))?;
    let mut devices = vec![0];
    for device in rows {
        devices.push(device?);
    }
    unit.known().devices.insert(phone.to_owned(), devices.clone());
    Ok(devices)
}

/// Whether `address` is a device that exists.
pub fn exists(unit: &Unit<'_>, address: &Address) -> Result<bool> {
    if address.device == 0 {
        return Ok(by_phone(unit, &address.phone)?.is_some());
    }
    Ok(devices(unit, &address.phone)?.contains(&address.device))
}

/// Checks that `phone` is the number of a person: 7 to 15 digits, the first of them no zero (E.164).
pub fn check_number(phone: &str) -> Result<()> {
    let digits = phone.bytes().all(|b| b.is_ascii_digit());
    if digits && (7..=15).contains(&phone.len()) && !phone.starts_with('0') {
        Ok(())
    } else {
        Err(Error::Invalid(
            "a phone is 7 to 15 digits without a leading zero".into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_checked() {
        assert!(check_number("155501000001").is_ok());
        for bad in ["", "123456", "0123456789", "+155501000001", "1555010000012345"] {
            assert!(check_number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn both_names_of_a_device() {
        let account = Account {
            phone: "155501000001".into(),
            lid: "100000000000001".into(),
            name: "A".into(),
            online: true,
        };
        assert_eq!(
            account.jid(Family::Pn, 3).to_string(),
            "155501000001:3@s.whatsapp.net"
        );
        assert_eq!(
            account.alternate(Family::Pn, 3).to_string(),
            "100000000000001:3@lid"
        );
        assert_eq!(Family::of(&"1@g.us".parse().unwrap()), None);
    }
}
