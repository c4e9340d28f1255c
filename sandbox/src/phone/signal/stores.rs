//! The stores that libsignal asks, filled with the records that one message needs.

use async_trait::async_trait;
use rusqlite::OptionalExtension as _;
use wacore_libsignal::protocol::{
    Direction, GenericSignedPreKey as _, IdentityChange, IdentityKey, IdentityKeyPair, IdentityKeyStore,
    PreKeyId, PreKeyRecord, PreKeyStore, ProtocolAddress, SessionRecord, SessionStore, SignalProtocolError,
    SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore,
};

use std::sync::Arc;

use super::SignalResult;
use crate::directory::Address;
use crate::error::{Error, Result};
use crate::phone::identity::{self, Secrets};
use crate::store::Unit;

/// A session, with the identity at its other end.
#[derive(Clone)]
pub(crate) struct Session {
    identity: IdentityKey,
    record: SessionRecord,
    /// Whether it is other than the stored one.
    moved: bool,
}

impl Session {
    /// The session of `phone` with `peer`, as the unit knows it or as it is stored.
    fn find(unit: &Unit<'_>, phone: &str, peer: &Address) -> Result<Option<Self>> {
        let known = unit
            .known()
            .sessions
            .get(phone)
            .and_then(|peers| peers.get(peer))
            .cloned();
        if known.is_some() {
            return Ok(known);
        }
        let stored: Option<(Vec<u8>, Vec<u8>)> = unit
            .prepare(
                "SELECT identity, record FROM sessions WHERE phone = ?1 AND peer = ?2 AND peer_device = ?3",
            )?
            .query_row((phone, &peer.phone, peer.device), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((identity, record)) = stored else {
            return Ok(None);
        };
        Ok(Some(Self {
            identity: IdentityKey::decode(&identity)?,
            record: SessionRecord::deserialize(&record)?,
            moved: false,
        }))
    }

    /// Stores it, if it has moved.
    pub(crate) fn store(&self, unit: &Unit<'_>, phone: &str, peer: &Address) -> Result<()> {
        if self.moved {
            unit.execute(
                "INSERT INTO sessions (phone, peer, peer_device, identity, record) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (phone, peer, peer_device)
                     DO UPDATE SET identity = excluded.identity, record = excluded.record",
                (
                    phone,
                    &peer.phone,
                    peer.device,
                    self.identity.serialize(),
                    self.record.serialize()?,
                ),
            )?;
        }
        Ok(())
    }
}

/// The records of one operation.
pub(super) struct Stores {
    pub(super) sessions: Sessions,
    pub(super) identities: Identities,
    pub(super) pre_keys: PreKeys,
    pub(super) signed: Signed,
}

impl Stores {
    pub(super) fn load(
        unit: &Unit<'_>,
        phone: &str,
        peer: &Address,
        pre_key: Option<PreKeyId>,
    ) -> Result<Self> {
        let secrets = identity::secrets(unit, phone)?;
        let (theirs, record) = match Session::find(unit, phone, peer)? {
            Some(Session { identity, record, .. }) => (Some(identity), Some(record)),
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
                own: Arc::clone(&secrets),
                theirs,
            },
            pre_keys: PreKeys { id: pre_key, record },
            signed: Signed(secrets),
        })
    }

    /// Keeps the session, which is stored with the unit.
    pub(super) fn save(self, unit: &Unit<'_>, phone: &str, peer: &Address) -> Result<()> {
        let (Some(record), Some(identity)) = (self.sessions.record, self.identities.theirs) else {
            return Err(Error::codec(
                "a session",
                "it has no record or no identity after use",
            ));
        };
        let session = Session {
            identity,
            record,
            moved: true,
        };
        let mut known = unit.known();
        let of_phone = known.sessions.entry(phone.to_owned()).or_default();
        of_phone.insert(peer.clone(), session);
        Ok(())
    }
}

pub(super) struct Sessions {
    pub(super) record: Option<SessionRecord>,
}

impl Sessions {
    pub(super) fn waive(&mut self) {
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

pub(super) struct Identities {
    own: Arc<Secrets>,
    theirs: Option<IdentityKey>,
}

#[async_trait]
impl IdentityKeyStore for Identities {
    async fn get_identity_key_pair(&self) -> SignalResult<IdentityKeyPair> {
        Ok(self.own.identity.clone())
    }

    async fn get_local_registration_id(&self) -> SignalResult<u32> {
        Ok(self.own.registration_id)
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

pub(super) struct PreKeys {
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

pub(super) struct Signed(Arc<Secrets>);

#[async_trait]
impl SignedPreKeyStore for Signed {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> SignalResult<SignedPreKeyRecord> {
        if self.0.signed_pre_key.id()? == id {
            Ok(self.0.signed_pre_key.clone())
        } else {
            Err(SignalProtocolError::InvalidSignedPreKeyId)
        }
    }

    async fn save_signed_pre_key(&mut self, _: SignedPreKeyId, _: &SignedPreKeyRecord) -> SignalResult<()> {
        // A phone keeps the one it was made with.
        Ok(())
    }
}
