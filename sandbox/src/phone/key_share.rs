//! Handing the app-state key to a new companion.
//!
//! A freshly paired client waits ten seconds for it before it reports itself connected, so it goes out with the
//! first prekeys that the companion uploads.

use waproto::whatsapp as wa;

use super::send;
use crate::directory::{Account, Address};
use crate::error::Result;
use crate::store::Unit;

/// Shares the key with those companions that lack it, if the phone is reachable.
pub(crate) fn share_due(unit: &mut Unit<'_>, account: &Account) -> Result<()> {
    if !account.online {
        return Ok(());
    }
    let due: Vec<u16> = unit
        .prepare(
            "SELECT device FROM companions c WHERE phone = ?1 AND key_shared = 0
             AND EXISTS (SELECT 1 FROM pre_keys p WHERE p.phone = c.phone AND p.device = c.device)",
        )?
        .query_map([&account.phone], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for device in due {
        share(unit, account, device)?;
    }
    Ok(())
}

/// Shares the key with one companion.
pub(crate) fn share(unit: &mut Unit<'_>, account: &Account, device: u16) -> Result<()> {
    let (key_id, key, raw_id): (Vec<u8>, Vec<u8>, u32) = unit
        .prepare("SELECT app_state_key_id, app_state_key, adv_raw_id FROM phones WHERE phone = ?1")?
        .query_row([&account.phone], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let key = wa::message::AppStateSyncKey {
        key_id: wa::message::AppStateSyncKeyId { key_id: Some(key_id) }.into(),
        key_data: wa::message::AppStateSyncKeyData {
            key_data: Some(key),
            // A key without a fingerprint is thrown away by the client.
            fingerprint: wa::message::AppStateSyncKeyFingerprint {
                raw_id: Some(raw_id),
                current_index: Some(0),
                device_indexes: vec![0],
            }
            .into(),
            timestamp: Some(unit.now_ms()),
        }
        .into(),
    };
    let message = wa::Message {
        protocol_message: wa::message::ProtocolMessage {
            r#type: Some(wa::message::protocol_message::Type::APP_STATE_SYNC_KEY_SHARE),
            app_state_sync_key_share: wa::message::AppStateSyncKeyShare { keys: vec![key] }.into(),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    };
    send::peer_message(unit, account, &Address::new(&account.phone, device), &message)?;
    unit.execute(
        "UPDATE companions SET key_shared = 1 WHERE phone = ?1 AND device = ?2",
        (&account.phone, device),
    )?;
    Ok(())
}
