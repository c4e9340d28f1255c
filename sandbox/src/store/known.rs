//! What a unit of work has read already, so that it reads nothing twice.
//!
//! It lives as long as the unit. Signal sessions are also written from here: a phone that takes many messages of one
//! device in one unit stores their session once, in the same transaction as all that the messages brought.

use std::collections::HashMap;
use std::sync::Arc;

use super::Unit;
use crate::directory::{Account, Address};
use crate::error::Result;
use crate::phone::identity::Secrets;
use crate::phone::signal::Session;

/// The beginnings of statements that change accounts or their devices.
const PEOPLE: [&str; 6] = [
    "INSERT INTO phones",
    "UPDATE phones",
    "DELETE FROM phones",
    "INSERT INTO companions",
    "UPDATE companions",
    "DELETE FROM companions",
];

/// Whether a statement changes accounts or their devices.
pub(super) fn changes_people(sql: &str) -> bool {
    PEOPLE.iter().any(|beginning| sql.starts_with(beginning))
}

/// Accounts, devices, secrets and sessions that one unit has to do with.
#[derive(Default)]
pub(crate) struct Known {
    /// By number; `None` where there is no such account.
    pub(crate) accounts: HashMap<String, Option<Account>>,
    /// The numbers of LIDs.
    pub(crate) numbers: HashMap<String, String>,
    /// The devices of accounts, the phone (device 0) first.
    pub(crate) devices: HashMap<String, Vec<u16>>,
    /// What phones alone know.
    pub(crate) secrets: HashMap<String, Arc<Secrets>>,
    /// By phone, then by the device at the other end.
    pub(crate) sessions: HashMap<String, HashMap<Address, Session>>,
}

impl Known {
    /// Forgets accounts, their devices and their secrets: they may be others now.
    pub(super) fn forget_people(&mut self) {
        self.accounts.clear();
        self.numbers.clear();
        self.devices.clear();
        self.secrets.clear();
    }

    /// Writes the sessions that have moved and forgets them all, so that the tables are as the unit knows them.
    pub(crate) fn store(unit: &Unit<'_>) -> Result<()> {
        let sessions = std::mem::take(&mut unit.known().sessions);
        for (phone, peers) in sessions {
            for (peer, session) in peers {
                session.store(unit, &phone, &peer)?;
            }
        }
        Ok(())
    }
}
