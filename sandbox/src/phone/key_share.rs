//! Handing the app-state keys to companions.
//!
//! A freshly paired client waits ten seconds for them before it reports itself connected, so they go out with the
//! first prekeys that the companion uploads. A key made later goes to all that are linked then.

use waproto::whatsapp as wa;

use super::app_state::keys::Key;
use super::app_state::{self, keys};
use super::{history, salt, send};
use crate::directory::{Account, Address};
use crate::error::Result;
use crate::store::{Known, Unit};

/// Shares keys with those companions that lack some, if the phone is reachable. A companion that gets its first ones
/// is new: it gets the account's history after them.
pub(crate) fn share_due(unit: &mut Unit<'_>, account: &Account) -> Result<()> {
    if !account.online {
        return Ok(());
    }
    keys::rotate_if_due(unit, &account.phone)?;
    Known::store(unit)?;
    let ready: Vec<u16> = unit
        .prepare(
            "SELECT device FROM companions c WHERE phone = ?1 AND
             (EXISTS (SELECT 1 FROM pre_keys p WHERE p.phone = c.phone AND p.device = c.device)
              OR EXISTS (SELECT 1 FROM sessions s WHERE s.phone = c.phone AND s.peer = c.phone
                         AND s.peer_device = c.device))",
        )?
        .query_map([&account.phone], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if ready.is_empty() {
        return Ok(());
    }
    let newest = keys::newest(unit, &account.phone)?;
    for device in ready {
        let shared = shares(unit, account, device)?;
        if !shared.contains(&newest.epoch) {
            share(unit, account, device)?;
        }
        if shared.is_empty() {
            history::begin(unit, account, device)?;
        }
    }
    // Companions hear of what is written here only after they have the key to it.
    app_state::found(unit, account)?;
    salt::share_due(unit, account)
}

/// The epochs whose keys a companion has.
fn shares(unit: &Unit<'_>, account: &Account, device: u16) -> Result<Vec<u32>> {
    let mut statement =
        unit.prepare("SELECT epoch FROM app_state_key_shares WHERE phone = ?1 AND device = ?2")?;
    let rows = statement.query_map((&account.phone, device), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Shares the keys in use with one companion.
pub(crate) fn share(unit: &mut Unit<'_>, account: &Account, device: u16) -> Result<()> {
    let keys = keys::needed(unit, &account.phone)?;
    let mut shared = Vec::with_capacity(keys.len());
    for key in keys {
        shared.push(described(unit, account, &key)?);
        unit.execute(
            "INSERT OR IGNORE INTO app_state_key_shares (phone, device, epoch) VALUES (?1, ?2, ?3)",
            (&account.phone, device, key.epoch),
        )?;
    }
    tell(unit, account, device, shared)
}

/// Answers a companion that asks for keys by their ids. A key that the phone does not have is named without its data.
pub(crate) fn answer(
    unit: &mut Unit<'_>,
    account: &Account,
    device: u16,
    request: &wa::message::AppStateSyncKeyRequest,
) -> Result<()> {
    let shared = asked(unit, account, request)?;
    if shared.is_empty() {
        return Ok(());
    }
    tell(unit, account, device, shared)
}

/// The most keys that are looked up for one request.
const MAX_ASKED: usize = 100;

fn asked(
    unit: &Unit<'_>,
    account: &Account,
    request: &wa::message::AppStateSyncKeyRequest,
) -> Result<Vec<wa::message::AppStateSyncKey>> {
    let mut shared = Vec::new();
    for asked in request.key_ids.iter().take(MAX_ASKED) {
        let Some(id) = &asked.key_id else { continue };
        shared.push(match keys::by_id(unit, &account.phone, id)? {
            Some(key) => described(unit, account, &key)?,
            None => wa::message::AppStateSyncKey {
                key_id: asked.clone().into(),
                ..Default::default()
            },
        });
    }
    Ok(shared)
}

fn described(unit: &Unit<'_>, account: &Account, key: &Key) -> Result<wa::message::AppStateSyncKey> {
    let raw_id: u32 = unit
        .prepare("SELECT adv_raw_id FROM phones WHERE phone = ?1")?
        .query_row([&account.phone], |row| row.get(0))?;
    Ok(wa::message::AppStateSyncKey {
        key_id: wa::message::AppStateSyncKeyId {
            key_id: Some(key.id.clone()),
        }
        .into(),
        key_data: wa::message::AppStateSyncKeyData {
            key_data: Some(key.secret.clone()),
            // A key without a fingerprint is thrown away by the client.
            fingerprint: wa::message::AppStateSyncKeyFingerprint {
                raw_id: Some(raw_id),
                current_index: Some(key.epoch - 1),
                device_indexes: vec![0],
            }
            .into(),
            timestamp: Some(key.created_at),
        }
        .into(),
    })
}

fn tell(
    unit: &mut Unit<'_>,
    account: &Account,
    device: u16,
    keys: Vec<wa::message::AppStateSyncKey>,
) -> Result<()> {
    let message = wa::Message {
        protocol_message: wa::message::ProtocolMessage {
            r#type: Some(wa::message::protocol_message::Type::APP_STATE_SYNC_KEY_SHARE),
            app_state_sync_key_share: wa::message::AppStateSyncKeyShare { keys }.into(),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    };
    send::peer_message(unit, account, &Address::new(&account.phone, device), &message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn a_key_that_the_phone_lacks_is_named_without_its_data() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let account = identity::create(unit, None, None)?;
            let key = keys::newest(unit, &account.phone)?;
            let id = |id: &[u8]| wa::message::AppStateSyncKeyId {
                key_id: Some(id.to_vec()),
            };
            let request = wa::message::AppStateSyncKeyRequest {
                key_ids: vec![id(&key.id), id(b"nobody's")],
            };
            let shared = asked(unit, &account, &request)?;
            assert_eq!(shared.len(), 2);
            assert_eq!(shared[0].key_data.key_data, Some(key.secret));
            assert!(shared[0].key_data.fingerprint.is_set());
            assert_eq!(shared[1].key_id.key_id.as_deref(), Some(b"nobody's".as_slice()));
            assert!(!shared[1].key_data.is_set());
            Ok(())
        });
    }
}
