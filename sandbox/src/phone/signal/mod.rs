//! A phone's side of Signal: sessions with every device it ever spoke to, by (number, device).
//!
//! libsignal asks its stores for one record at a time, through async traits. Here all records that a message needs
//! are read first, the operation runs on them at once, and what changed is written in the same unit of work, once for
//! all messages of the unit. So a message is shown if and only if its session has moved.

pub(crate) mod sender_keys;
mod stores;

use futures::FutureExt as _;
use rand::rngs::StdRng;
use wacore_libsignal::protocol::{
    CiphertextMessage, PreKeySignalMessage, ProtocolAddress, SignalMessage, SignalProtocolError,
    UsePQRatchet, message_decrypt, message_encrypt, process_prekey_bundle,
};

use crate::directory::Address;
use crate::error::Result;
use crate::prekeys;
use crate::store::Unit;
pub(crate) use stores::Session;
use stores::Stores;

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
    /// It cannot be read with what the phone has. Why is not said: Signal's words name people.
    Unreadable,
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
            Err(_) => return Ok(Opened::Unreadable),
        },
        EncType::Message => match SignalMessage::try_from(bytes) {
            Ok(message) => (CiphertextMessage::SignalMessage(message), None),
            Err(_) => return Ok(Opened::Unreadable),
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
        Err(_) => Ok(Opened::Unreadable),
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
    if let Some(peers) = unit.known().sessions.get_mut(phone) {
        peers.remove(peer);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
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
    fn a_session_is_stored_with_the_unit_that_moves_it_and_with_no_other() {
        let mut bench = Bench::new();
        let (a, b) = bench.run(|unit| {
            let people = (
                identity::create(unit, None, None)?,
                identity::create(unit, None, None)?,
            );
            Ok((people.0.phone, people.1.phone))
        });
        let (to_a, to_b) = (Address::primary(&a), Address::primary(&b));
        let sealed = bench.run(|unit| {
            let mut sealed = Vec::new();
            for text in [b"one".as_slice(), b"two", b"three"] {
                sealed.push(encrypt(unit, &a, &to_b, text)?.expect("b exists"));
            }
            Ok(sealed)
        });
        let open = |unit: &Unit<'_>, n: usize| decrypt(unit, &b, &to_a, (sealed[n].0, &sealed[n].1));
        let undone: Result<()> = bench.attempt(|unit| {
            for n in 0..2 {
                assert!(matches!(open(unit, n)?, Opened::Plain(_)));
            }
            Err(crate::error::Error::Conflict("no".into()))
        });
        assert!(undone.is_err());
        bench.run(|unit| {
            for n in 0..2 {
                assert!(
                    matches!(open(unit, n)?, Opened::Plain(_)),
                    "what was undone is opened again"
                );
            }
            assert!(matches!(open(unit, 0)?, Opened::Duplicate));
            Ok(())
        });
        bench.run(|unit| {
            assert!(matches!(open(unit, 1)?, Opened::Duplicate));
            assert!(matches!(open(unit, 2)?, Opened::Plain(text) if text == b"three"));
            // A reset in the same unit forgets what is not stored yet.
            reset(unit, &b, &to_a)?;
            assert!(Stores::load(unit, &b, &to_a, None)?.sessions.record.is_none());
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
                Opened::Unreadable
            ));
            assert!(encrypt(unit, &a.phone, &Address::primary("19990000000"), b"x")?.is_none());
            Ok(())
        });
    }
}
