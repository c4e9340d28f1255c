//! A phone's side of Signal: sessions with every device it ever spoke to, by (number, device).
//!
//! libsignal asks for its stores one record at a time through async traits. Here the records one message needs
//! are read first, the operation runs on them at once, and what changed is written in the same unit of work:
//! no message is shown without its session having moved, and none moves a session without being shown.

use async_trait::async_trait;
use futures::FutureExt as _;
use rand::rngs::StdRng;
use rusqlite::OptionalExtension as _;
use wacore_libsignal::protocol::{
    CiphertextMessage, Direction, IdentityChange, IdentityKey, IdentityKeyPair, IdentityKeyStore, PreKeyId,
    PreKeyRecord, PreKeySignalMessage, PreKeyStore, ProtocolAddress, SessionRecord, SessionStore,
    SignalMessage, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore, UsePQRatchet,
    message_decrypt, message_encrypt, process_prekey_bundle,
};

use super::identity::{self, Secrets};
use crate::directory::Address;
use crate::error::{Error, Result};
use crate::prekeys;
use crate::store::Unit;

type SignalResult<T> = std::result::Result<T, SignalProtocolError>;

/// The `type` of an `<enc>` between two devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncType {
    /// The first messages of a session, with the material to build it.
    PreKey,
    /// A message of an established session.
    Message,
}

impl EncType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PreKey => "pkmsg",
            Self::Message => "msg",
        }
    }

    pub(crate) fn parse(value: &str) -> Option<Self> {
        [Self::PreKey, Self::Message]
            .into_iter()
            .find(|kind| kind.as_str() == value)
    }
}

/// What became of a ciphertext.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The padded plaintext.
    Plain(Vec<u8>),
    /// The phone opened this very ciphertext before.
    Duplicate,
    /// It cannot be read with what the phone has.
    Unreadable(SignalProtocolError),
}

/// Opens a ciphertext that `peer` sent to `phone`.
pub(crate) fn decrypt(
    unit: &Unit<'_>,
    phone: &str,
    peer: &Address,
    (kind, bytes): (EncType, &[u8]),
) -> Result<Opened> {
    let (message, pre_key_id) = match kind {
        EncType::PreKey => match PreKeySignalMessage::try_from(bytes) {
            Ok(message) => {
                let id = message.pre_key_id();
                (CiphertextMessage::PreKeySignalMessage(message), id)
            }
            Err(error) => return Ok(Opened::Unreadable(error)),
        },
        EncType::Message => match SignalMessage::try_from(bytes) {
            Ok(message) => (CiphertextMessage::SignalMessage(message), None),
            Err(error) => return Ok(Opened::Unreadable(error)),
        },
    };
    let mut stores = Stores::load(unit, phone, peer, pre_key_id)?;
    let opened = at_once(message_decrypt(
        &message,
        &address(peer),
        &mut stores.sessions,
        &mut stores.identities,
        &mut stores.pre_keys,
        &stores.signed,
        &mut rand::make_rng::<StdRng>(),
        UsePQRatchet::No,
    ));
    match opened {
        Ok(result) => {
            stores.save(unit, phone, peer)?;
            if let Some(id) = result.consumed_prekey_id {
                unit.execute(
                    "DELETE FROM phone_pre_keys WHERE phone = ?1 AND id = ?2",
                    (phone, u32::from(id)),
                )?;
            }
            Ok(Opened::Plain(result.plaintext))
        }
        Err(SignalProtocolError::DuplicatedMessage(..)) => Ok(Opened::Duplicate),
        Err(error) => Ok(Opened::Unreadable(error)),
    }
}

/// Seals `padded` for `peer`, with a session from its bundle where there is none yet.
///
/// `None` if there is no such device.
pub(crate) fn encrypt(
    unit: &Unit<'_>,
    phone: &str,
    peer: &Address,
    padded: &[u8],
) -> Result<Option<(EncType, Vec<u8>)>> {
    let mut stores = Stores::load(unit, phone, peer, None)?;
    let to = address(peer);
    if stores.sessions.record.is_none() {
        let Some(bundle) = prekeys::take(unit, peer)? else {
            return Ok(None);
        };
        at_once(process_prekey_bundle(
            &to,
            &mut stores.sessions,
            &mut stores.identities,
            &bundle.into_signal(peer.device)?,
            &mut rand::make_rng::<StdRng>(),
            UsePQRatchet::No,
        ))?;
        stores.sessions.waive();
    }
    let sealed = at_once(message_encrypt(
        padded,
        &to,
        &mut stores.sessions,
        &mut stores.identities,
    ))?;
    stores.save(unit, phone, peer)?;
    let kind = match &sealed {
        CiphertextMessage::PreKeySignalMessage(_) => EncType::PreKey,
        _ => EncType::Message,
    };
    Ok(Some((kind, sealed.serialize().to_vec())))
}

/// Forgets the session with `peer`: the next message to it starts a new one.
pub(crate) fn reset(unit: &Unit<'_>, phone: &str, peer: &Address) -> Result<()> {
    unit.execute(
        "DELETE FROM sessions WHERE phone = ?1 AND peer = ?2 AND peer_device = ?3",
        (phone, &peer.phone, peer.device),
    )?;
    Ok(())
}

fn address(peer: &Address) -> ProtocolAddress {
    ProtocolAddress::new(&peer.phone, u32::from(peer.device).into())
}

/// Runs a libsignal future whose stores answer at once.
fn at_once<T>(future: impl Future<Output = SignalResult<T>>) -> SignalResult<T> {
    future.now_or_never().unwrap_or_else(|| {
        Err(SignalProtocolError::InvalidState(
            "stores",
            "a store in memory did not answer at once".into(),
        ))
    })
}

/// The records of one operation.
struct Stores {
    sessions: Sessions,
    identities: Identities,
    pre_keys: PreKeys,
    signed: Signed,
}

impl Stores {
    fn load(unit: &Unit<'_>, phone: &str, peer: &Address, pre_key: Option<PreKeyId>) -> Result<Self> {
        let Secrets {
            identity,
            registration_id,
            signed_pre_key,
        } = identity::secrets(unit, phone)?;
        let stored: Option<(Vec<u8>, Vec<u8>)> = unit
            .prepare(
                "SELECT identity, record FROM sessions WHERE phone = ?1 AND peer = ?2 AND peer_device = ?3",
            )?
            .query_row((phone, &peer.phone, peer.device), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let (theirs, record) = match stored {
            Some((identity, record)) => (
                Some(IdentityKey::decode(&identity)?),
                Some(SessionRecord::deserialize(&record)?),
            ),
            None => (None, None),
        };
        let mut sessions = Sessions { record };
        // The counters of a session are stored before its ciphertext leaves, so the library's leases of 64
        // counters, which cost a jump with every reload, are not needed.
        sessions.waive();
        let record = match pre_key {
            Some(id) => unit
                .prepare("SELECT record FROM phone_pre_keys WHERE phone = ?1 AND id = ?2")?
                .query_row((phone, u32::from(id)), |row| row.get::<_, Vec<u8>>(0))
                .optional()?
                .map(|record| PreKeyRecord::deserialize(&record))
                .transpose()?,
            None => None,
        };
        Ok(Self {
            sessions,
            identities: Identities {
                own: identity,
                registration_id,
                theirs,
            },
            pre_keys: PreKeys { id: pre_key, record },
            signed: Signed {
                record: signed_pre_key,
            },
        })
    }

    fn save(&self, unit: &Unit<'_>, phone: &str, peer: &Address) -> Result<()> {
        let (Some(record), Some(theirs)) = (&self.sessions.record, &self.identities.theirs) else {
            return Err(Error::codec(
                "a session",
                "it has no record or no identity after use",
            ));
        };
        unit.execute(
            "INSERT OR REPLACE INTO sessions (phone, peer, peer_device, identity, record)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                phone,
                &peer.phone,
                peer.device,
                theirs.serialize(),
                record.serialize()?,
            ),
        )?;
        Ok(())
    }
}

struct Sessions {
    record: Option<SessionRecord>,
}

impl Sessions {
    fn waive(&mut self) {
        if let Some(record) = &mut self.record {
            record.waive_counter_lease();
        }
    }
}

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, _: &ProtocolAddress) -> SignalResult<Option<SessionRecord>> {
        Ok(self.record.clone())
    }

    async fn has_session(&self, _: &ProtocolAddress) -> SignalResult<bool> {
        Ok(self.record.is_some())
    }

    async fn store_session(&mut self, _: &ProtocolAddress, record: SessionRecord) -> SignalResult<()> {
        self.record = Some(record);
        Ok(())
    }
}

struct Identities {
    own: IdentityKeyPair,
    registration_id: u32,
    theirs: Option<IdentityKey>,
}

#[async_trait]
impl IdentityKeyStore for Identities {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.own.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(self.registration_id)
    }

    async fn save_identity(
        &mut self,
        _: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> SignalResult<IdentityChange> {
        let changed = self.theirs.as_ref().is_some_and(|known| known != identity);
        self.theirs = Some(*identity);
        Ok(if changed {
            IdentityChange::ReplacedExisting
        } else {
            IdentityChange::NewOrUnchanged
        })
    }

    /// A person accepts a contact's new phone without a word; so does a phone of the sandbox.
    async fn is_trusted_identity(
        &self,
        _: &ProtocolAddress,
        _: &IdentityKey,
        _: Direction,
    ) -> SignalResult<bool> {
        Ok(true)
    }

    async fn get_identity(&self, _: &ProtocolAddress) -> SignalResult<Option<IdentityKey>> {
        Ok(self.theirs)
    }
}

struct PreKeys {
    id: Option<PreKeyId>,
    record: Option<PreKeyRecord>,
}

#[async_trait]
impl PreKeyStore for PreKeys {
    async fn get_pre_key(&self, id: PreKeyId) -> SignalResult<PreKeyRecord> {
        match &self.record {
            Some(record) if self.id == Some(id) => Ok(record.clone()),
            _ => Err(SignalProtocolError::InvalidPreKeyId),
        }
    }

    async fn save_pre_key(&mut self, id: PreKeyId, record: &PreKeyRecord) -> SignalResult<()> {
        self.id = Some(id);
        self.record = Some(record.clone());
        Ok(())
    }

    async fn remove_pre_key(&mut self, _: PreKeyId) -> SignalResult<()> {
        self.record = None;
        Ok(())
    }
}

struct Signed {
    record: SignedPreKeyRecord,
}

#[async_trait]
impl SignedPreKeyStore for Signed {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> SignalResult<SignedPreKeyRecord> {
        use wacore_libsignal::protocol::GenericSignedPreKey as _;
        if self.record.id()? == id {
            Ok(self.record.clone())
        } else {
            Err(SignalProtocolError::InvalidSignedPreKeyId)
        }
    }

    async fn save_signed_pre_key(&mut self, _: SignedPreKeyId, _: &SignedPreKeyRecord) -> SignalResult<()> {
        // A phone keeps the one it was made with.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Bench;

    #[test]
    fn two_phones_talk_and_a_replay_is_noticed() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let a = identity::create(unit, None, None)?;
            let b = identity::create(unit, None, None)?;
            let (to_a, to_b) = (Address::primary(&a.phone), Address::primary(&b.phone));
            for turn in 0..3 {
                let (kind, sealed) = encrypt(unit, &a.phone, &to_b, b"ping")?.expect("b exists");
                assert_eq!(kind == EncType::PreKey, turn == 0, "turn {turn}");
                let opened = decrypt(unit, &b.phone, &to_a, (kind, &sealed))?;
                assert!(matches!(opened, Opened::Plain(plain) if plain == b"ping"));
                let again = decrypt(unit, &b.phone, &to_a, (kind, &sealed))?;
                assert!(matches!(again, Opened::Duplicate), "{again:?}");
                let (kind, sealed) = encrypt(unit, &b.phone, &to_a, b"pong")?.expect("a exists");
                assert!(matches!(
                    decrypt(unit, &a.phone, &to_b, (kind, &sealed))?,
                    Opened::Plain(_)
                ));
            }
            Ok(())
        });
    }

    #[test]
    fn a_lost_session_is_unreadable_and_a_stranger_has_no_bundle() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let a = identity::create(unit, None, None)?;
            let b = identity::create(unit, None, None)?;
            let (to_a, to_b) = (Address::primary(&a.phone), Address::primary(&b.phone));
            let (kind, sealed) = encrypt(unit, &a.phone, &to_b, b"one")?.expect("b exists");
            decrypt(unit, &b.phone, &to_a, (kind, &sealed))?;
            let (kind, sealed) = encrypt(unit, &b.phone, &to_a, b"two")?.expect("a exists");
            reset(unit, &a.phone, &to_b)?;
            assert!(matches!(
                decrypt(unit, &a.phone, &to_b, (kind, &sealed))?,
                Opened::Unreadable(_)
            ));
            assert!(encrypt(unit, &a.phone, &Address::primary("19990000000"), b"x")?.is_none());
            Ok(())
        });
    }
}
