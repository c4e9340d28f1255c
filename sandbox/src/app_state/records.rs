//! The records of a collection, as its patches have left them.

use buffa::Message as _;
use waproto::whatsapp as wa;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use super::patch::operation;
use crate::error::{Error, Result};
use crate::store::Unit;

/// The most records in a collection.
const MAX_RECORDS: usize = 50_000;

/// Applies mutations to the records. Removals come first: a patch that removes and sets one index replaces it.
pub(super) fn merge(
    unit: &Unit<'_>,
    phone: &str,
    collection: &str,
    mutations: &[wa::SyncdMutation],
) -> Result<()> {
    let index = |mutation: &wa::SyncdMutation| mutation.record.index.blob.clone().unwrap_or_default();
    let of = |wanted: SyncdOperation| mutations.iter().filter(move |m| operation(m) == Some(wanted));
    for mutation in of(SyncdOperation::REMOVE) {
        unit.execute(
            "DELETE FROM app_state_records WHERE phone = ?1 AND collection = ?2 AND index_mac = ?3",
            (phone, collection, index(mutation)),
        )?;
    }
    for mutation in of(SyncdOperation::SET) {
        put_record(unit, phone, collection, &mutation.record)?;
    }
    Ok(())
}

/// Refuses mutations that might make a collection too large, if every index that they set were a new one.
pub(super) fn check_room(unit: &Unit<'_>, phone: &str, collection: &str, mutations: usize) -> Result<()> {
    let records: usize = unit
        .prepare("SELECT COUNT(*) FROM app_state_records WHERE phone = ?1 AND collection = ?2")?
        .query_row((phone, collection), |row| row.get(0))?;
    if records + mutations > MAX_RECORDS {
        return Err(Error::Invalid("the collection is full".into()));
    }
    Ok(())
}

/// Puts one record in the place of that of its index.
pub(super) fn put_record(
    unit: &Unit<'_>,
    phone: &str,
    collection: &str,
    record: &wa::SyncdRecord,
) -> Result<()> {
    unit.execute(
        "INSERT OR REPLACE INTO app_state_records (phone, collection, index_mac, record) VALUES (?1, ?2, ?3, ?4)",
        (
            phone,
            collection,
            record.index.blob.clone().unwrap_or_default(),
            record.encode_to_vec(),
        ),
    )?;
    Ok(())
}
