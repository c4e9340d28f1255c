//! Sender keys: in a group, or under a status, each device encrypts once for all who hold its key.
//!
//! The key goes to each device by itself, in a message between the two. Whoever lacks it asks for the message
//! again, as with a lost session.

use async_trait::async_trait;
use rand::rngs::StdRng;
use rusqlite::OptionalExtension as _;
use wacore_libsignal::protocol::{
    SenderKeyDistributionMessage, SenderKeyName, SenderKeyRecord, SenderKeyStore, SignalProtocolError,
    create_sender_key_distribution_message, group_decrypt, group_encrypt,
    process_sender_key_distribution_message,
};

use super::{Opened, SignalResult, at_once};
use crate::directory::Address;
use crate::error::Result;
use crate::store::Unit;

/// Opens what `author` encrypted for all in `chat`.
pub(crate) fn open(
    unit: &Unit<'_>,
    phone: &str,
    (chat, author): (&str, &Address),
    sealed: &[u8],
) -> Result<Opened> {
    let mut key = Key::load(unit, phone, chat, author)?;
    let name = name(chat, author);
    match at_once(group_decrypt(sealed, &mut key, &name)) {
        Ok(padded) => {
            key.save(unit, phone, chat, author)?;
            Ok(Opened::Plain(padded))
        }
        Err(SignalProtocolError::DuplicatedMessage(..)) => Ok(Opened::Duplicate),
        Err(_) => Ok(Opened::Unreadable),
    }
}

/// Keeps the key that `author` gave the phone for `chat`. `false` for what is no key.
pub(crate) fn learn(
    unit: &Unit<'_>,
    phone: &str,
    (chat, author): (&str, &Address),
    distribution: &[u8],
) -> Result<bool> {
    let Ok(distribution) = SenderKeyDistributionMessage::try_from(distribution) else {
        return Ok(false);
    };
    let mut key = Key::load(unit, phone, chat, author)?;
    let name = name(chat, author);
    let learnt = at_once(process_sender_key_distribution_message(
        &name,
        &distribution,
        &mut key,
    ));
    if learnt.is_ok() {
        key.save(unit, phone, chat, author)?;
    }
    Ok(learnt.is_ok())
}

/// The phone's own key for `chat`, made if need be, as it is given to others.
pub(crate) fn distribution(unit: &Unit<'_>, phone: &str, chat: &str) -> Result<Vec<u8>> {
    let own = Address::primary(phone);
    let mut key = Key::load(unit, phone, chat, &own)?;
    let distribution = at_once(create_sender_key_distribution_message(
        &name(chat, &own),
        &mut key,
        &mut rand::make_rng::<StdRng>(),
    ))?;
    key.save(unit, phone, chat, &own)?;
    Ok(distribution.serialized().to_vec())
}

/// Seals `padded` under the phone's own key for `chat`, which must have been made.
pub(crate) fn seal(unit: &Unit<'_>, phone: &str, chat: &str, padded: &[u8]) -> Result<Vec<u8>> {
    let own = Address::primary(phone);
    let mut key = Key::load(unit, phone, chat, &own)?;
    let sealed = at_once(group_encrypt(
        &mut key,
        &name(chat, &own),
        padded,
        &mut rand::make_rng::<StdRng>(),
    ))?;
    key.save(unit, phone, chat, &own)?;
    Ok(sealed.serialized().to_vec())
}

/// Whether `device` was given the phone's own key for `chat`.
pub(crate) fn holds(unit: &Unit<'_>, phone: &str, chat: &str, device: &Address) -> Result<bool> {
    Ok(unit
        .prepare(
            "SELECT 1 FROM sender_key_holders
             WHERE phone = ?1 AND chat = ?2 AND holder = ?3 AND holder_device = ?4",
        )?
        .exists((phone, chat, &device.phone, device.device))?)
}

/// Takes down that `device` was given the phone's own key for `chat`.
pub(crate) fn given(unit: &Unit<'_>, phone: &str, chat: &str, device: &Address) -> Result<()> {
    unit.execute(
        "INSERT OR IGNORE INTO sender_key_holders (phone, chat, holder, holder_device) VALUES (?1, ?2, ?3, ?4)",
        (phone, chat, &device.phone, device.device),
    )?;
    Ok(())
}

/// Drops the phone's own key for `chat` if a device that is not among `devices` holds it: those who left must not
/// read what is said from now on.
pub(crate) fn rotate(unit: &Unit<'_>, phone: &str, chat: &str, devices: &[Address]) -> Result<()> {
    let holders: Vec<Address> = unit
        .prepare("SELECT holder, holder_device FROM sender_key_holders WHERE phone = ?1 AND chat = ?2")?
        .query_map((phone, chat), |row| {
            Ok(Address {
                phone: row.get(0)?,
                device: row.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    if holders.iter().all(|holder| devices.contains(holder)) {
        return Ok(());
    }
    unit.execute(
        "DELETE FROM sender_key_holders WHERE phone = ?1 AND chat = ?2",
        (phone, chat),
    )?;
    unit.execute(
        "DELETE FROM sender_keys WHERE phone = ?1 AND chat = ?2 AND author = ?1 AND author_device = 0",
        (phone, chat),
    )?;
    Ok(())
}

fn name(chat: &str, author: &Address) -> SenderKeyName {
    SenderKeyName::from_parts(chat, &format!("{}.{}", author.phone, author.device))
}

/// The one record of an operation.
struct Key(Option<SenderKeyRecord>);

impl Key {
    fn load(unit: &Unit<'_>, phone: &str, chat: &str, author: &Address) -> Result<Self> {
        let stored: Option<Vec<u8>> = unit
            .prepare(
                "SELECT record FROM sender_keys
                 WHERE phone = ?1 AND chat = ?2 AND author = ?3 AND author_device = ?4",
            )?
            .query_row((phone, chat, &author.phone, author.device), |row| row.get(0))
            .optional()?;
        Ok(Self(
            stored
                .map(|record| SenderKeyRecord::deserialize(&record))
                .transpose()?,
        ))
    }

    fn save(&mut self, unit: &Unit<'_>, phone: &str, chat: &str, author: &Address) -> Result<()> {
        if let Some(record) = &mut self.0 {
            // Stored before its ciphertext leaves, as sessions are.
            record.waive_counter_lease()?;
            unit.execute(
                "INSERT OR REPLACE INTO sender_keys (phone, chat, author, author_device, record)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                (phone, chat, &author.phone, author.device, record.serialize()?),
            )?;
        }
        Ok(())
    }
}

#[async_trait]
impl SenderKeyStore for Key {
    async fn store_sender_key(&mut self, _: &SenderKeyName, record: SenderKeyRecord) -> SignalResult<()> {
        self.0 = Some(record);
        Ok(())
    }

    async fn load_sender_key(&self, _: &SenderKeyName) -> SignalResult<Option<SenderKeyRecord>> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    const CHAT: &str = "120363000000000001@g.us";

    #[test]
    fn a_key_opens_what_follows_and_is_thrown_away_when_a_holder_goes() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let [a, b] = [
                identity::create(unit, None, None)?.phone,
                identity::create(unit, None, None)?.phone,
            ];
            let (author, reader) = (Address::primary(&a), Address::primary(&b));
            let key = distribution(unit, &a, CHAT)?;
            let one = seal(unit, &a, CHAT, b"one")?;
            assert!(matches!(
                open(unit, &b, (CHAT, &author), &one)?,
                Opened::Unreadable
            ));
            assert!(learn(unit, &b, (CHAT, &author), &key)?);
            assert!(!learn(unit, &b, (CHAT, &author), b"no key")?);
            given(unit, &a, CHAT, &reader)?;
            assert!(
                matches!(open(unit, &b, (CHAT, &author), &one)?, Opened::Plain(plain) if plain == b"one")
            );
            assert!(matches!(
                open(unit, &b, (CHAT, &author), &one)?,
                Opened::Duplicate
            ));

            rotate(unit, &a, CHAT, &[reader.clone(), author.clone()])?;
            let two = seal(unit, &a, CHAT, b"two")?;
            assert!(matches!(open(unit, &b, (CHAT, &author), &two)?, Opened::Plain(_)));

            rotate(unit, &a, CHAT, std::slice::from_ref(&author))?;
            assert!(!holds(unit, &a, CHAT, &reader)?);
            distribution(unit, &a, CHAT)?;
            let three = seal(unit, &a, CHAT, b"three")?;
            assert!(matches!(
                open(unit, &b, (CHAT, &author), &three)?,
                Opened::Unreadable
            ));
            Ok(())
        });
    }
}
