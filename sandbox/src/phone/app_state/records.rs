//! The phone's copy of the collections, in the clear.

use std::collections::HashMap;

use buffa::Message as _;
use rusqlite::OptionalExtension as _;
use serde::Serialize;
use serde_json::Value;
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::PatchProcessingResult;
use waproto::whatsapp as wa;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use crate::error::{Error, Result};
use crate::store::Unit;

/// How far the phone has followed a collection.
pub(super) struct State {
    pub(super) version: u64,
    /// The LT-hash of its records.
    pub(super) hash: [u8; 128],
}

impl State {
    pub(super) fn hash_state(&self) -> HashState {
        HashState {
            version: self.version,
            hash: self.hash,
            ..HashState::default()
        }
    }
}

/// What the phone has that a patch builds on.
pub(super) struct Local {
    pub(super) state: State,
    /// By the MACs of the indexes that the patch names.
    pub(super) value_macs: HashMap<Vec<u8>, Vec<u8>>,
}

impl Local {
    pub(super) fn load(
        unit: &Unit<'_>,
        phone: &str,
        collection: &str,
        patch: &wa::SyncdPatch,
    ) -> Result<Self> {
        let mut value_macs = HashMap::new();
        let mut statement = unit.prepare(
            "SELECT value_mac FROM phone_app_state_records WHERE phone = ?1 AND collection = ?2 AND index_mac = ?3",
        )?;
        for mutation in &patch.mutations {
            let index_mac = mutation.record.index.blob.clone().unwrap_or_default();
            let value_mac = statement
                .query_row((phone, collection, &index_mac), |row| row.get(0))
                .optional()?;
            if let Some(value_mac) = value_mac {
                value_macs.insert(index_mac, value_mac);
            }
        }
        Ok(Self {
            state: state(unit, phone, collection)?,
            value_macs,
        })
    }
}

/// How far the phone has followed a collection.
pub(super) fn state(unit: &Unit<'_>, phone: &str, collection: &str) -> Result<State> {
    let stored: Option<(u64, Vec<u8>)> = unit
        .prepare("SELECT version, hash FROM phone_app_state WHERE phone = ?1 AND collection = ?2")?
        .query_row((phone, collection), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((version, hash)) = stored else {
        return Ok(State {
            version: 0,
            hash: [0; 128],
        });
    };
    let hash = hash
        .try_into()
        .map_err(|_| Error::codec("an LT-hash", "it is not 128 bytes"))?;
    Ok(State { version, hash })
}

pub(super) fn set_state(unit: &Unit<'_>, phone: &str, collection: &str, state: &State) -> Result<()> {
    unit.execute(
        "INSERT INTO phone_app_state (phone, collection, version, hash) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (phone, collection) DO UPDATE SET version = ?3, hash = ?4",
        (phone, collection, state.version, state.hash.as_slice()),
    )?;
    Ok(())
}

/// Counts a patch whose MACs do not hold.
pub(super) fn count_fault(unit: &Unit<'_>, phone: &str, collection: &str) -> Result<()> {
    unit.execute(
        "INSERT INTO phone_app_state (phone, collection, hash, faults) VALUES (?1, ?2, zeroblob(128), 1)
         ON CONFLICT (phone, collection) DO UPDATE SET faults = faults + 1",
        (phone, collection),
    )?;
    Ok(())
}

/// How many patches of all collections of all phones did not hold.
pub(crate) fn faults(unit: &Unit<'_>) -> Result<u64> {
    Ok(unit
        .prepare("SELECT COALESCE(SUM(faults), 0) FROM phone_app_state")?
        .query_row([], |row| row.get(0))?)
}

/// Stores what a patch that holds changes. Removals come first: a patch that removes and sets one index replaces it.
pub(super) fn store(
    unit: &Unit<'_>,
    phone: &str,
    collection: &str,
    patch: &wa::SyncdPatch,
    result: &PatchProcessingResult,
) -> Result<()> {
    for index_mac in &result.removed_index_macs {
        unit.execute(
            "DELETE FROM phone_app_state_records WHERE phone = ?1 AND collection = ?2 AND index_mac = ?3",
            (phone, collection, index_mac),
        )?;
    }
    let records = patch
        .mutations
        .iter()
        .filter_map(|mutation| mutation.record.as_option());
    for (record, mutation) in records.zip(&result.mutations) {
        if mutation.operation != SyncdOperation::SET {
            continue;
        }
        let blob = record.value.blob.as_deref().unwrap_or_default();
        let name = serde_json::to_string(&mutation.index).map_err(|error| Error::codec("an index", error))?;
        let value = mutation.action_value.clone().unwrap_or_default();
        unit.execute(
            "INSERT OR REPLACE INTO phone_app_state_records
                 (phone, collection, index_mac, value_mac, key_id, name, value, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            rusqlite::params![
                phone,
                collection,
                record.index.blob.clone().unwrap_or_default(),
                &blob[blob.len().saturating_sub(32)..],
                record.key_id.id.clone().unwrap_or_default(),
                name,
                value.encode_to_vec(),
                record.encode_to_vec(),
            ],
        )?;
    }
    let state = State {
        version: result.state.version,
        hash: result.state.hash,
    };
    set_state(unit, phone, collection, &state)
}

/// One setting as the phone holds it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The collection that it is in, as `regular_low`.
    pub collection: String,
    /// What the setting is of: the action's name, then its chat, message or the like.
    pub index: Vec<String>,
    /// What it is set to: the members of `SyncActionValue` that are there.
    pub value: Value,
}

/// All settings of a phone, collection by collection. If one is there under an older and a newer key, the latter
/// counts.
pub(crate) fn list(unit: &Unit<'_>, phone: &str) -> Result<Vec<Record>> {
    let mut statement = unit.prepare(
        "SELECT r.collection, r.name, r.value, MAX(k.epoch) FROM phone_app_state_records r
         JOIN app_state_keys k ON k.phone = r.phone AND k.key_id = r.key_id
         WHERE r.phone = ?1 GROUP BY r.collection, r.name ORDER BY r.collection, r.name",
    )?;
    let mut rows = statement.query([phone])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let value = decode(row.get_ref(2)?.as_blob().unwrap_or_default())?;
        records.push(Record {
            collection: row.get(0)?,
            index: serde_json::from_str(&name).map_err(|error| Error::codec("an index", error))?,
            value: tidy(serde_json::to_value(&value).map_err(|error| Error::codec("a setting", error))?),
        });
    }
    Ok(records)
}

/// The members that are there, named as in JSON elsewhere.
fn tidy(value: Value) -> Value {
    let Value::Object(members) = value else {
        return value;
    };
    let there = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(
        there
            .map(|(name, value)| (camel_case(&name), tidy(value)))
            .collect(),
    )
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// The value of one setting.
pub(crate) fn value(unit: &Unit<'_>, phone: &str, index: &[&str]) -> Result<Option<wa::SyncActionValue>> {
    let name = serde_json::to_string(index).map_err(|error| Error::codec("an index", error))?;
    let value: Option<Vec<u8>> = unit
        .prepare(
            "SELECT r.value FROM phone_app_state_records r
             JOIN app_state_keys k ON k.phone = r.phone AND k.key_id = r.key_id
             WHERE r.phone = ?1 AND r.name = ?2 ORDER BY k.epoch DESC LIMIT 1",
        )?
        .query_row((phone, name), |row| row.get(0))
        .optional()?;
    value.map(|value| decode(&value)).transpose()
}

pub(super) fn decode(value: &[u8]) -> Result<wa::SyncActionValue> {
    wa::SyncActionValue::decode_from_slice(value).map_err(|error| Error::codec("a setting", error))
}
