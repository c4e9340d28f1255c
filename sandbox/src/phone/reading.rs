//! Reading and playing: what the senders of messages, and one's own other devices, learn of it.

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
    let mut by_sender: BTreeMap<(String, bool), Vec<String>> = BTreeMap::new();
    for entry in entries {
        by_sender
            .entry((entry.sender, entry.family == Family::Lid))
            .or_default()
            .push(entry.id);
    }
    for ((sender, lid), ids) in by_sender {
        let Some(sender) = directory::by_phone(unit, &sender)? else {
            continue;
        };
        let family = if lid { Family::Lid } else { Family::Pn };
        let receipt = Receipt {
            reader: account,
            device: 0,
            family,
            kind,
            ids: &ids,
            only: None,
            extra: Vec::new(),
        };
        receipts::fan_out(unit, &receipt, &sender)?;
        // One's own companions learn it too.
        let chat = sender.jid(family, 0);
        receipts::fan_out_for(unit, &Receipt { kind: own, ..receipt }, account, Some(&chat))?;
    }
    Ok(())
}
