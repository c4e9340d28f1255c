//! Linked devices: how they come, how they go, and who is told.

use rusqlite::OptionalExtension as _;
use wacore::messages::MessageUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::directory::{self, Account, Address, Family};
use crate::error::{Error, Result};
use crate::phone::{adv, key_share};
use crate::store::Unit;
use crate::store::queue::{self, Kind, Stanza};

/// Companions that a phone may have, as in the apps.
pub(crate) const MAX_COMPANIONS: u32 = 4;

/// The public keys with which a device registers, and what it says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    /// Signal's registration id, unique within the account.
    pub(crate) number: u32,
    pub(crate) identity: [u8; 32],
    pub(crate) signed_id: u32,
    pub(crate) signed_key: [u8; 32],
    pub(crate) signature: Vec<u8>,
    /// `DeviceProps`: what the device is, and how much history it wants.
    pub(crate) device_props: Vec<u8>,
    /// What it is, as `chrome` or `android_phone`.
    pub(crate) platform: String,
    /// The system on which it runs, or a name that it gives itself.
    pub(crate) name: String,
}

/// A linked device as its phone lists it.
#[derive(Debug)]
pub(crate) struct Companion {
    pub(crate) device: u16,
    pub(crate) platform: String,
    pub(crate) name: String,
}

/// The devices linked to an account, oldest first.
pub(crate) fn all(unit: &Unit<'_>, phone: &str) -> Result<Vec<Companion>> {
    let mut statement =
        unit.prepare("SELECT device, platform, name FROM companions WHERE phone = ?1 ORDER BY device")?;
    let rows = statement.query_map([phone], |row| {
        Ok(Companion {
            device: row.get(0)?,
            platform: row.get(1)?,
            name: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Checks that the account may have one more device. A device that pairs anew under its Noise key replaces itself.
///
/// # Errors
/// [`Error::Conflict`] where it has [`MAX_COMPANIONS`].
pub(crate) fn check_room(unit: &Unit<'_>, phone: &str, noise_key: &[u8; 32]) -> Result<()> {
    let linked: u32 = unit
        .prepare("SELECT COUNT(*) FROM companions WHERE phone = ?1 AND noise_key <> ?2")?
        .query_row((phone, noise_key), |row| row.get(0))?;
    if linked < MAX_COMPANIONS {
        Ok(())
    } else {
        Err(Error::Conflict(format!(
            "this phone has {MAX_COMPANIONS} linked devices, the most it may have: unlink one first"
        )))
    }
}

/// When a device was linked, milliseconds since the Unix epoch.
pub(crate) fn linked_at(unit: &Unit<'_>, address: &Address) -> Result<i64> {
    Ok(unit
        .prepare("SELECT linked_at FROM companions WHERE phone = ?1 AND device = ?2")?
        .query_row((&address.phone, address.device), |row| row.get(0))?)
}

/// Takes the next device number of an account. It is also the device's key index, and never given again.
pub(crate) fn next_device(unit: &Unit<'_>, phone: &str) -> Result<u16> {
    Ok(unit
        .prepare(
            "UPDATE phones SET next_device = next_device + 1 WHERE phone = ?1 RETURNING next_device - 1",
        )?
        .query_row([phone], |row| row.get(0))?)
}

/// Links a device, whose identity both sides have signed, and tells those who know the account's devices.
pub(crate) fn link(
    unit: &mut Unit<'_>,
    address: &Address,
    noise_key: &[u8; 32],
    keys: &Registration,
    device_identity: &[u8],
) -> Result<()> {
    // A client that pairs anew under the same Noise key leaves its former device behind.
    if let Some(former) = by_noise_key(unit, noise_key)? {
        unlink(unit, &former)?;
    }
    // Others may have been linked since the phone looked.
    check_room(unit, &address.phone, noise_key)?;
    unit.execute(
        "INSERT INTO companions (phone, device, noise_key, identity, registration_id, signed_pre_key_id,
             signed_pre_key, signed_pre_key_signature, device_identity, key_index, device_props, linked_at, platform,
             name)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?2, ?10, ?11, ?12, ?13)",
        rusqlite::params![
            address.phone,
            address.device,
            noise_key,
            keys.identity,
            keys.number,
            keys.signed_id,
            keys.signed_key,
            keys.signature,
            device_identity,
            keys.device_props,
            unit.now_ms(),
            keys.platform,
            keys.name,
        ],
    )?;
    announce(unit, address, "add")
}

/// Unlinks a device: its keys and what waited for it go, its connection is closed, its next login refused.
pub(crate) fn unlink(unit: &mut Unit<'_>, address: &Address) -> Result<()> {
    unit.removed(address.clone());
    leave(unit, address)
}

/// The same for a device that asked for it. Its connection stays open for the answer.
pub(crate) fn leave(unit: &mut Unit<'_>, address: &Address) -> Result<()> {
    let gone = unit.execute(
        "DELETE FROM companions WHERE phone = ?1 AND device = ?2",
        (&address.phone, address.device),
    )?;
    if gone == 0 {
        return Ok(());
    }
    queue::discard(unit, address)?;
    announce(unit, address, "remove")?;
    // What is written from now on is not for the device that went.
    let account = directory::require(unit, &address.phone)?;
    key_share::share_due(unit, &account)
}

/// The addresses of every linked device of the network.
pub(crate) fn everywhere(unit: &Unit<'_>) -> Result<Vec<Address>> {
    let mut statement = unit.prepare("SELECT phone, device FROM companions ORDER BY phone, device")?;
    let rows = statement.query_map([], |row| {
        Ok(Address {
            phone: row.get(0)?,
            device: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The device that owns a Noise key.
pub(crate) fn by_noise_key(unit: &Unit<'_>, noise_key: &[u8; 32]) -> Result<Option<Address>> {
    Ok(unit
        .prepare("SELECT phone, device FROM companions WHERE noise_key = ?1")?
        .query_row([noise_key], |row| {
            Ok(Address {
                phone: row.get(0)?,
                device: row.get(1)?,
            })
        })
        .optional()?)
}

/// Remembers that `watcher` knows the devices of `phone` and wants to hear of changes.
pub(crate) fn watch(unit: &Unit<'_>, phone: &str, watcher: &str) -> Result<()> {
    unit.execute(
        "INSERT OR IGNORE INTO device_watchers (phone, watcher) VALUES (?1, ?2)",
        (phone, watcher),
    )?;
    Ok(())
}

/// The `<key-index-list>` that goes with an account's devices.
pub(crate) fn key_index_node(unit: &Unit<'_>, phone: &str) -> Result<Node> {
    let (list, timestamp) = adv::key_index_list(unit, phone)?;
    Ok(NodeBuilder::new("key-index-list")
        .attr("ts", timestamp)
        .bytes(list)
        .build())
}

/// Tells all companions of the account and of those who asked for its devices. Without this a client goes by its
/// cached list for an hour and skips the new device. Own devices get the whole list, others what changed.
fn announce(unit: &mut Unit<'_>, changed: &Address, action: &'static str) -> Result<()> {
    unit.execute(
        "UPDATE phones SET adv_changed = MAX(adv_changed + 1, ?2) WHERE phone = ?1",
        (&changed.phone, unit.now_secs()),
    )?;
    let account = directory::require(unit, &changed.phone)?;
    let id = format!("devices-{}-{}-{action}", account.lid, changed.device);
    let list = own_list(unit, &account)?;
    tell(unit, changed, &account.phone, ("account_sync", &id, list))?;
    let watchers: Vec<String> = unit
        .prepare("SELECT watcher FROM device_watchers WHERE phone = ?1 AND watcher <> ?1")?
        .query_map([&changed.phone], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let change = change(unit, &account, changed.device, action)?;
    for watcher in watchers {
        tell(unit, changed, &watcher, ("devices", &id, change.clone()))?;
    }
    Ok(())
}

/// Queues a notification about the devices of `changed`'s account for the companions of `phone`.
fn tell(
    unit: &mut Unit<'_>,
    changed: &Address,
    phone: &str,
    (kind, id, child): (&'static str, &str, Node),
) -> Result<()> {
    let account = directory::require(unit, &changed.phone)?;
    let node = NodeBuilder::new("notification")
        .attr("from", account.jid(Family::Pn, 0))
        .attr("id", id)
        .attr("type", kind)
        .attr("t", unit.now_secs())
        .attr("lid", account.jid(Family::Lid, 0))
        .children([child])
        .build();
    let sender = Address::primary(&account.phone);
    let stanza = Stanza {
        kind: Kind::Notification,
        id,
        subtype: kind,
        sender: &sender,
        node: &node,
    };
    for companion in all(unit, phone)? {
        let address = Address::new(phone, companion.device);
        if address != *changed {
            queue::push(unit, &address, &stanza)?;
        }
    }
    Ok(())
}

/// An account's devices as its own companions are told of them.
fn own_list(unit: &Unit<'_>, account: &Account) -> Result<Node> {
    let numbers = directory::devices(unit, &account.phone)?;
    let jids: Vec<_> = numbers
        .iter()
        .map(|device| account.jid(Family::Pn, *device))
        .collect();
    let hash =
        MessageUtils::participant_list_hash(&jids).map_err(|error| Error::codec("a device hash", error))?;
    let mut children: Vec<Node> = numbers
        .iter()
        .zip(jids)
        .map(|(device, jid)| {
            let entry = NodeBuilder::new("device").attr("jid", jid);
            if *device == 0 {
                entry.build()
            } else {
                entry.attr("key-index", *device).build()
            }
        })
        .collect();
    children.push(key_index_node(unit, &account.phone)?);
    Ok(NodeBuilder::new("devices")
        .attr("dhash", hash)
        .children(children)
        .build())
}

fn change(unit: &Unit<'_>, account: &Account, device: u16, action: &'static str) -> Result<Node> {
    let entry = NodeBuilder::new("device")
        .attr("jid", account.jid(Family::Pn, device))
        .attr("key-index", device)
        .attr("lid", account.jid(Family::Lid, device))
        .build();
    Ok(NodeBuilder::new(action)
        .children([entry, key_index_node(unit, &account.phone)?])
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    fn keys(number: u32) -> Registration {
        Registration {
            device_props: Vec::new(),
            number,
            identity: [7; 32],
            signed_id: 1,
            signed_key: [8; 32],
            signature: vec![9; 64],
            platform: "chrome".into(),
            name: "Test".into(),
        }
    }

    fn link_next(unit: &mut Unit<'_>, phone: &str, noise: u8) -> Result<Address> {
        let address = Address::new(phone, next_device(unit, phone)?);
        link(unit, &address, &[noise; 32], &keys(u32::from(noise)), b"identity")?;
        Ok(address)
    }

    #[test]
    fn the_list_of_key_indexes_follows_the_devices() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            let first = link_next(unit, &phone, 1)?;
            let before = adv::key_index_list(unit, &phone)?.1;
            link_next(unit, &phone, 2)?;
            unlink(unit, &first)?;
            // The device that pairs anew takes the place of what it was.
            link_next(unit, &phone, 2)?;
            let (list, after) = adv::key_index_list(unit, &phone)?;
            assert!(after > before, "every change has a time of its own");
            let decoded = wacore::adv::decode_key_index_list(&list).expect("a list");
            assert_eq!(decoded.valid_indexes, [0, 3]);
            assert_eq!(all(unit, &phone)?.len(), 1);
            Ok(())
        });
    }

    #[test]
    fn the_fifth_finds_no_room() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            for noise in 1..=4 {
                link_next(unit, &phone, noise)?;
            }
            assert!(matches!(link_next(unit, &phone, 5), Err(Error::Conflict(_))));
            // One that is linked already needs none.
            link_next(unit, &phone, 4)?;
            assert_eq!(all(unit, &phone)?.len(), 4);
            Ok(())
        });
    }
}
