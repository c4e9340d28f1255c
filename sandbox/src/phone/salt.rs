//! The salt from which an account's devices make tokens for people who know no other (NCT).
//!
//! Accounts get it if a switch says so, in their settings (`nct_syncd_delivery`) or with the first piece of their
//! history (`nct_history_delivery`).

use hkdf::Hkdf;
use sha2::Sha256;
use wacore::appstate::schemas;
use waproto::whatsapp as wa;
use waproto::whatsapp::sync_action_value::NctSaltSyncAction;

use super::app_state::{self, Change};
use super::identity;
use crate::directory::Account;
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::switches;

/// The account's salt: always the same.
fn of(unit: &Unit<'_>, phone: &str) -> Result<Vec<u8>> {
    let secrets = identity::secrets(unit, phone)?;
    let mut salt = [0; 32];
    Hkdf::<Sha256>::new(None, secrets.identity.private_key().serialize())
        .expand(b"sandbox NCT salt", &mut salt)
        .map_err(|error| Error::codec("a salt", error))?;
    Ok(salt.to_vec())
}

/// The salt for a history, where it is delivered so.
pub(crate) fn for_history(unit: &Unit<'_>, phone: &str) -> Result<Option<Vec<u8>>> {
    if switches::is_on(unit, phone, "nct_history_delivery")? {
        of(unit, phone).map(Some)
    } else {
        Ok(None)
    }
}

/// Writes the salt into the account's settings, where it is delivered so and not there yet.
pub(crate) fn share_due(unit: &mut Unit<'_>, account: &Account) -> Result<()> {
    let schema = &schemas::NCT_SALT_SYNC;
    if !switches::is_on(unit, &account.phone, "nct_syncd_delivery")?
        || app_state::value(unit, &account.phone, &[schema.name])?.is_some()
    {
        return Ok(());
    }
    let value = wa::SyncActionValue {
        timestamp: Some(unit.now_ms()),
        nct_salt_sync_action: NctSaltSyncAction {
            salt: Some(of(unit, &account.phone)?),
        }
        .into(),
        ..Default::default()
    };
    let change = Change {
        schema,
        index: Vec::new(),
        value,
    };
    app_state::author(unit, account, vec![change])
}
