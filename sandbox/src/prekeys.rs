//! The bundles with which a stranger starts a Signal session with a device.

use rusqlite::OptionalExtension as _;
use wacore_libsignal::protocol::{GenericSignedPreKey as _, PreKeyBundle, PublicKey};

use crate::directory::Address;
use crate::error::{Error, Result};
use crate::phone::identity;
use crate::store::Unit;

/// The public keys of a device, with one prekey that nobody else gets.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub(crate) registration_id: u32,
    pub(crate) identity: Vec<u8>,
    pub(crate) signed_id: u32,
    pub(crate) signed_key: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// Absent when a companion has none left: the session then starts from the signed one alone.
    pub(crate) one_time: Option<(u32, Vec<u8>)>,
    /// A companion's proof that its account linked it.
    pub(crate) device_identity: Option<Vec<u8>>,
}

/// Takes a bundle of `address`; `None` if there is no such device.
pub(crate) fn take(unit: &Unit<'_>, address: &Address) -> Result<Option<Bundle>> {
    let Some(mut bundle) = public(unit, address)? else {
        return Ok(None);
    };
    bundle.one_time = if address.device == 0 {
        let record = identity::make_pre_key(unit, &address.phone)?;
        Some((
            record.id()?.into(),
            record.public_key()?.public_key_bytes().to_vec(),
        ))
    } else {
        unit.prepare(
            "DELETE FROM pre_keys WHERE phone = ?1 AND device = ?2 AND id =
                 (SELECT MIN(id) FROM pre_keys WHERE phone = ?1 AND device = ?2)
             RETURNING id, public",
        )?
        .query_row((&address.phone, address.device), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?
    };
    Ok(Some(bundle))
}

/// The long-lived keys of `address`, no one-time prekey taken.
pub(crate) fn public(unit: &Unit<'_>, address: &Address) -> Result<Option<Bundle>> {
    if address.device == 0 {
        if crate::directory::by_phone(unit, &address.phone)?.is_none() {
            return Ok(None);
        }
        let secrets = identity::secrets(unit, &address.phone)?;
        return Ok(Some(Bundle {
            registration_id: secrets.registration_id,
            identity: secrets.identity.public_key().public_key_bytes().to_vec(),
            signed_id: secrets.signed_pre_key.id()?.into(),
            signed_key: secrets.signed_pre_key.public_key()?.public_key_bytes().to_vec(),
            signature: secrets.signed_pre_key.signature()?,
            one_time: None,
            device_identity: None,
        }));
    }
    let row = unit
        .prepare(
            "SELECT registration_id, identity, signed_pre_key_id, signed_pre_key, signed_pre_key_signature,
                 device_identity
             FROM companions WHERE phone = ?1 AND device = ?2",
        )?
        .query_row((&address.phone, address.device), |row| {
            Ok(Bundle {
                registration_id: row.get(0)?,
                identity: row.get(1)?,
                signed_id: row.get(2)?,
                signed_key: row.get(3)?,
                signature: row.get(4)?,
                one_time: None,
                device_identity: Some(row.get(5)?),
            })
        })
        .optional()?;
    Ok(row)
}

/// How many one-time prekeys a companion has left on the server.
pub(crate) fn count(unit: &Unit<'_>, address: &Address) -> Result<u32> {
    Ok(unit
        .prepare("SELECT COUNT(*) FROM pre_keys WHERE phone = ?1 AND device = ?2")?
        .query_row((&address.phone, address.device), |row| row.get(0))?)
}

/// A companion's one-time prekeys in the order of their ids.
pub(crate) fn all(unit: &Unit<'_>, address: &Address) -> Result<Vec<(u32, Vec<u8>)>> {
    let mut statement =
        unit.prepare("SELECT id, public FROM pre_keys WHERE phone = ?1 AND device = ?2 ORDER BY id")?;
    let rows = statement.query_map((&address.phone, address.device), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores one-time prekeys that a companion uploaded.
pub(crate) fn add(unit: &Unit<'_>, address: &Address, keys: &[(u32, [u8; 32])]) -> Result<()> {
    let mut statement =
        unit.prepare("INSERT OR REPLACE INTO pre_keys (phone, device, id, public) VALUES (?1, ?2, ?3, ?4)")?;
    for (id, public) in keys {
        statement.execute((&address.phone, address.device, id, public))?;
    }
    Ok(())
}

impl Bundle {
    /// The bundle as libsignal takes it.
    pub(crate) fn into_signal(self, device: u16) -> Result<PreKeyBundle> {
        let key = |bytes: &[u8]| {
            PublicKey::from_djb_public_key_bytes(bytes).map_err(|error| Error::codec("a public key", error))
        };
        let one_time = match &self.one_time {
            Some((id, public)) => Some(((*id).into(), key(public)?)),
            None => None,
        };
        Ok(PreKeyBundle::new(
            self.registration_id,
            u32::from(device).into(),
            one_time,
            self.signed_id.into(),
            key(&self.signed_key)?,
            self.signature.clone(),
            key(&self.identity)?.into(),
        )?)
    }
}
