//! Who is connected, and how to reach them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::refusals::{self, StreamEnd};
use crate::directory::Address;
use crate::error::{Error, Result};
use crate::faults::Subject;
use crate::pairing::code::Codes;
use crate::pairing::passkey::Ceremonies;
use crate::phone::runner::Agenda;
use crate::store::Effects;
use crate::wire;

/// Stanzas that may wait for a client's socket. One that does not take them is closed.
const OUTGOING: usize = 512;

/// What goes to a client's writer.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// An encoded stanza, and the row of the client's queue that it is.
    Stanza(Vec<u8>, Option<i64>),
    /// The last stanza; the socket closes after it.
    Last(Vec<u8>),
}

/// A connected client.
#[derive(Debug)]
pub(crate) struct Client {
    /// Counts up; for the log.
    pub(crate) id: u64,
    /// The device, once it has logged in.
    address: OnceLock<Address>,
    outgoing: mpsc::Sender<Outgoing>,
    /// Told when the client's queue grows, or it shows a pairing code.
    pub(crate) wake: Notify,
    /// Told when the client asks for more of its backlog.
    pub(crate) pull: Notify,
    /// How many stanzas of the backlog the client has asked for and not got yet.
    pub(crate) credit: AtomicU64,
    /// The last row of its queue that went to the client's socket.
    pub(crate) sent: AtomicI64,
    /// Ends the connection at once.
    pub(crate) close: CancellationToken,
    /// Whether the client wants nothing brought for the time being.
    passive: watch::Sender<bool>,
    /// Whether a phone is linking the client.
    claimed: AtomicBool,
    requests: Mutex<HashMap<String, oneshot::Sender<Node>>>,
    next_request: AtomicU64,
}

impl Client {
    /// A client and the end from which its writer takes.
    pub(crate) fn new(id: u64, close: CancellationToken) -> (Arc<Self>, mpsc::Receiver<Outgoing>) {
        let (outgoing, writer) = mpsc::channel(OUTGOING);
        let client = Self {
            id,
            address: OnceLock::new(),
            outgoing,
            wake: Notify::new(),
            pull: Notify::new(),
            credit: AtomicU64::new(0),
            sent: AtomicI64::new(0),
            close,
            passive: watch::Sender::new(false),
            claimed: AtomicBool::new(false),
            requests: Mutex::default(),
            next_request: AtomicU64::new(1),
        };
        (Arc::new(client), writer)
    }

    /// Who it is, for the faults.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            client: self.id,
            address: self.address.get(),
        }
    }

    /// Sends a stanza without waiting. A client whose queue is full is too slow and is closed.
    pub(crate) fn send(&self, node: &Node) -> Result<()> {
        self.offer(Outgoing::Stanza(wire::encode(node)?, None));
        Ok(())
    }

    /// Sends a stanza after which the connection ends.
    pub(crate) fn send_last(&self, node: &Node) -> Result<()> {
        self.offer(Outgoing::Last(wire::encode(node)?));
        Ok(())
    }

    /// Stops deliveries, or lets them go on.
    pub(crate) fn set_passive(&self, passive: bool) {
        self.passive.send_replace(passive);
    }

    /// Waits until the client wants deliveries.
    pub(crate) async fn active(&self) {
        // The sender is the client's own: it does not end before this does.
        let _ = self.passive.subscribe().wait_for(|passive| !passive).await;
    }

    /// Takes the client for being linked. `false` if it is taken.
    pub(crate) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    /// Ends a claim.
    pub(crate) fn release(&self) {
        self.claimed.store(false, Ordering::Release);
    }

    /// Sends encoded bytes, waiting for room. `false` once the client is gone.
    pub(crate) async fn send_when_free(&self, payload: Vec<u8>) -> bool {
        self.outgoing.send(Outgoing::Stanza(payload, None)).await.is_ok()
    }

    /// The same of a row of the client's queue.
    pub(crate) async fn send_row(&self, payload: Vec<u8>, seq: i64) -> bool {
        let row = Outgoing::Stanza(payload, Some(seq));
        self.outgoing.send(row).await.is_ok()
    }

    /// Sends encoded bytes that are worth nothing later: without room they are dropped.
    pub(crate) fn send_in_passing(&self, payload: Vec<u8>) {
        let _ = self.outgoing.try_send(Outgoing::Stanza(payload, None));
    }

    fn offer(&self, outgoing: Outgoing) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.outgoing.try_send(outgoing) {
            tracing::warn!(
                client = self.id,
                "a client does not take its stanzas and is closed"
            );
            self.close.cancel();
        }
    }

    /// Sends an iq of the server's own with `child` and waits for the client's answer.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the client goes away or does not answer within `patience`.
    pub(crate) async fn request(&self, child: Node, patience: Duration) -> Result<Node> {
        let id = format!("s{}", self.next_request.fetch_add(1, Ordering::Relaxed));
        let (sender, answer) = oneshot::channel();
        lock(&self.requests).insert(id.clone(), sender);
        self.send(&server_iq(&id, child))?;
        let answer = tokio::select! {
            answer = tokio::time::timeout(patience, answer) => answer.ok().and_then(Result::ok),
            () = self.close.cancelled() => None,
        };
        lock(&self.requests).remove(&id);
        answer.ok_or_else(|| Error::Conflict("the client did not answer".into()))
    }

    /// Takes a client's answer to an iq of the server's.
    pub(crate) fn answered(&self, node: &Node) {
        let waiting = wire::attr(node, "id").and_then(|id| lock(&self.requests).remove(id.as_ref()));
        if let Some(waiting) = waiting {
            // Whoever asked may have given up.
            let _ = waiting.send(node.clone());
        }
    }
}

fn server_iq(id: &str, child: Node) -> Node {
    NodeBuilder::new("iq")
        .attr("from", wire::SERVER)
        .attr("type", "set")
        .attr("xmlns", "md")
        .attr("id", id)
        .children([child])
        .build()
}

/// A client that shows a QR code.
#[derive(Debug, Clone)]
pub(crate) struct Pairing {
    pub(crate) client: Arc<Client>,
    /// The Noise key with which it connected; the QR code must name the same.
    pub(crate) noise_key: [u8; 32],
    pub(crate) registration: crate::companions::Registration,
    /// The name with which it registered, if it told one.
    pub(crate) push_name: Option<String>,
}

/// A reference that a client shows in its QR code.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) text: String,
    /// It works until then.
    pub(crate) expires: Instant,
}

/// Every connection of the server.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    online: Mutex<HashMap<Address, Arc<Client>>>,
    pairing: Mutex<HashMap<String, (Pairing, Instant)>>,
    /// The clients that show a pairing code.
    pub(crate) codes: Codes,
    /// The clients that are being linked with a passkey.
    pub(crate) passkeys: Ceremonies,
    pub(crate) agenda: Arc<Agenda>,
    /// Told when an inbox changed; for all who wait for it.
    pub(crate) inboxes: Notify,
    /// Counts by phones the commits in which an entry of the inbox changed.
    amendments: Mutex<HashMap<String, u64>>,
    /// Told when a phone got something to answer.
    pub(crate) answers: Notify,
    /// Told when a phone got media to fetch.
    pub(crate) media: Notify,
    next_client: AtomicU64,
}

impl Registry {
    /// A number for a new connection.
    pub(crate) fn next_client(&self) -> u64 {
        self.next_client.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Puts a logged-in client in its place. Another connection of the same device is told that it was replaced.
    pub(crate) fn login(&self, address: &Address, client: &Arc<Client>) {
        // A connection logs in once.
        let _ = client.address.set(address.clone());
        let former = lock(&self.online).insert(address.clone(), Arc::clone(client));
        if let Some(former) = former {
            refusals::end(&former, StreamEnd::Replaced);
        }
    }

    /// Takes a client out, unless another connection took its place already.
    pub(crate) fn logout(&self, address: &Address, client: &Arc<Client>) {
        let mut online = lock(&self.online);
        if online
            .get(address)
            .is_some_and(|current| Arc::ptr_eq(current, client))
        {
            online.remove(address);
        }
    }

    /// The connection of a device.
    pub(crate) fn client(&self, address: &Address) -> Option<Arc<Client>> {
        lock(&self.online).get(address).cloned()
    }

    /// The connections of an account's companions, or of everyone.
    pub(crate) fn clients(&self, phone: Option<&str>) -> Vec<Arc<Client>> {
        let online = lock(&self.online);
        let of_phone = online
            .iter()
            .filter(|(address, _)| phone.is_none_or(|phone| address.phone == phone));
        of_phone.map(|(_, client)| Arc::clone(client)).collect()
    }

    /// All connections, also those that show a QR code, in the order in which they came.
    pub(crate) fn connected(&self) -> Vec<Arc<Client>> {
        let mut clients = self.clients(None);
        clients.extend(self.pairing_clients());
        clients.sort_unstable_by_key(|client| client.id);
        clients
    }

    /// How many clients are logged in, and how many show a QR code.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let waiting: std::collections::HashSet<u64> = lock(&self.pairing)
            .values()
            .map(|(pairing, _)| pairing.client.id)
            .collect();
        (lock(&self.online).len(), waiting.len())
    }

    /// The clients that show a QR code.
    pub(crate) fn pairing_clients(&self) -> Vec<Arc<Client>> {
        let all = lock(&self.pairing);
        let clients: HashMap<u64, &Arc<Client>> = all
            .values()
            .map(|(pairing, _)| (pairing.client.id, &pairing.client))
            .collect();
        clients.into_values().map(Arc::clone).collect()
    }

    /// Makes `refs` the ones by which this client can be found, in place of its former ones.
    pub(crate) fn offer_refs(&self, pairing: &Pairing, refs: &[Reference]) {
        let mut all = lock(&self.pairing);
        all.retain(|_, (other, _)| other.client.id != pairing.client.id);
        let refs = refs.iter().cloned();
        all.extend(refs.map(|reference| (reference.text, (pairing.clone(), reference.expires))));
    }

    /// Forgets what a client shows: references and code.
    pub(crate) fn withdraw(&self, client: &Client) {
        lock(&self.pairing).retain(|_, (other, _)| other.client.id != client.id);
        self.codes.withdraw(client);
    }

    /// Takes the client that shows `reference`, with all its references, so that none of them works twice. A
    /// reference that has run out finds nobody.
    pub(crate) fn take_pairing(&self, reference: &str) -> Option<(Pairing, Vec<Reference>)> {
        let mut all = lock(&self.pairing);
        let (found, expires) = all.get(reference).cloned()?;
        if expires <= Instant::now() {
            return None;
        }
        let taken = all.extract_if(|_, (other, _)| other.client.id == found.client.id);
        let refs = taken.map(|(text, (_, expires))| Reference { text, expires });
        let refs = refs.collect();
        Some((found, refs))
    }

    /// In how many commits an entry changed that the inbox of `phone` had before.
    pub(crate) fn amendments(&self, phone: &str) -> u64 {
        lock(&self.amendments).get(phone).copied().unwrap_or_default()
    }

    /// Passes on what committed units of work brought about. Never waits.
    pub(crate) fn apply(&self, effects: Effects) {
        if !effects.amended.is_empty() {
            let mut amendments = lock(&self.amendments);
            for phone in effects.amended {
                *amendments.entry(phone).or_default() += 1;
            }
        }
        if effects.shown {
            self.inboxes.notify_waiters();
        }
        if effects.answers {
            self.answers.notify_one();
        }
        if effects.media {
            self.media.notify_one();
        }
        for address in effects.wake {
            if address.device == 0 {
                self.agenda.add(&address.phone);
            } else if let Some(client) = self.client(&address) {
                client.wake.notify_one();
            }
        }
        for (address, payload) in effects.passing {
            if let Some(client) = self.client(&address) {
                client.send_in_passing(payload);
            }
        }
        for address in effects.removed {
            if let Some(client) = self.client(&address) {
                refusals::end(&client, StreamEnd::DeviceRemoved);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
