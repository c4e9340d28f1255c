//! Making phones, and the secrets they hold.

use std::sync::Arc;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rusqlite::OptionalExtension as _;
use wacore_libsignal::protocol::{
    GenericSignedPreKey as _, IdentityKeyPair, KeyPair, PreKeyRecord, SignedPreKeyRecord, Timestamp,
};

use crate::directory::{self, Account};
use crate::error::{Error, Result};
use crate::store::{Known, Unit};

/// The numbers that are given out: 155501 and six digits, a range no person has.
const NUMBER_PREFIX: &str = "155501";

/// A phone has one signed prekey and keeps it.
const SIGNED_PRE_KEY_ID: u32 = 1;

/// What only the phone knows.
pub(crate) struct Secrets {
    pub(crate) identity: IdentityKeyPair,
    pub(crate) registration_id: u32,
    pub(crate) signed_pre_key: SignedPreKeyRecord,
}

impl Secrets {
    fn new(unit: &Unit<'_>, rng: &mut StdRng) -> Result<Self> {
        let identity = IdentityKeyPair::generate(rng);
        let key_pair = KeyPair::generate(rng);
        let signature = identity
            .private_key()
            .calculate_signature(&key_pair.public_key.serialize(), rng)
            .map_err(|error| Error::codec("a signature", error))?;
        let timestamp = Timestamp::from_epoch_millis(unit.now_ms().unsigned_abs());
        Ok(Self {
            identity,
            // Signal's registration ids have 14 bits and are not zero.
            registration_id: rng.random_range(1_u32..16_380),
            signed_pre_key: SignedPreKeyRecord::new(
                SIGNED_PRE_KEY_ID.into(),
                timestamp,
                &key_pair,
                &signature,
            ),
        })
    }
}

/// Gives a phone new secrets, as an app has that was installed anew: it can open nothing that was sealed for the old ones.
pub(crate) fn renew(unit: &Unit<'_>, phone: &str) -> Result<()> {
    let secrets = Secrets::new(unit, &mut rand::make_rng::<StdRng>())?;
    unit.execute(
        "UPDATE phones SET identity = ?2, registration_id = ?3, signed_pre_key = ?4 WHERE phone = ?1",
        (
            phone,
            secrets.identity.serialize().as_ref(),
            secrets.registration_id,
            secrets.signed_pre_key.serialize()?,
        ),
    )?;
    Known::store(unit)?;
    for table in ["phone_pre_keys", "sessions", "sender_keys", "sender_key_holders"] {
        unit.execute(&format!("DELETE FROM {table} WHERE phone = ?1"), [phone])?;
    }
    // Other phones learn of the new keys as they would from the network.
    unit.execute("DELETE FROM sessions WHERE peer = ?1", [phone])?;
    Ok(())
}

/// Makes a phone. Without a number it gets the next free one of its range, without a name its number's end.
///
/// # Errors
/// [`Error::Conflict`] where the number is taken.
pub(crate) fn create(unit: &Unit<'_>, phone: Option<String>, name: Option<String>) -> Result<Account> {
    let phone = match phone {
        Some(phone) => {
            directory::check_number(&phone)?;
            phone
        }
        None => next_number(unit)?,
    };
    if directory::by_phone(unit, &phone)?.is_some() {
        return Err(Error::Conflict("this phone exists already".into()));
    }
    let name = name.unwrap_or_else(|| format!("Phone {}", &phone[phone.len().saturating_sub(4)..]));
    let mut rng = rand::make_rng::<StdRng>();
    let Secrets {
        identity,
        registration_id,
        signed_pre_key,
    } = Secrets::new(unit, &mut rng)?;
    let lid = free_lid(unit, &mut rng)?;
    unit.execute(
        "INSERT INTO phones (phone, lid, name, identity, registration_id, signed_pre_key, adv_raw_id, adv_changed,
             created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        rusqlite::params![
            phone,
            lid,
            name,
            identity.serialize().as_ref(),
            registration_id,
            signed_pre_key.serialize()?,
            rng.random_range(1_u32..u32::MAX / 2),
            unit.now_secs(),
            unit.now_ms(),
        ],
    )?;
    Ok(Account {
        phone,
        lid,
        name,
        online: true,
    })
}

/// The phone that scans next where none is named: the oldest without companions, else a new one.
pub(crate) fn next_free(unit: &Unit<'_>) -> Result<Account> {
    let free: Option<String> = unit
        .prepare("SELECT phone FROM phones p WHERE NOT EXISTS (SELECT 1 FROM companions c WHERE c.phone = p.phone) ORDER BY p.rowid LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    match free {
        Some(phone) => directory::require(unit, &phone),
        None => create(unit, None, None),
    }
}

/// The phone's secrets.
pub(crate) fn secrets(unit: &Unit<'_>, phone: &str) -> Result<Arc<Secrets>> {
    let known = unit.known().secrets.get(phone).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let (identity, registration_id, signed): (Vec<u8>, u32, Vec<u8>) = unit
        .prepare("SELECT identity, registration_id, signed_pre_key FROM phones WHERE phone = ?1")?
        .query_row([phone], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let secrets = Arc::new(Secrets {
        identity: identity.as_slice().try_into()?,
        registration_id,
        signed_pre_key: SignedPreKeyRecord::deserialize(&signed)?,
    });
    unit.known()
        .secrets
        .insert(phone.to_owned(), Arc::clone(&secrets));
    Ok(secrets)
}

/// Makes one more one-time prekey of the phone, for a bundle.
pub(crate) fn make_pre_key(unit: &Unit<'_>, phone: &str) -> Result<PreKeyRecord> {
    let id: u32 = unit
        .prepare("UPDATE phones SET next_pre_key = next_pre_key % 16777215 + 1 WHERE phone = ?1 RETURNING next_pre_key")?
        .query_row([phone], |row| row.get(0))?;
    let record = PreKeyRecord::new(id.into(), &KeyPair::generate(&mut rand::make_rng::<StdRng>()));
    unit.execute(
        "INSERT OR REPLACE INTO phone_pre_keys (phone, id, record) VALUES (?1, ?2, ?3)",
        (phone, id, record.serialize()?),
    )?;
    Ok(record)
}

/// Turns a phone on or off.
pub(crate) fn set_online(unit: &mut Unit<'_>, phone: &str, online: bool) -> Result<()> {
    unit.execute("UPDATE phones SET online = ?2 WHERE phone = ?1", (phone, online))?;
    Ok(())
}

fn next_number(unit: &Unit<'_>) -> Result<String> {
    let last: Option<String> = unit
        .prepare("SELECT MAX(phone) FROM phones WHERE phone LIKE ?1 || '______'")?
        .query_row([NUMBER_PREFIX], |row| row.get(0))?;
    let next = last
        .and_then(|last| last[NUMBER_PREFIX.len()..].parse::<u32>().ok())
        .map_or(1, |number| number + 1);
    if next > 999_999 {
        return Err(Error::Conflict(
            "all numbers of the sandbox's range are taken: name one".into(),
        ));
    }
    Ok(format!("{NUMBER_PREFIX}{next:06}"))
}

fn free_lid(unit: &Unit<'_>, rng: &mut StdRng) -> Result<String> {
    loop {
        let lid = rng
            .random_range(100_000_000_000_000_u64..=999_999_999_999_999)
            .to_string();
        if !unit
            .prepare("SELECT 1 FROM phones WHERE lid = ?1 OR phone = ?1")?
            .exists([&lid])?
        {
            return Ok(lid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Bench;

    #[test]
    fn numbers_are_given_in_order_and_taken_ones_refused() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            assert_eq!(create(unit, None, None)?.phone, "155501000001");
            let second = create(unit, None, Some("B".into()))?;
            assert_eq!(
                (second.phone.as_str(), second.name.as_str()),
                ("155501000002", "B")
            );
            assert!(matches!(
                create(unit, Some(second.phone), None),
                Err(Error::Conflict(_))
            ));
            assert_eq!(next_free(unit)?.phone, "155501000001");
            Ok(())
        });
    }
}
