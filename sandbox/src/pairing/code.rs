//! Linking by code: a client shows a code and tells the server for which number. The phone's person types it, and the
//! server passes two messages between the phone and the client.
//!
//! The server never learns the code. It finds the client by the number alone: a phone reaches the client that asked
//! last for its number.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{Claim, Linked};
use crate::directory;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::phone::identity;
use crate::phone::link_code::{self, Attempt, WRAPPED};
use crate::server::registry::{Client, Pairing};
use crate::wire;

/// How often a phone may try a code; clients stop listening then.
const MAX_ATTEMPTS: u32 = 3;

/// How long a client may take to answer a phone: it stretches the code, which takes a moment.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

const STANZA: &str = "link_code_companion_reg";

/// The clients that show a code, by the number for which they do.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    shown: Mutex<HashMap<String, Shown>>,
}

#[derive(Debug)]
struct Shown {
    pairing: Pairing,
    reference: String,
    /// The client's ephemeral key under the code.
    wrapped: [u8; WRAPPED],
    expires: Instant,
    attempts: u32,
    /// Where the client's keys go while a phone waits for them.
    waiting: Option<oneshot::Sender<Keys>>,
}

/// What a client sends to the phone in the end.
#[derive(Debug)]
struct Keys {
    identity: [u8; 32],
    bundle: Vec<u8>,
}

impl Codes {
    /// When the code that `client` shows runs out, if it shows one.
    pub(crate) fn deadline(&self, client: &Client) -> Option<Instant> {
        let shown = self.lock();
        let of_client = shown.values().find(|code| code.pairing.client.id == client.id);
        of_client.map(|code| code.expires)
    }

    /// Forgets the code of `client`; answers its reference.
    pub(crate) fn withdraw(&self, client: &Client) -> Option<String> {
        let mut shown = self.lock();
        let mut of_client = shown.extract_if(|_, code| code.pairing.client.id == client.id);
        of_client.next().map(|(_, code)| code.reference)
    }

    fn show(&self, phone: &str, code: Shown) {
        let mut shown = self.lock();
        shown.retain(|_, other| other.pairing.client.id != code.pairing.client.id);
        shown.insert(phone.to_owned(), code);
    }

    /// A phone begins an attempt: the client, and where its keys will arrive.
    fn attempt(&self, phone: &str) -> Result<(Begun, oneshot::Receiver<Keys>)> {
        let mut shown = self.lock();
        let code = shown
            .get_mut(phone)
            .filter(|code| code.expires > Instant::now())
            .ok_or_else(|| Error::NotFound("no connected client shows a code for this phone".into()))?;
        if code.waiting.is_some() {
            return Err(Error::Conflict("this phone is being linked already".into()));
        }
        let (sender, keys) = oneshot::channel();
        code.waiting = Some(sender);
        let begun = Begun {
            pairing: code.pairing.clone(),
            reference: code.reference.clone(),
            wrapped: code.wrapped,
        };
        Ok((begun, keys))
    }

    /// Notes that an attempt is over. `heard` says whether the client heard of it. Answers whether the code is used
    /// up.
    fn attempted(&self, phone: &str, reference: &str, heard: bool) -> bool {
        let mut shown = self.lock();
        let Some(code) = shown.get_mut(phone).filter(|code| code.reference == reference) else {
            return false;
        };
        code.waiting = None;
        code.attempts += u32::from(heard);
        if code.attempts < MAX_ATTEMPTS {
            return false;
        }
        shown.remove(phone);
        true
    }

    /// A client answers the phone that reached it.
    fn answered(&self, client: &Client, reference: &[u8], keys: Keys) -> Result<()> {
        let mut shown = self.lock();
        let code = shown
            .values_mut()
            .find(|code| code.pairing.client.id == client.id && code.reference.as_bytes() == reference);
        let waiting = code.and_then(|code| code.waiting.take());
        let waiting = waiting.ok_or_else(|| Error::Invalid("no phone waits for these keys".into()))?;
        // The phone may have given up.
        let _ = waiting.send(keys);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt under way.
struct Begun {
    pairing: Pairing,
    reference: String,
    wrapped: [u8; WRAPPED],
}

/// Answers what a client that is not linked asks of `md`.
///
/// # Errors
/// [`Error::Invalid`] for what cannot be understood.
pub(crate) fn answer(network: &Network, pairing: &Pairing, node: &Node) -> Result<Node> {
    let invalid = |what: &str| Error::Invalid(format!("a {STANZA} without a usable {what}"));
    let request = node
        .get_optional_child(STANZA)
        .ok_or_else(|| invalid("request"))?;
    let jid = wire::attr_jid(request, "jid").ok_or_else(|| invalid("jid"))?;
    match wire::attr(request, "stage").as_deref() {
        Some("companion_hello") => {
            let phone = jid.user.to_string();
            directory::check_number(&phone)?;
            let wrapped = wire::child_bytes(request, "link_code_pairing_wrapped_companion_ephemeral_pub")
                .and_then(|bytes| bytes.as_ref().try_into().ok())
                .ok_or_else(|| invalid("ephemeral key"))?;
            if wire::child_key(request, "companion_server_auth_key_pub") != Some(pairing.noise_key) {
                return Err(invalid("Noise key"));
            }
            let reference = format!("3@{}", hex::encode(rand::rng().random::<[u8; 24]>()));
            let code = Shown {
                pairing: pairing.clone(),
                reference: reference.clone(),
                wrapped,
                expires: Instant::now() + network.config.pairing.code,
                attempts: 0,
                waiting: None,
            };
            network.registry.codes.show(&phone, code);
            pairing.client.wake.notify_one();
            let answer = NodeBuilder::new(STANZA)
                .attr("stage", "companion_hello")
                .children([reference_node(&reference)])
                .build();
            Ok(wire::iq_result(node, vec![answer]))
        }
        Some("companion_finish") => {
            let keys = Keys {
                identity: wire::child_key(request, "companion_identity_public")
                    .ok_or_else(|| invalid("identity key"))?,
                bundle: wire::child_bytes(request, "link_code_pairing_wrapped_key_bundle")
                    .ok_or_else(|| invalid("key bundle"))?
                    .into_owned(),
            };
            let reference =
                wire::child_bytes(request, "link_code_pairing_ref").ok_or_else(|| invalid("reference"))?;
            network
                .registry
                .codes
                .answered(&pairing.client, &reference, keys)?;
            Ok(wire::iq_result(node, Vec::new()))
        }
        _ => Err(invalid("stage")),
    }
}

/// Takes the codes of `client` back when they run out, and tells it. Runs as long as the client is not linked.
pub(crate) async fn keep_time(network: &Network, client: &Client) {
    loop {
        let shown = client.wake.notified();
        match network.registry.codes.deadline(client) {
            None => shown.await,
            Some(deadline) if deadline > Instant::now() => tokio::select! {
                () = tokio::time::sleep_until(deadline) => {}
                () = shown => {}
            },
            Some(_) => {
                if let Some(reference) = network.registry.codes.withdraw(client) {
                    debug!(client = client.id, "a pairing code has run out");
                    refresh(client, &reference, false);
                }
            }
        }
    }
}

/// The person types `code` on `phone`, which is made if need be.
///
/// # Errors
/// [`Error::Invalid`] for what is no code or no number, [`Error::NotFound`] where no connected client shows a code for
/// this phone, [`Error::Conflict`] for a wrong one, for a phone that cannot link, and for a client that refuses.
pub(crate) async fn enter(network: &Network, phone: String, code: &str) -> Result<Linked> {
    let code = link_code::read_code(code)?;
    directory::check_number(&phone)?;
    let (begun, keys) = network.registry.codes.attempt(&phone)?;
    let mut heard = false;
    let linked = attempt(network, &phone, code, (&begun, keys), &mut heard).await;
    let used_up = network.registry.codes.attempted(&phone, &begun.reference, heard);
    let client = &begun.pairing.client;
    if linked.is_ok() {
        network.registry.withdraw(client);
    } else if used_up {
        refresh(client, &begun.reference, true);
    }
    linked
}

async fn attempt(
    network: &Network,
    phone: &str,
    code: String,
    (begun, keys): (&Begun, oneshot::Receiver<Keys>),
    heard: &mut bool,
) -> Result<Linked> {
    let pairing = &begun.pairing;
    let _claim = Claim::of(pairing)?;
    let (number, shown) = (phone.to_owned(), pairing.clone());
    let (chosen, own) = network
        .store
        .run(move |unit| {
            let chosen = super::chosen(unit, Some(number), &shown)?;
            let own = identity::secrets(unit, &chosen.0.phone)?.identity.clone();
            Ok((chosen, own))
        })
        .await?;
    let wrapped = begun.wrapped;
    let attempt = tokio::task::spawn_blocking(move || Attempt::begin(&code, &wrapped))
        .await
        .map_err(|_| Error::Stopped)??;
    let hello = [
        wire::bytes_node("link_code_pairing_wrapped_primary_ephemeral_pub", attempt.wrapped),
        wire::bytes_node("primary_identity_pub", own.public_key().public_key_bytes()),
        reference_node(&begun.reference),
    ];
    let hello = NodeBuilder::new(STANZA)
        .attr("stage", "primary_hello")
        .children(hello);
    pairing.client.send(&notification(hello.build()))?;
    *heard = true;
    let keys = tokio::select! {
        keys = tokio::time::timeout(ANSWER_TIMEOUT, keys) => keys.ok().and_then(std::result::Result::ok),
        () = pairing.client.close.cancelled() => None,
    };
    let keys = keys.ok_or_else(|| Error::Conflict("the client did not answer".into()))?;
    if keys.identity != pairing.registration.identity {
        return Err(Error::Conflict(
            "the client's identity is not the one with which it registered".into(),
        ));
    }
    let secret = attempt.finish(&own, &keys.identity, &keys.bundle)?;
    let prepared = super::signed(network, pairing, chosen, secret).await?;
    super::finish(network, pairing, prepared).await
}

/// Tells a client that its code does not work any more; with `by_hand` only its person is to ask for a new one.
fn refresh(client: &Client, reference: &str, by_hand: bool) {
    let refresh = NodeBuilder::new(STANZA)
        .attr("stage", "refresh_code")
        .attr("force_manual_refresh", if by_hand { "true" } else { "false" })
        .children([reference_node(reference)])
        .build();
    if client.send(&notification(refresh)).is_err() {
        client.close.cancel();
    }
}

fn notification(child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", wire::SERVER)
        .attr("id", hex::encode_upper(rand::rng().random::<[u8; 8]>()))
        .attr("type", STANZA)
        .children([child])
        .build()
}

fn reference_node(reference: &str) -> Node {
    wire::bytes_node("link_code_pairing_ref", reference.as_bytes())
}
