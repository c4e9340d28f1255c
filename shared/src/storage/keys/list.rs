//! The values of the index attribute `listKey`: lists that go over all subscriptions, for
//! administrators.
//!
//! A list is spread over several keys. All writes to one key of an index go to one partition, which takes 1,000 units
//! a second: too few for the audit log of a busy deployment. An entry's key follows from its id, so one entry is
//! found without asking all keys. Entries from before lists were spread have the list's bare name as their key, are
//! read from there, and move when they are written again.

use chrono::NaiveDate;
use sha2::{Digest as _, Sha256};

/// Every subscription.
pub const SUBSCRIPTIONS: &str = "subscriptions";
/// Every user.
pub const USERS: &str = "users";

/// Over how many keys a list is spread. Reads ask all of them, so it may grow and must not shrink.
pub const SPREAD: u8 = 8;

/// Every audit entry of a day (UTC).
pub fn audit(day: NaiveDate) -> String {
    format!("audit#{day}")
}

/// The key of the entry with this id in a list.
pub fn key(list: &str, id: &str) -> String {
    let hash = Sha256::digest(id.as_bytes());
    format!("{list}#{}", hash[0] % SPREAD)
}

/// All keys of a list, the old bare one among them.
pub fn keys(list: &str) -> impl Iterator<Item = String> {
    let spread = (0..SPREAD).map(move |number| format!("{list}#{number}"));
    spread.chain(std::iter::once(list.to_owned()))
}
