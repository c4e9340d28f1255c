//! A phone's side of app state: it reads what its companions write, and writes itself.
//!
//! The phone verifies as its companions do: the MACs of every value and index, of each patch, and of the whole state
//! after it (an LT-hash). A patch that does not hold is counted, and leaves the phone's own state as it was. The
//! phone then replaces the collection with a snapshot of its own state ([`repair`]). The companions, which refused
//! the patch too, take the snapshot. (The real phone goes further and unlinks them all.)

pub(crate) mod actions;
mod changes;
pub(crate) mod keys;
mod records;
mod write;

use buffa::Message as _;
use tracing::warn;
use wacore::appstate::process_patch;
use wacore::appstate::processor::PatchProcessingResult;
use waproto::whatsapp as wa;

use crate::app_state as server;
use crate::directory::Account;
use crate::error::{Error, Result};
use crate::store::Unit;
pub use records::Record;
use records::{Local, State};
pub(crate) use records::{faults, list, value};
pub(crate) use write::{Change, author, found, recovery_snapshot, repair};

/// Takes what the server has of a collection and the phone has not.
pub(crate) fn pull(unit: &mut Unit<'_>, account: &Account, collection: &'static str) -> Result<()> {
    let phone = &account.phone;
    loop {
        let State { version, .. } = records::state(unit, phone, collection)?;
        let page = server::after(unit, phone, collection, version)?;
        for raw in &page.patches {
            let patch = wa::SyncdPatch::decode_from_slice(raw)
                .map_err(|error| Error::codec("an app-state patch", error))?;
            if let Err(reason) = take(unit, account, collection, &patch)? {
                warn!(collection, reason, "a phone refuses an app-state patch");
                records::count_fault(unit, phone, collection)?;
                return repair(unit, account, collection);
            }
        }
        if !page.more {
            return Ok(());
        }
    }
}

/// Applies one patch. The inner error says what does not hold; nothing was changed then.
fn take(
    unit: &mut Unit<'_>,
    account: &Account,
    collection: &'static str,
    patch: &wa::SyncdPatch,
) -> Result<Result<(), String>> {
    let phone = &account.phone;
    let ring = keys::ring(unit, phone)?;
    let local = Local::load(unit, phone, collection, patch)?;
    let mut hash = local.state.hash_state();
    let processed = process_patch(
        patch,
        &mut hash,
        |id| {
            ring.get(id)
                .cloned()
                .ok_or(wacore::appstate::AppStateError::KeyNotFound)
        },
        |index_mac| Ok(local.value_macs.get(index_mac).cloned()),
        true,
        collection,
    );
    let result: PatchProcessingResult = match processed {
        Ok(result) if result.state.mac_mismatch_fatal => {
            return Ok(Err("the state after it has another MAC".into()));
        }
        Ok(result) => result,
        Err(error) => return Ok(Err(error.to_string())),
    };
    records::store(unit, phone, collection, patch, &result)?;
    for mutation in &result.mutations {
        actions::follow(unit, account, mutation)?;
    }
    Ok(Ok(()))
}
