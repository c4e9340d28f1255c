//! The responder's half of the Noise handshakes.
//!
//! A client that knows nothing of the server does XX. One that has kept the server's certificate chain does IK, and
//! sends its payload at once. If that does not decrypt (another server, a lost key), the server answers with a hello
//! as in XX, and both go on as `XXfallback` from the client's ephemeral key.

use buffa::Message as _;
use rand::rngs::StdRng;
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{HandshakeError, NoiseCipher, NoiseHandshake};
use waproto::whatsapp as wa;
use waproto::whatsapp::HandshakeMessage;
use waproto::whatsapp::handshake_message::{ClientHello, ServerHello};

use super::certificates::ServerIdentity;

/// Why a handshake ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the handshake lacks {0}")]
    Missing(&'static str),
    #[error("a handshake message does not decode: {0}")]
    Decode(#[from] buffa::DecodeError),
    #[error("Noise failed: {0}")]
    Noise(#[from] HandshakeError),
}

/// How the handshake went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// The client knew nothing of the server.
    Xx,
    /// It knew the server's key.
    Ik,
    /// It knew another key.
    XxFallback,
}

impl Pattern {
    fn name(self) -> &'static str {
        match self {
            Self::Xx => NOISE_PATTERN_XX,
            Self::Ik => NOISE_PATTERN_IK,
            Self::XxFallback => NOISE_PATTERN_XXFALLBACK,
        }
    }
}

/// A finished handshake: who the client is and how to talk to it.
pub(crate) struct Secured {
    pub(crate) pattern: Pattern,
    /// The client's Noise static key.
    pub(crate) client: [u8; 32],
    /// The decoded login or registration.
    pub(crate) payload: wa::ClientPayload,
    /// Encrypts what the server sends.
    pub(crate) write: NoiseCipher,
    /// Decrypts what the client sends.
    pub(crate) read: NoiseCipher,
}

/// What follows from a client's hello.
pub(crate) enum Step {
    /// IK: send this and be done.
    Done(Vec<u8>, Box<Secured>),
    /// XX: send this and wait for the client to finish.
    Wait(Vec<u8>, Box<AwaitingFinish>),
}

/// An XX handshake between the server's hello and the client's finish.
pub(crate) struct AwaitingFinish {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
    pattern: Pattern,
}

/// Answers the client's first frame.
pub(crate) fn respond(identity: &ServerIdentity, hello: &[u8]) -> Result<Step, Failure> {
    let message = HandshakeMessage::decode_from_slice(hello)?;
    let hello = message
        .client_hello
        .as_option()
        .ok_or(Failure::Missing("a client hello"))?;
    let ephemeral: [u8; 32] = key(hello.ephemeral.as_deref(), "the client's ephemeral key")?;
    if hello.r#static.is_some() && hello.payload.is_some() {
        match resume(identity, hello, &ephemeral) {
            Ok((reply, secured)) => return Ok(Step::Done(reply, Box::new(secured))),
            Err(Failure::Noise(_)) => {}
            Err(failure) => return Err(failure),
        }
        return full(identity, Pattern::XxFallback, &ephemeral);
    }
    full(identity, Pattern::Xx, &ephemeral)
}

/// IK, by the Noise specification's tokens: `<- s`, `-> e es s ss`, `<- e ee se`.
fn resume(
    identity: &ServerIdentity,
    hello: &ClientHello,
    client_ephemeral: &[u8; 32],
) -> Result<(Vec<u8>, Secured), Failure> {
    let own = identity.static_key.private_key.serialize();
    let mut noise = NoiseHandshake::new(Pattern::Ik.name(), &WA_CONN_HEADER)?;
    noise.authenticate(identity.static_key.public_key.public_key_bytes());
    noise.authenticate(client_ephemeral);
    noise.mix_shared_secret(own, client_ephemeral)?;
    let client = noise.decrypt(hello.r#static.as_deref().unwrap_or_default())?;
    let client = key(Some(&client), "the client's static key")?;
    noise.mix_shared_secret(own, &client)?;
    let payload = noise.decrypt(hello.payload.as_deref().unwrap_or_default())?;

    let ephemeral = KeyPair::generate(&mut rand::make_rng::<StdRng>());
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client)?;
    let certificates = noise.encrypt(&identity.chain)?;
    let reply = server_hello(&ephemeral, None, certificates);
    Ok((reply, secured(noise, Pattern::Ik, client, &payload)?))
}

/// XX up to the server's hello: `-> e`, `<- e ee s es`.
fn full(identity: &ServerIdentity, pattern: Pattern, client_ephemeral: &[u8; 32]) -> Result<Step, Failure> {
    let ephemeral = KeyPair::generate(&mut rand::make_rng::<StdRng>());
    let mut noise = NoiseHandshake::new(pattern.name(), &WA_CONN_HEADER)?;
    noise.authenticate(client_ephemeral);
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), client_ephemeral)?;
    let own = noise.encrypt(identity.static_key.public_key.public_key_bytes())?;
    noise.mix_shared_secret(identity.static_key.private_key.serialize(), client_ephemeral)?;
    let certificates = noise.encrypt(&identity.chain)?;
    let reply = server_hello(&ephemeral, Some(own), certificates);
    Ok(Step::Wait(
        reply,
        Box::new(AwaitingFinish {
            noise,
            ephemeral,
            pattern,
        }),
    ))
}

impl AwaitingFinish {
    /// The end of XX: `-> s se`, with the payload.
    pub(crate) fn finish(mut self, frame: &[u8]) -> Result<Secured, Failure> {
        let message = HandshakeMessage::decode_from_slice(frame)?;
        let finish = message
            .client_finish
            .as_option()
            .ok_or(Failure::Missing("a client finish"))?;
        let client = self
            .noise
            .decrypt(finish.r#static.as_deref().unwrap_or_default())?;
        let client = key(Some(&client), "the client's static key")?;
        self.noise
            .mix_shared_secret(self.ephemeral.private_key.serialize(), &client)?;
        let payload = self
            .noise
            .decrypt(finish.payload.as_deref().unwrap_or_default())?;
        secured(self.noise, self.pattern, client, &payload)
    }
}

fn secured(
    noise: NoiseHandshake,
    pattern: Pattern,
    client: [u8; 32],
    payload: &[u8],
) -> Result<Secured, Failure> {
    // `finish` names the keys from the initiator's point of view.
    let (read, write) = noise.finish()?;
    let payload = wa::ClientPayload::decode_from_slice(payload)?;
    Ok(Secured {
        pattern,
        client,
        payload,
        write,
        read,
    })
}

fn server_hello(ephemeral: &KeyPair, own: Option<Vec<u8>>, certificates: Vec<u8>) -> Vec<u8> {
    HandshakeMessage {
        server_hello: ServerHello {
            ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
            r#static: own,
            payload: Some(certificates),
            ..Default::default()
        }
        .into(),
        ..Default::default()
    }
    .encode_to_vec()
}

fn key(bytes: Option<&[u8]>, what: &'static str) -> Result<[u8; 32], Failure> {
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Failure::Missing(what))
}

#[cfg(test)]
mod tests {
    use wacore_noise::{IkHandshakeState, IkServerHelloOutcome, XxFallbackHandshakeState, XxHandshakeState};

    use super::super::certificates::{public, testing};
    use super::*;
    use crate::wire::{corpus, memory};

    /// The memory that a handshake may take beyond some bytes for each byte that the client sent.
    const BESIDES: usize = 32 * 1024;

    /// The most bytes that answering a message of this length may take.
    fn bound(message: &[u8]) -> usize {
        4 * message.len() + BESIDES
    }

    fn payload() -> Vec<u8> {
        wa::ClientPayload {
            username: Some(155_501_000_001),
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn check(secured: &Secured, client: &KeyPair, write: &NoiseCipher, read: &NoiseCipher) {
        assert_eq!(secured.client, public(client).unwrap());
        assert_eq!(secured.payload.username, Some(155_501_000_001));
        for (seal, open) in [(write, &secured.read), (&secured.write, read)] {
            let mut sealed = seal.encrypt_with_counter(0, b"stanza").unwrap();
            open.decrypt_in_place_with_counter(0, &mut sealed).unwrap();
            assert_eq!(sealed, b"stanza");
        }
    }

    #[test]
    fn a_stranger_does_xx() {
        let identity = testing::identity();
        let client = KeyPair::generate(&mut rand::make_rng::<StdRng>());
        let mut state = XxHandshakeState::new(client.clone(), payload(), &WA_CONN_HEADER).unwrap();
        let Step::Wait(hello, waiting) = respond(&identity, &state.build_client_hello().unwrap()).unwrap()
        else {
            panic!("XX has a third message");
        };
        let finish = state.read_server_hello_and_build_client_finish(&hello).unwrap();
        let secured = waiting.finish(&finish).unwrap();
        let outcome = state.finish().unwrap();
        assert_eq!(
            outcome.server_cert_chain.leaf_key,
            public(&identity.static_key).unwrap()
        );
        check(&secured, &client, &outcome.write_cipher, &outcome.read_cipher);
    }

    #[test]
    fn one_who_knows_the_key_resumes_with_ik() {
        let identity = testing::identity();
        let client = KeyPair::generate(&mut rand::make_rng::<StdRng>());
        let known = public(&identity.static_key).unwrap();
        let mut state = IkHandshakeState::new(client.clone(), known, payload(), &WA_CONN_HEADER).unwrap();
        let Step::Done(hello, secured) = respond(&identity, &state.build_client_hello().unwrap()).unwrap()
        else {
            panic!("IK ends with the server's hello");
        };
        let IkServerHelloOutcome::Continue(outcome) = state.read_server_hello(&hello).unwrap() else {
            panic!("the client accepts");
        };
        check(&secured, &client, &outcome.write_cipher, &outcome.read_cipher);
    }

    #[test]
    fn one_who_knows_another_key_falls_back() {
        let identity = testing::identity();
        let client = KeyPair::generate(&mut rand::make_rng::<StdRng>());
        let other = public(&KeyPair::generate(&mut rand::make_rng::<StdRng>())).unwrap();
        let mut state = IkHandshakeState::new(client.clone(), other, payload(), &WA_CONN_HEADER).unwrap();
        let Step::Wait(hello, waiting) = respond(&identity, &state.build_client_hello().unwrap()).unwrap()
        else {
            panic!("a fallback has a third message");
        };
        let IkServerHelloOutcome::Fallback(inputs) = state.read_server_hello(&hello).unwrap() else {
            panic!("the client falls back");
        };
        let mut state = XxFallbackHandshakeState::from_ik_failure(*inputs, &WA_CONN_HEADER).unwrap();
        let secured = waiting.finish(&state.build_client_finish().unwrap()).unwrap();
        let outcome = state.finish().unwrap();
        check(&secured, &client, &outcome.write_cipher, &outcome.read_cipher);
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]

        #[test]
        fn damaged_handshakes_are_refused(ik: bool, damage in corpus::damage(), late in corpus::damage()) {
            let identity = testing::identity();
            let client = KeyPair::generate(&mut rand::make_rng::<StdRng>());
            let known = public(&identity.static_key).unwrap();
            let mut hello = if ik {
                IkHandshakeState::new(client.clone(), known, payload(), &WA_CONN_HEADER)
                    .unwrap()
                    .build_client_hello()
                    .unwrap()
            } else {
                XxHandshakeState::new(client.clone(), payload(), &WA_CONN_HEADER)
                    .unwrap()
                    .build_client_hello()
                    .unwrap()
            };
            for blow in &damage {
                blow.apply(&mut hello);
            }
            let (answered, most) = memory::peak(|| respond(&identity, &hello));
            proptest::prop_assert!(most <= bound(&hello), "{most} bytes for {}", hello.len());
            if let Ok(Step::Wait(_, waiting)) = answered {
                // What follows a hello that nobody meant is rubbish too.
                let mut finish = hello.clone();
                for blow in &late {
                    blow.apply(&mut finish);
                }
                let (finished, most) = memory::peak(|| waiting.finish(&finish));
                proptest::prop_assert!(finished.is_err());
                proptest::prop_assert!(most <= bound(&finish), "{most} bytes for {}", finish.len());
            }
        }

        #[test]
        fn a_damaged_finish_is_refused(damage in corpus::damage()) {
            let identity = testing::identity();
            let client = KeyPair::generate(&mut rand::make_rng::<StdRng>());
            let mut state = XxHandshakeState::new(client, payload(), &WA_CONN_HEADER).unwrap();
            let Step::Wait(hello, waiting) = respond(&identity, &state.build_client_hello().unwrap()).unwrap()
            else {
                panic!("XX has a third message");
            };
            let sound = state.read_server_hello_and_build_client_finish(&hello).unwrap();
            let mut finish = sound.clone();
            for blow in &damage {
                blow.apply(&mut finish);
            }
            let (finished, most) = memory::peak(|| waiting.finish(&finish));
            proptest::prop_assert!(most <= bound(&finish), "{most} bytes for {}", finish.len());
            if let Ok(secured) = finished {
                // Only bytes that are no part of key and payload can change without notice.
                proptest::prop_assert_eq!(secured.payload.username, Some(155_501_000_001));
            }
        }
    }

    #[test]
    fn rubbish_is_refused() {
        let identity = testing::identity();
        assert!(respond(&identity, b"rubbish").is_err());
        assert!(matches!(respond(&identity, &[]), Err(Failure::Missing(_))));
    }
}
