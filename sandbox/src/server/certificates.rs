//! The server's Noise key and the chain that vouches for it.
//!
//! The root signs the intermediate, which signs the leaf (`XEdDSA`); the leaf's key is the server's static key.
//! Clients of WhatsApp pin WhatsApp's root, so only those that skip the check, or that were given this root, connect.
//! They keep the chain and resume with the static key, so all of it is made once and stored.

use buffa::Message as _;
use rand::rngs::StdRng;
use wacore_libsignal::protocol::{KeyPair, PrivateKey};
use waproto::whatsapp as wa;
use waproto::whatsapp::cert_chain::NoiseCertificate;
use waproto::whatsapp::cert_chain::noise_certificate::Details;

use crate::error::{Error, Result};
use crate::store::Unit;

const ROOT: &str = "noise.root";
const STATIC: &str = "noise.static";
const CHAIN: &str = "noise.chain";

/// Clients check that the intermediate was issued by serial 0, the root.
const ROOT_SERIAL: u32 = 0;
const INTERMEDIATE_SERIAL: u32 = 1;
const LEAF_SERIAL: u32 = 2;

/// Clocks differ: the chain is valid from a day before it was made, and for ten years.
const VALID_BEFORE_SECS: u64 = 24 * 60 * 60;
const VALID_AFTER_SECS: u64 = 10 * 365 * 24 * 60 * 60;

/// What the server proves itself with.
#[derive(Clone)]
pub(crate) struct ServerIdentity {
    /// Public half of the root, for clients that can be given one.
    pub(crate) root: [u8; 32],
    /// The Noise static key pair.
    pub(crate) static_key: KeyPair,
    /// The encoded `CertChain`.
    pub(crate) chain: Vec<u8>,
}

/// Loads the identity, or makes it at the first start.
pub(crate) fn load_or_make(unit: &Unit<'_>) -> Result<ServerIdentity> {
    if let (Some(root), Some(private), Some(chain)) =
        (unit.meta(ROOT)?, unit.meta(STATIC)?, unit.meta(CHAIN)?)
    {
        let private =
            PrivateKey::deserialize(&private).map_err(|error| Error::codec("the server's key", error))?;
        let static_key =
            KeyPair::try_from(private).map_err(|error| Error::codec("the server's key", error))?;
        let root = root
            .try_into()
            .map_err(|_| Error::codec("the root key", "it is not 32 bytes"))?;
        return Ok(ServerIdentity {
            root,
            static_key,
            chain,
        });
    }
    let (identity, root_private) = make(unit.now_secs().unsigned_abs())?;
    unit.set_meta("noise.root-private", root_private.private_key.serialize())?;
    unit.set_meta(ROOT, &identity.root)?;
    unit.set_meta(STATIC, identity.static_key.private_key.serialize())?;
    unit.set_meta(CHAIN, &identity.chain)?;
    Ok(identity)
}

fn make(now_secs: u64) -> Result<(ServerIdentity, KeyPair)> {
    let mut rng = rand::make_rng::<StdRng>();
    let root = KeyPair::generate(&mut rng);
    let intermediate = KeyPair::generate(&mut rng);
    let static_key = KeyPair::generate(&mut rng);
    let validity = (
        now_secs.saturating_sub(VALID_BEFORE_SECS),
        now_secs + VALID_AFTER_SECS,
    );
    let chain = wa::CertChain {
        leaf: certificate(
            &static_key,
            (LEAF_SERIAL, INTERMEDIATE_SERIAL),
            validity,
            &intermediate,
        )?
        .into(),
        intermediate: certificate(&intermediate, (INTERMEDIATE_SERIAL, ROOT_SERIAL), validity, &root)?.into(),
    };
    let identity = ServerIdentity {
        root: public(&root)?,
        static_key,
        chain: chain.encode_to_vec(),
    };
    Ok((identity, root))
}

fn certificate(
    subject: &KeyPair,
    (serial, issuer_serial): (u32, u32),
    (not_before, not_after): (u64, u64),
    issuer: &KeyPair,
) -> Result<NoiseCertificate> {
    let details = Details {
        serial: Some(serial),
        issuer_serial: Some(issuer_serial),
        key: Some(subject.public_key.public_key_bytes().to_vec()),
        not_before: Some(not_before),
        not_after: Some(not_after),
    }
    .encode_to_vec();
    let signature = issuer
        .private_key
        .calculate_signature(&details, &mut rand::make_rng::<StdRng>())
        .map_err(|error| Error::codec("a signature", error))?;
    Ok(NoiseCertificate {
        details: Some(details),
        signature: Some(signature.to_vec()),
    })
}

/// The 32 bytes of a key pair's public half.
pub(crate) fn public(pair: &KeyPair) -> Result<[u8; 32]> {
    pair.public_key
        .public_key_bytes()
        .try_into()
        .map_err(|_| Error::codec("a public key", "it is not 32 bytes"))
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) fn identity() -> ServerIdentity {
        make(1_700_000_000).expect("an identity is made").0
    }
}

#[cfg(test)]
mod tests {
    use wacore_libsignal::protocol::PublicKey;

    use super::*;
    use crate::store::testing::Bench;

    #[test]
    fn every_signature_of_the_chain_holds() {
        let identity = testing::identity();
        let chain = wa::CertChain::decode_from_slice(&identity.chain).unwrap();
        let (leaf, intermediate) = (
            chain.leaf.as_option().unwrap(),
            chain.intermediate.as_option().unwrap(),
        );
        let root = PublicKey::from_djb_public_key_bytes(&identity.root).unwrap();
        let (details, signature) = (
            intermediate.details.as_ref().unwrap(),
            intermediate.signature.as_ref().unwrap(),
        );
        assert!(root.verify_signature(details, signature));
        let issuer = Details::decode_from_slice(details).unwrap().key.unwrap();
        let issuer = PublicKey::from_djb_public_key_bytes(&issuer).unwrap();
        assert!(issuer.verify_signature(leaf.details.as_ref().unwrap(), leaf.signature.as_ref().unwrap()));
    }

    #[test]
    fn the_identity_is_made_once() {
        let mut bench = Bench::new();
        let first = bench.run(|unit| load_or_make(unit));
        let second = bench.run(|unit| load_or_make(unit));
        assert_eq!(first.chain, second.chain);
        assert_eq!(
            first.static_key.private_key.serialize(),
            second.static_key.private_key.serialize()
        );
    }
}
