//! The keys of an account's app state: the phone makes them, and every companion gets them.
//!
//! Whoever has the key that a record was written with can read it. A companion that goes takes its keys along. So the
//! phone then makes a new key, and the companion cannot read what is written from that moment on.

use std::collections::HashMap;
use std::sync::Arc;

use rand::RngExt as _;
use rusqlite::OptionalExtension as _;
use wacore::appstate::{ExpandedAppStateKeys, expand_app_state_keys};

use crate::error::Result;
use crate::store::Unit;

/// One key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// Counts up.
    pub(crate) epoch: u32,
    pub(crate) id: Vec<u8>,
    pub(crate) secret: Vec<u8>,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_at: i64,
}

/// What a phone's keys expand to, by key id.
pub(super) type Ring = HashMap<Vec<u8>, Arc<ExpandedAppStateKeys>>;

/// The key to write with; the first one is made when it is needed.
pub(crate) fn newest(unit: &Unit<'_>, phone: &str) -> Result<Key> {
    match last(unit, phone)? {
        Some(key) => Ok(key),
        None => make(unit, phone, 1),
    }
}

fn last(unit: &Unit<'_>, phone: &str) -> Result<Option<Key>> {
    Ok(unit
        .prepare(
            "SELECT epoch, key_id, key, created_at FROM app_state_keys WHERE phone = ?1 ORDER BY epoch DESC LIMIT 1",
        )?
        .query_row([phone], from_row)
        .optional()?)
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key {
        epoch: row.get(0)?,
        id: row.get(1)?,
        secret: row.get(2)?,
        created_at: row.get(3)?,
    })
}

fn make(unit: &Unit<'_>, phone: &str, epoch: u32) -> Result<Key> {
    let key = Key {
        epoch,
        // Six bytes, as WhatsApp's own ids of these keys are: the device that made it, then the epoch.
        id: [&[0, 0], epoch.to_be_bytes().as_slice()].concat(),
        secret: rand::rng().random::<[u8; 32]>().to_vec(),
        created_at: unit.now_ms(),
    };
    unit.execute(
        "INSERT INTO app_state_keys (phone, epoch, key_id, key, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (phone, key.epoch, &key.id, &key.secret, key.created_at),
    )?;
    Ok(key)
}

/// Makes a new key if somebody who has the newest one is no longer linked.
pub(crate) fn rotate_if_due(unit: &Unit<'_>, phone: &str) -> Result<()> {
    let Some(newest) = last(unit, phone)? else {
        return Ok(());
    };
    let left = unit
        .prepare(
            "SELECT 1 FROM app_state_key_shares s WHERE phone = ?1 AND epoch = ?2
             AND NOT EXISTS (SELECT 1 FROM companions c WHERE c.phone = s.phone AND c.device = s.device)",
        )?
        .exists((phone, newest.epoch))?;
    if left {
        make(unit, phone, newest.epoch + 1)?;
    }
    Ok(())
}

/// The keys that a companion needs, oldest first: those of existing records, and the newest.
pub(crate) fn needed(unit: &Unit<'_>, phone: &str) -> Result<Vec<Key>> {
    let newest = newest(unit, phone)?;
    let mut statement = unit.prepare(
        "SELECT epoch, key_id, key, created_at FROM app_state_keys k WHERE phone = ?1
         AND (epoch = ?2 OR EXISTS (SELECT 1 FROM phone_app_state_records r
                                    WHERE r.phone = k.phone AND r.key_id = k.key_id))
         ORDER BY epoch",
    )?;
    let rows = statement.query_map((phone, newest.epoch), from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The key with this id.
pub(crate) fn by_id(unit: &Unit<'_>, phone: &str, id: &[u8]) -> Result<Option<Key>> {
    Ok(unit
        .prepare(
            "SELECT epoch, key_id, key, created_at FROM app_state_keys WHERE phone = ?1 AND key_id = ?2",
        )?
        .query_row((phone, id), from_row)
        .optional()?)
}

/// All keys, ready for use.
pub(super) fn ring(unit: &Unit<'_>, phone: &str) -> Result<Ring> {
    let mut statement = unit.prepare("SELECT key_id, key FROM app_state_keys WHERE phone = ?1")?;
    let rows = statement.query_map([phone], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    let mut ring = Ring::new();
    for row in rows {
        let (id, secret) = row?;
        ring.insert(id, Arc::new(expand_app_state_keys(&secret)));
    }
    Ok(ring)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn a_key_that_somebody_took_along_is_replaced_once() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            let first = newest(unit, &phone)?;
            rotate_if_due(unit, &phone)?;
            assert_eq!(newest(unit, &phone)?.id, first.id, "nobody went");
            unit.execute(
                "INSERT INTO app_state_key_shares (phone, device, epoch) VALUES (?1, 7, 1)",
                [&phone],
            )?;
            for _ in 0..2 {
                rotate_if_due(unit, &phone)?;
                assert_eq!(newest(unit, &phone)?.epoch, 2);
            }
            assert_eq!(
                needed(unit, &phone)?.len(),
                1,
                "nothing was written with the first"
            );
            assert!(by_id(unit, &phone, &first.id)?.is_some());
            Ok(())
        });
    }
}
