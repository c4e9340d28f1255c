//! The server's side of app state: settings that an account's devices share, in five collections of encrypted
//! records.
//!
//! The server reads nothing of them. A device brings a patch together with the version that it knows. A patch on the
//! current version raises it by one. Any other patch is a conflict, which its author resolves with what it missed.
//! Records are replaced and removed by the MAC of their index. So the server can make a snapshot, whose MAC the
//! author of the last patch gave. Only devices check MACs.

mod notice;
mod patch;
mod records;

use buffa::Message as _;
use rusqlite::OptionalExtension as _;
use waproto::whatsapp as wa;

use crate::directory::Address;
use crate::error::{Error, Result};
use crate::store::Unit;
use notice::notify;
use records::{check_room, merge, put_record};

/// The collections, most urgent first.
pub(crate) const COLLECTIONS: [&str; 5] = [
    "critical_block",
    "critical_unblock_low",
    "regular_high",
    "regular",
    "regular_low",
];

/// Patches that are kept. A device that is further behind gets a snapshot.
const KEPT_PATCHES: u64 = 500;

/// How many patches, and about how many bytes of them, go out at once.
const PAGE: usize = 100;
const PAGE_BYTES: usize = 1024 * 1024;

/// Where a collection stands.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: u64,
    /// Patches after this version are kept; earlier ones only live on in the records.
    pub(crate) floor: u64,
    snapshot_mac: Vec<u8>,
    key_id: Vec<u8>,
}

/// What became of a patch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Uploaded {
    /// The collection has this version now.
    Stored(u64),
    /// It was made on another version than the current one.
    Conflict,
}

/// Some patches of a collection in order.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// `SyncdPatch`, encoded.
    pub(crate) patches: Vec<Vec<u8>>,
    pub(crate) more: bool,
}

/// The collection's own name for what a client asks for.
pub(crate) fn collection(name: &str) -> Option<&'static str> {
    COLLECTIONS.into_iter().find(|known| *known == name)
}

/// Where a collection stands; version 0 is the empty one.
pub(crate) fn head(unit: &Unit<'_>, phone: &str, collection: &str) -> Result<Head> {
    let head = unit
        .prepare(
            "SELECT version, floor, snapshot_mac, key_id FROM app_state_collections
             WHERE phone = ?1 AND collection = ?2",
        )?
        .query_row((phone, collection), |row| {
            Ok(Head {
                version: row.get(0)?,
                floor: row.get(1)?,
                snapshot_mac: row.get(2)?,
                key_id: row.get(3)?,
            })
        })
        .optional()?;
    Ok(head.unwrap_or_default())
}

/// Stores the patch that `author` made on version `base`, and tells the account's other devices.
///
/// # Errors
/// [`Error::Invalid`] for a patch that is none.
pub(crate) fn upload(
    unit: &mut Unit<'_>,
    author: &Address,
    collection: &'static str,
    base: u64,
    raw: &[u8],
) -> Result<Uploaded> {
    let patch = patch::read(raw)?;
    let phone = &author.phone;
    let head = head(unit, phone, collection)?;
    if base > head.version {
        return Err(Error::Invalid("the patch is ahead of its collection".into()));
    }
    if base < head.version {
        return Ok(Uploaded::Conflict);
    }
    let version = head.version + 1;
    check_room(unit, phone, collection, patch.mutations.len())?;
    merge(unit, phone, collection, &patch.mutations)?;
    // The version is appended: of a field that comes twice the last counts, and the author's bytes stay as they are.
    let numbered = wa::SyncdPatch {
        version: wa::SyncdVersion {
            version: Some(version),
        }
        .into(),
        ..Default::default()
    };
    let stored = [raw, &numbered.encode_to_vec()].concat();
    unit.execute(
        "INSERT INTO app_state_patches (phone, collection, version, patch) VALUES (?1, ?2, ?3, ?4)",
        (phone, collection, version, stored),
    )?;
    let floor = head.floor.max(version.saturating_sub(KEPT_PATCHES));
    unit.execute(
        "DELETE FROM app_state_patches WHERE phone = ?1 AND collection = ?2 AND version <= ?3",
        (phone, collection, floor),
    )?;
    let head = Head {
        version,
        floor,
        snapshot_mac: patch.snapshot_mac.unwrap_or_default(),
        key_id: patch.key_id.id.clone().unwrap_or_default(),
    };
    set_head(unit, phone, collection, &head)?;
    notify(unit, author, collection, version)?;
    Ok(Uploaded::Stored(version))
}

fn set_head(unit: &Unit<'_>, phone: &str, collection: &str, head: &Head) -> Result<()> {
    unit.execute(
        "INSERT OR REPLACE INTO app_state_collections (phone, collection, version, floor, snapshot_mac, key_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            phone,
            collection,
            head.version,
            head.floor,
            &head.snapshot_mac,
            &head.key_id,
        ),
    )?;
    Ok(())
}

/// The patches after `version`, as many as go out at once.
pub(crate) fn after(unit: &Unit<'_>, phone: &str, collection: &str, version: u64) -> Result<Page> {
    let mut statement = unit.prepare(
        "SELECT patch FROM app_state_patches WHERE phone = ?1 AND collection = ?2 AND version > ?3
         ORDER BY version LIMIT ?4",
    )?;
    let mut rows = statement.query((phone, collection, version, PAGE + 1))?;
    let mut page = Page::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let patch: Vec<u8> = row.get(0)?;
        bytes += patch.len();
        if page.patches.len() == PAGE || (bytes > PAGE_BYTES && !page.patches.is_empty()) {
            page.more = true;
            break;
        }
        page.patches.push(patch);
    }
    Ok(page)
}

/// All records at the current version, in the form in which devices take them over; `None` for an empty collection.
pub(crate) fn snapshot(unit: &Unit<'_>, phone: &str, collection: &str) -> Result<Option<wa::SyncdSnapshot>> {
    let head = head(unit, phone, collection)?;
    if head.version == 0 {
        return Ok(None);
    }
    let mut statement =
        unit.prepare("SELECT record FROM app_state_records WHERE phone = ?1 AND collection = ?2")?;
    let mut rows = statement.query((phone, collection))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob().unwrap_or_default();
        let record = wa::SyncdRecord::decode_from_slice(bytes)
            .map_err(|error| Error::codec("an app-state record", error))?;
        records.push(record);
    }
    Ok(Some(wa::SyncdSnapshot {
        version: wa::SyncdVersion {
            version: Some(head.version),
        }
        .into(),
        records,
        mac: Some(head.snapshot_mac),
        key_id: wa::KeyId {
            id: Some(head.key_id),
        }
        .into(),
    }))
}

/// Replaces a collection with `snapshot`, as only the phone may. Its version must be a new one.
pub(crate) fn replace(
    unit: &mut Unit<'_>,
    phone: &str,
    collection: &'static str,
    snapshot: &wa::SyncdSnapshot,
) -> Result<()> {
    let version = snapshot.version.version.unwrap_or_default();
    if version <= head(unit, phone, collection)?.version {
        return Err(Error::Conflict(
            "the snapshot is older than its collection".into(),
        ));
    }
    for table in ["app_state_patches", "app_state_records"] {
        let sql = format!("DELETE FROM {table} WHERE phone = ?1 AND collection = ?2");
        unit.execute(&sql, (phone, collection))?;
    }
    for record in &snapshot.records {
        put_record(unit, phone, collection, record)?;
    }
    let head = Head {
        version,
        floor: version,
        snapshot_mac: snapshot.mac.clone().unwrap_or_default(),
        key_id: snapshot.key_id.id.clone().unwrap_or_default(),
    };
    set_head(unit, phone, collection, &head)?;
    notify(unit, &Address::primary(phone), collection, version)
}

#[cfg(test)]
mod tests {
    use waproto::whatsapp::syncd_mutation::SyncdOperation;

    use super::patch::{MAC, MAX_PATCH};
    use super::*;
    use crate::phone::identity;
    use crate::store::queue;
    use crate::store::testing::Bench;

    fn mutation(operation: SyncdOperation, index: u8, value: u8) -> wa::SyncdMutation {
        wa::SyncdMutation {
            operation: Some(operation.into()),
            record: wa::SyncdRecord {
                index: wa::SyncdIndex {
                    blob: Some(vec![index; MAC]),
                }
                .into(),
                value: wa::SyncdValue {
                    blob: Some(vec![value; 64]),
                }
                .into(),
                key_id: wa::KeyId { id: Some(vec![1]) }.into(),
            }
            .into(),
        }
    }

    fn patch(mutations: Vec<wa::SyncdMutation>, mac: u8) -> Vec<u8> {
        wa::SyncdPatch {
            mutations,
            snapshot_mac: Some(vec![mac; MAC]),
            patch_mac: Some(vec![0; MAC]),
            key_id: wa::KeyId { id: Some(vec![1]) }.into(),
            ..Default::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn a_patch_on_the_current_version_raises_it_and_any_other_conflicts() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            let author = Address::new(&phone, 1);
            let set = patch(vec![mutation(SyncdOperation::SET, 1, 1)], 1);
            assert_eq!(upload(unit, &author, "regular", 0, &set)?, Uploaded::Stored(1));
            assert_eq!(upload(unit, &author, "regular", 0, &set)?, Uploaded::Conflict);
            assert!(matches!(
                upload(unit, &author, "regular", 2, &set),
                Err(Error::Invalid(_))
            ));
            let replaced = patch(
                vec![
                    mutation(SyncdOperation::SET, 1, 2),
                    mutation(SyncdOperation::REMOVE, 1, 1),
                    mutation(SyncdOperation::SET, 2, 3),
                ],
                2,
            );
            assert_eq!(
                upload(unit, &author, "regular", 1, &replaced)?,
                Uploaded::Stored(2)
            );
            let page = after(unit, &phone, "regular", 1)?;
            assert_eq!((page.patches.len(), page.more), (1, false));
            let stored = wa::SyncdPatch::decode_from_slice(&page.patches[0]).unwrap();
            assert_eq!(stored.version.version, Some(2));
            assert_eq!(stored.mutations.len(), 3);
            let snapshot = snapshot(unit, &phone, "regular")?.expect("it is not empty");
            assert_eq!(snapshot.records.len(), 2);
            assert_eq!(snapshot.mac, Some(vec![2; MAC]));
            // The phone has been told once for all of it.
            assert_eq!(queue::backlog(unit, &Address::primary(&phone))?.appdata, 1);
            Ok(())
        });
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let author = Address::new(identity::create(unit, None, None)?.phone, 1);
            let mut keyless = mutation(SyncdOperation::SET, 1, 1);
            if let Some(record) = keyless.record.as_option_mut() {
                record.key_id = buffa::MessageField::none();
            }
            let bad = [
                vec![0xff],
                Vec::new(),
                patch(Vec::new(), 1),
                patch(vec![keyless], 1),
                vec![0; MAX_PATCH + 1],
            ];
            for raw in bad {
                assert!(matches!(
                    upload(unit, &author, "regular", 0, &raw),
                    Err(Error::Invalid(_))
                ));
            }
            assert_eq!(head(unit, &author.phone, "regular")?, Head::default());
            Ok(())
        });
    }

    #[test]
    fn old_patches_go_and_pages_say_that_there_is_more() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let author = Address::new(identity::create(unit, None, None)?.phone, 1);
            for version in 0..KEPT_PATCHES + 10 {
                let set = patch(vec![mutation(SyncdOperation::SET, 1, 1)], 1);
                upload(unit, &author, "regular", version, &set)?;
            }
            let head = head(unit, &author.phone, "regular")?;
            assert_eq!((head.version, head.floor), (KEPT_PATCHES + 10, 10));
            let (mut version, mut pages) = (head.floor, 0);
            loop {
                let page = after(unit, &author.phone, "regular", version)?;
                version += page.patches.len() as u64;
                pages += 1;
                if !page.more {
                    break;
                }
            }
            assert_eq!((version, pages), (head.version, 5));
            Ok(())
        });
    }
}
