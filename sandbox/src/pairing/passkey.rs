//! Linking with a passkey. Whatever a client shows, a phone whose account has a passkey wants an assertion by it first. Then the two
//! agree on a key, people compare a code that both made of it, and the client sends the secret under which the phone signs. So the
//! secret of the QR code or of the code that was typed is not the one that counts.
//!
//! The stanzas are those that the client's library sends and reads. When the real network asks, and whether its phone tells more, is
//! not known here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buffa::Message as _;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wacore::shortcake::ShortcakeUtils;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::{KeyPair, PublicKey};
use waproto::whatsapp as wa;

use crate::error::{Error, Result};
use crate::network::Network;
use crate::phone::passkey::Passkey;
use crate::server::registry::{Client, Pairing};
use crate::wire;

/// How long people may take for all of it.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long a phone takes for each of its own steps. A client may still be at work on the step before.
const PACE: Duration = Duration::from_millis(300);

/// Steps that may wait for the phone.
const WAITING: usize = 4;

/// The clients that are being linked with a passkey, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Ceremonies(Mutex<HashMap<u64, Ceremony>>);

#[derive(Debug)]
struct Ceremony {
    phone: String,
    passkey: Passkey,
    challenge: [u8; 32],
    until: Instant,
    /// The reference that the client asked for last.
    reference: Option<String>,
    /// What the phone shows to be compared.
    code: Option<String>,
    said: mpsc::Sender<Said>,
}

/// What a client says to the phone.
#[derive(Debug)]
enum Said {
    /// Its passkey's assertion is right. These are its key for this linking, and what it has committed itself to.
    Prologue {
        companion: Companion,
        commitment: Vec<u8>,
    },
    /// What it has committed itself to, opened.
    Nonce([u8; 32]),
    /// Its keys and the secret, encrypted.
    Request(Vec<u8>),
}

/// A client's key for one linking.
#[derive(Debug)]
struct Companion {
    identity: Vec<u8>,
    key: [u8; 32],
    platform: wa::device_props::PlatformType,
    reference: String,
}

/// Ends a ceremony when it is dropped.
struct UnderWay<'a> {
    ceremonies: &'a Ceremonies,
    client: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.ceremonies.lock().remove(&self.client);
    }
}

impl Ceremonies {
    /// Until when the client is being linked with a passkey, if it is.
    pub(crate) fn deadline(&self, client: &Client) -> Option<Instant> {
        self.lock().get(&client.id).map(|ceremony| ceremony.until)
    }

    /// The code that a phone shows to be compared with the client's.
    pub(crate) fn code(&self, phone: &str) -> Option<String> {
        let under_way = self.lock();
        let of_phone = under_way.values().find(|ceremony| ceremony.phone == phone);
        of_phone.and_then(|ceremony| ceremony.code.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Ceremony>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers what a client that is being linked with a passkey asks of `md`; `None` for what has nothing to do with it.
pub(crate) fn answer(network: &Network, pairing: &Pairing, node: &Node) -> Option<Result<Node>> {
    let child = wire::children(node).first()?;
    let answered = match child.tag.as_ref() {
        "ref" => give_reference(network, pairing),
        "passkey_request_options" => give_options(network, pairing),
        "passkey_prologue" => hear(network, pairing, |ceremony| prologue(ceremony, child)),
        "companion_nonce" => hear(network, pairing, |_| {
            let nonce = wire::bytes(child).and_then(|bytes| bytes.as_ref().try_into().ok());
            nonce.map(Said::Nonce).ok_or_else(|| invalid("nonce"))
        }),
        "encrypted_pairing_request" => hear(network, pairing, |_| {
            let sealed = wire::bytes(child).map(|bytes| Said::Request(bytes.into_owned()));
            sealed.ok_or_else(|| invalid("request"))
        }),
        _ => return None,
    };
    Some(answered.map(|children| wire::iq_result(node, children)))
}

fn give_reference(network: &Network, pairing: &Pairing) -> Result<Vec<Node>> {
    let mut under_way = network.registry.passkeys.lock();
    let ceremony = under_way.get_mut(&pairing.client.id).ok_or_else(none)?;
    let reference = format!("4@{}", hex::encode(rand::rng().random::<[u8; 24]>()));
    let node = wire::bytes_node("ref", reference.as_bytes());
    ceremony.reference = Some(reference);
    Ok(vec![node])
}

fn give_options(network: &Network, pairing: &Pairing) -> Result<Vec<Node>> {
    let under_way = network.registry.passkeys.lock();
    let ceremony = under_way.get(&pairing.client.id).ok_or_else(none)?;
    Ok(vec![options_node(&ceremony.passkey, &ceremony.challenge)])
}

/// Hands what a client says to the phone.
fn hear(
    network: &Network,
    pairing: &Pairing,
    read: impl FnOnce(&Ceremony) -> Result<Said>,
) -> Result<Vec<Node>> {
    let under_way = network.registry.passkeys.lock();
    let ceremony = under_way.get(&pairing.client.id).ok_or_else(none)?;
    let said = read(ceremony)?;
    // The phone takes one step after the other, and ends with the client that does not.
    let heard = ceremony.said.try_send(said);
    heard.map_err(|_| Error::Conflict("the phone does not wait for this".into()))?;
    Ok(Vec::new())
}

fn prologue(ceremony: &Ceremony, node: &Node) -> Result<Said> {
    let assertion = wire::child_bytes(node, "webauthn_assertion").ok_or_else(|| invalid("assertion"))?;
    ceremony.passkey.verify(&ceremony.challenge, &assertion)?;
    let payload = wire::child_bytes(node, "prologue_payload").ok_or_else(|| invalid("payload"))?;
    let payload = wa::ProloguePayload::decode_from_slice(&payload).map_err(|_| invalid("payload"))?;
    let identity = payload
        .companion_ephemeral_identity
        .ok_or_else(|| invalid("identity"))?;
    let commitment = payload.commitment.into_option().and_then(|one| one.hash);
    let told =
        wa::CompanionEphemeralIdentity::decode_from_slice(&identity).map_err(|_| invalid("identity"))?;
    let key = told.public_key.and_then(|key| key.as_slice().try_into().ok());
    let companion = Companion {
        key: key.ok_or_else(|| invalid("key"))?,
        platform: told.device_type.ok_or_else(|| invalid("platform"))?,
        reference: told.r#ref.ok_or_else(|| invalid("reference"))?,
        identity,
    };
    if ceremony.reference.as_deref() != Some(&companion.reference) {
        return Err(invalid("reference"));
    }
    let commitment = commitment.ok_or_else(|| invalid("commitment"))?;
    Ok(Said::Prologue {
        companion,
        commitment,
    })
}

/// The phone has the client's person use the passkey, and agrees with the client on a secret. It waits for people, for minutes.
///
/// # Errors
/// [`Error::Conflict`] where nobody does, the client goes away, or the two cannot agree.
pub(super) async fn agree(
    network: &Network,
    pairing: &Pairing,
    phone: &str,
    passkey: Passkey,
) -> Result<[u8; 32]> {
    let client = &pairing.client;
    let challenge = rand::rng().random::<[u8; 32]>();
    let until = Instant::now() + PATIENCE;
    let asked = notification("passkey_prologue_request", options_node(&passkey, &challenge));
    let (said, mut heard) = mpsc::channel(WAITING);
    let ceremonies = &network.registry.passkeys;
    let ceremony = Ceremony {
        phone: phone.to_owned(),
        passkey,
        challenge,
        until,
        reference: None,
        code: None,
        said,
    };
    ceremonies.lock().insert(client.id, ceremony);
    let under_way = UnderWay {
        ceremonies,
        client: client.id,
    };
    client.send(&asked)?;

    let Said::Prologue {
        companion,
        commitment,
    } = next(&mut heard, client, until).await?
    else {
        return Err(out_of_turn());
    };
    tokio::time::sleep(PACE).await;
    let own = KeyPair::generate(&mut rand::make_rng::<StdRng>());
    let public: [u8; 32] = own
        .public_key
        .public_key_bytes()
        .try_into()
        .map_err(|error| Error::codec("an ephemeral key", error))?;
    let own_nonce = rand::rng().random::<[u8; 32]>();
    let greeting = wa::PrimaryEphemeralIdentity {
        public_key: Some(public.to_vec()),
        nonce: Some(own_nonce.to_vec()),
    };
    let greeting = wire::bytes_node("primary_ephemeral_identity", greeting.encode_to_vec());
    client.send(&notification("crsc_continuation", greeting))?;

    let Said::Nonce(nonce) = next(&mut heard, client, until).await? else {
        return Err(out_of_turn());
    };
    if ShortcakeUtils::commitment_hash(&companion.identity, &nonce)[..] != commitment[..] {
        return Err(Error::Conflict(
            "the client does not keep to its commitment".into(),
        ));
    }
    let code = ShortcakeUtils::derive_verification_code(&nonce, &public, &own_nonce);
    under_way.show(&code);

    let Said::Request(sealed) = next(&mut heard, client, until).await? else {
        return Err(out_of_turn());
    };
    let secret = open(&own, &companion, pairing, &sealed)?;
    tokio::time::sleep(PACE).await;
    Ok(secret)
}

impl UnderWay<'_> {
    /// Shows a code in two groups, as clients do.
    fn show(&self, code: &str) {
        if let Some(ceremony) = self.ceremonies.lock().get_mut(&self.client) {
            let (first, second) = code.split_at(code.len() / 2);
            ceremony.code = Some(format!("{first}-{second}"));
        }
    }
}

async fn next(heard: &mut mpsc::Receiver<Said>, client: &Client, until: Instant) -> Result<Said> {
    tokio::select! {
        said = tokio::time::timeout_at(until, heard.recv()) => said
            .ok()
            .flatten()
            .ok_or_else(|| Error::Conflict("nobody has used the passkey in time".into())),
        () = client.close.cancelled() => Err(Error::Conflict("the client has gone away".into())),
    }
}

/// Opens the client's request; answers the secret in it.
fn open(own: &KeyPair, companion: &Companion, pairing: &Pairing, sealed: &[u8]) -> Result<[u8; 32]> {
    let unreadable = || Error::Conflict("the phone cannot read the client's request".into());
    let theirs = PublicKey::from_djb_public_key_bytes(&companion.key).map_err(|_| unreadable())?;
    let shared = own.calculate_agreement(&theirs).map_err(|_| unreadable())?;
    let (platform, reference) = (companion.platform, &companion.reference);
    let key = ShortcakeUtils::derive_encryption_key_from_shared_secret(&shared, platform, reference)
        .map_err(|_| unreadable())?;
    let sealed = wa::EncryptedPairingRequest::decode_from_slice(sealed).map_err(|_| unreadable())?;
    let (payload, nonce) = (
        sealed.encrypted_payload.ok_or_else(unreadable)?,
        sealed.iv.ok_or_else(unreadable)?,
    );
    let nonce = nonce.as_slice().try_into().map_err(|_| unreadable())?;
    let mut plain = Vec::new();
    aes_256_gcm_decrypt(&key, nonce, b"", &payload, &mut plain).map_err(|_| unreadable())?;
    let request = wa::PairingRequest::decode_from_slice(&plain).map_err(|_| unreadable())?;
    let is = |told: &Option<Vec<u8>>, known: &[u8; 32]| told.as_deref() == Some(&known[..]);
    if !is(&request.companion_public_key, &pairing.noise_key)
        || !is(&request.companion_identity_key, &pairing.registration.identity)
    {
        return Err(Error::Conflict(
            "the client's keys are not those with which it registered".into(),
        ));
    }
    let secret = request.adv_secret.ok_or_else(unreadable)?;
    secret.as_slice().try_into().map_err(|_| unreadable())
}

fn options_node(passkey: &Passkey, challenge: &[u8]) -> Node {
    wire::bytes_node("passkey_request_options", passkey.options(challenge).into_bytes())
}

fn notification(kind: &'static str, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", wire::SERVER)
        .attr("id", hex::encode_upper(rand::rng().random::<[u8; 8]>()))
        .attr("type", kind)
        .children([child])
        .build()
}

fn invalid(what: &str) -> Error {
    Error::Invalid(format!("a passkey's stanza without a usable {what}"))
}

fn none() -> Error {
    Error::NotFound("no phone links this client with a passkey".into())
}

fn out_of_turn() -> Error {
    Error::Conflict("the client takes its steps out of turn".into())
}
