//! What the server reads of a patch before it takes it.

use buffa::Message as _;
use waproto::whatsapp as wa;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use crate::error::{Error, Result};

/// The most mutations in a patch, as the clients limit themselves.
const MAX_MUTATIONS: usize = 1_000;

/// The longest patch, in bytes.
pub(super) const MAX_PATCH: usize = 1024 * 1024;

/// The MACs that bind a patch to a state have this many bytes.
pub(super) const MAC: usize = 32;

/// Decodes a patch and checks what the server has to know of it.
pub(super) fn read(raw: &[u8]) -> Result<wa::SyncdPatch> {
    let invalid = |why: &str| Error::Invalid(format!("a patch {why}"));
    if raw.len() > MAX_PATCH {
        return Err(invalid("that is too long"));
    }
    let patch = wa::SyncdPatch::decode_from_slice(raw).map_err(|_| invalid("that does not decode"))?;
    if patch.external_mutations.is_set() {
        return Err(invalid("whose mutations are elsewhere"));
    }
    if patch.mutations.is_empty() || patch.mutations.len() > MAX_MUTATIONS {
        return Err(invalid("without mutations, or with too many"));
    }
    let mac = |mac: &Option<Vec<u8>>| mac.as_ref().is_some_and(|mac| mac.len() == MAC);
    if !mac(&patch.snapshot_mac) || !mac(&patch.patch_mac) || !has_key(&patch.key_id) {
        return Err(invalid("without its MACs and their key"));
    }
    let whole = |mutation: &wa::SyncdMutation| {
        let record = mutation.record.as_option();
        operation(mutation).is_some()
            && record.is_some_and(|record| {
                mac(&record.index.blob) && record.value.blob.is_some() && has_key(&record.key_id)
            })
    };
    if !patch.mutations.iter().all(whole) {
        return Err(invalid("with a mutation that is not whole"));
    }
    Ok(patch)
}

fn has_key(key: &buffa::MessageField<wa::KeyId>) -> bool {
    key.id.as_ref().is_some_and(|id| !id.is_empty())
}

/// What a mutation does; `None` for what no server knows.
pub(super) fn operation(mutation: &wa::SyncdMutation) -> Option<SyncdOperation> {
    mutation
        .operation
        .map_or(Some(SyncdOperation::SET), |operation| operation.as_known())
}
