//! Reading and playing messages: what their senders, and the reader's own other devices, learn of it.

use std::collections::BTreeMap;

use super::inbox::{self, Unread};
use crate::directory::{self, Account, Family};
use crate::error::Result;
use crate::receipts::{self, Receipt};
use crate::store::Unit;

/// Reads messages, the named ones or all, and plays those that can be played if `play`. Answers how many were not
/// read, and not played, before.
///
/// # Errors
/// [`crate::Error::NotFound`] for an id that is not in the inbox.
pub(crate) fn read(
    unit: &mut Unit<'_>,
    account: &Account,
    ids: Option<&[String]>,
    play: bool,
) -> Result<(usize, usize)> {
    let unread = inbox::mark_read(unit, &account.phone, ids)?;
    let read = unread.len();
    tell(unit, account, unread, ("read", "read-self"))?;
    if !play {
        return Ok((read, 0));
    }
    let unplayed = inbox::mark_played(unit, &account.phone, ids)?;
    let played = unplayed.len();
    tell(unit, account, unplayed, ("played", "played-self"))?;
    Ok((read, played))
}

fn tell(
    unit: &mut Unit<'_>,
    account: &Account,
    entries: Vec<Unread>,
    (kind, own): (&'static str, &'static str),
) -> Result<()> {
    let mut by_place: BTreeMap<(String, String, bool), Vec<String>> = BTreeMap::new();
    for entry in entries {
        by_place
            .entry((entry.chat, entry.sender, entry.family == Family::Lid))
            .or_default()
            .push(entry.id);
    }
    for ((chat, sender, lid), ids) in by_place {
        let Some(sender) = directory::by_phone(unit, &sender)? else {
            continue;
        };
        let receipt = Receipt {
            reader: account,
            device: 0,
            family: if lid { Family::Lid } else { Family::Pn },
            kind,
            ids: &ids,
            only: None,
            extra: Vec::new(),
        };
        receipts::seen(unit, receipt, &sender, (&chat, own))?;
    }
    Ok(())
}
