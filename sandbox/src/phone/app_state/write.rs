//! What a phone writes: patches of its own, and snapshots that replace a broken collection.

use std::collections::BTreeMap;

use buffa::Message as _;
use rand::RngExt as _;
use wacore::appstate::hash::generate_patch_mac;
use wacore::appstate::schemas::{self, IndexPart, Schema};
use wacore::appstate::{encode_record, expand_app_state_keys};
use waproto::whatsapp as wa;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use super::changes;
use super::keys::{self, Ring};
use super::pull;
use super::records::{self, Local, State};
use crate::app_state::{self as server, Uploaded};
use crate::directory::{Account, Address};
use crate::error::{Error, Result};
use crate::store::Unit;

/// The language of a new phone.
const LOCALE: &str = "en-GB";

/// A setting to write.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) schema: &'static Schema,
    /// The parts of the index that follow the action's name.
    pub(crate) index: Vec<String>,
    pub(crate) value: wa::SyncActionValue,
}

impl Change {
    /// The index as it is written: a JSON array.
    fn name(&self) -> Result<String> {
        let mut rest = self.index.iter().map(String::as_str);
        let parts: Option<Vec<&str>> = self
            .schema
            .index_parts
            .iter()
            .map(|part| match part {
                IndexPart::Literal { value } => Some(*value),
                _ => rest.next(),
            })
            .collect();
        let parts = parts.ok_or_else(|| Error::codec("an index", "a part is missing"))?;
        serde_json::to_string(&parts).map_err(|error| Error::codec("an index", error))
    }

    fn collection(&self) -> Result<&'static str> {
        server::collection(self.schema.collection.as_str())
            .ok_or_else(|| Error::codec("a collection", "the server does not know it"))
    }
}

/// Writes settings, in one patch for each collection.
pub(crate) fn author(unit: &mut Unit<'_>, account: &Account, changes: Vec<Change>) -> Result<()> {
    let mut by_collection: BTreeMap<&'static str, Vec<Change>> = BTreeMap::new();
    for change in changes {
        by_collection
            .entry(change.collection()?)
            .or_default()
            .push(change);
    }
    for (collection, changes) in by_collection {
        patch(unit, account, collection, &changes)?;
    }
    Ok(())
}

fn patch(unit: &mut Unit<'_>, account: &Account, collection: &'static str, changes: &[Change]) -> Result<()> {
    let phone = &account.phone;
    pull(unit, account, collection)?;
    let key = keys::newest(unit, phone)?;
    let ring = keys::ring(unit, phone)?;
    let expanded = expand_app_state_keys(&key.secret);
    let mut mutations = Vec::new();
    for change in changes {
        let name = change.name()?;
        mutations.extend(under_older_keys(
            unit,
            phone,
            (collection, &name),
            &key.id,
            &ring,
        )?);
        let (mutation, _) = encode_record(
            SyncdOperation::SET,
            name.as_bytes(),
            &change.value,
            &expanded,
            &key.id,
            &rand::rng().random(),
            i32::try_from(change.schema.version).unwrap_or_default(),
        );
        mutations.push(mutation);
    }
    let mut patch = wa::SyncdPatch {
        mutations,
        key_id: wa::KeyId {
            id: Some(key.id.clone()),
        }
        .into(),
        device_index: Some(0),
        ..Default::default()
    };
    let local = Local::load(unit, phone, collection, &patch)?;
    let mut hash = local.state.hash_state();
    let previous = |index_mac: &[u8], _: usize| Ok(local.value_macs.get(index_mac).cloned());
    let (_, hashed) = hash.update_hash(&patch.mutations, previous);
    hashed.map_err(|error| Error::codec("an LT-hash", error))?;
    hash.version += 1;
    patch.snapshot_mac = Some(hash.generate_snapshot_mac(collection, &expanded.snapshot_mac));
    patch.patch_mac = Some(generate_patch_mac(
        &patch,
        collection,
        &expanded.patch_mac,
        hash.version,
    ));
    let author = Address::primary(phone);
    match server::upload(
        unit,
        &author,
        collection,
        hash.version - 1,
        &patch.encode_to_vec(),
    )? {
        // The phone takes its own patch as it takes any other's, and verifies it likewise.
        Uploaded::Stored(_) => pull(unit, account, collection),
        Uploaded::Conflict => Err(Error::Conflict(
            "the collection changed while it was written".into(),
        )),
    }
}

/// The removals of a setting's entries under older keys. A setting is found by the MAC of its index, which differs by
/// key, so these entries go when it is written anew.
fn under_older_keys(
    unit: &Unit<'_>,
    phone: &str,
    (collection, name): (&str, &str),
    newest: &[u8],
    ring: &Ring,
) -> Result<Vec<wa::SyncdMutation>> {
    let mut statement = unit.prepare(
        "SELECT key_id, value FROM phone_app_state_records
         WHERE phone = ?1 AND collection = ?2 AND name = ?3 AND key_id <> ?4",
    )?;
    let mut rows = statement.query((phone, collection, name, newest))?;
    let mut removals = Vec::new();
    while let Some(row) = rows.next()? {
        let key_id: Vec<u8> = row.get(0)?;
        let Some(keys) = ring.get(&key_id) else {
            continue;
        };
        let (mutation, _) = encode_record(
            SyncdOperation::REMOVE,
            name.as_bytes(),
            &records::decode(row.get_ref(1)?.as_blob().unwrap_or_default())?,
            keys,
            &key_id,
            &rand::rng().random(),
            1,
        );
        removals.push(mutation);
    }
    Ok(removals)
}

/// Writes what every account has from its beginning: its name and its language. Without effect later.
pub(crate) fn found(unit: &mut Unit<'_>, account: &Account) -> Result<()> {
    if records::value(unit, &account.phone, &[schemas::SETTING_PUSH_NAME.name])?.is_some() {
        return Ok(());
    }
    let changes = vec![
        changes::push_name(unit, account.name.clone()),
        changes::locale(unit, LOCALE.into()),
    ];
    author(unit, account, changes)
}

/// Replaces the server's copy of a collection with the phone's, as a snapshot of a new version.
pub(crate) fn repair(unit: &mut Unit<'_>, account: &Account, collection: &'static str) -> Result<()> {
    let phone = &account.phone;
    let mut state = records::state(unit, phone, collection)?;
    state.version = server::head(unit, phone, collection)?.version.max(state.version) + 1;
    let snapshot = snapshot(unit, phone, collection, &state)?;
    records::set_state(unit, phone, collection, &state)?;
    server::replace(unit, phone, collection, &snapshot)
}

fn snapshot(unit: &Unit<'_>, phone: &str, collection: &str, state: &State) -> Result<wa::SyncdSnapshot> {
    let key = keys::newest(unit, phone)?;
    let mac_key = expand_app_state_keys(&key.secret).snapshot_mac;
    let mut statement =
        unit.prepare("SELECT record FROM phone_app_state_records WHERE phone = ?1 AND collection = ?2")?;
    let mut rows = statement.query((phone, collection))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let record = wa::SyncdRecord::decode_from_slice(row.get_ref(0)?.as_blob().unwrap_or_default());
        records.push(record.map_err(|error| Error::codec("an app-state record", error))?);
    }
    Ok(wa::SyncdSnapshot {
        version: wa::SyncdVersion {
            version: Some(state.version),
        }
        .into(),
        records,
        mac: Some(state.hash_state().generate_snapshot_mac(collection, &mac_key)),
        key_id: wa::KeyId { id: Some(key.id) }.into(),
    })
}

/// The phone's copy of a collection, in the clear: for a companion that cannot get it in the usual way.
pub(crate) fn recovery_snapshot(
    unit: &Unit<'_>,
    phone: &str,
    collection: &str,
) -> Result<wa::SyncdSnapshotRecovery> {
    let state = records::state(unit, phone, collection)?;
    let mut statement = unit.prepare(
        "SELECT name, value, key_id, value_mac FROM phone_app_state_records WHERE phone = ?1 AND collection = ?2",
    )?;
    let mut rows = statement.query((phone, collection))?;
    let mut mutation_records = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let value = wa::SyncActionData {
            index: Some(name.into_bytes()),
            value: records::decode(row.get_ref(1)?.as_blob().unwrap_or_default())?.into(),
            ..Default::default()
        };
        mutation_records.push(wa::SyncdPlainTextRecord {
            value: value.into(),
            key_id: Some(row.get(2)?),
            mac: Some(row.get(3)?),
        });
    }
    Ok(wa::SyncdSnapshotRecovery {
        version: wa::SyncdVersion {
            version: Some(state.version),
        }
        .into(),
        collection_name: Some(collection.to_owned()),
        mutation_records,
        collection_lthash: Some(state.hash.to_vec()),
    })
}
