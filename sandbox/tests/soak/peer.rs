//! One client: it takes messages durably, and sends texts until they are acknowledged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use wacore::msg_secret::MsgSecretPolicy;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};
use wacore::store::in_memory::InMemoryBackend;
use wacore::types::events::{Event, EventKind, InboundMessage};
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::{CacheConfig, Client, InboundDurabilityHook, SendOptions, TokioRuntime};
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

use crate::ledger::Ledger;
use crate::network::Network;

/// Prekeys of a client: making the usual 812 of all clients would take longer than the rest.
const PRE_KEYS: usize = 30;

/// How long a sender waits for the server's acknowledgement.
const ACK: Duration = Duration::from_secs(6);

/// How long a step of pairing or connecting may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The places, counted from one's own, of those whom a client writes to: as many as it has friends.
const FRIENDS: [usize; 3] = [1, 7, 31];

/// A client and the number of its account.
pub struct Peer {
    pub phone: String,
    handle: Mutex<Option<BotHandle>>,
    client: Arc<Client>,
    waiting: Arc<Waiting>,
}

/// The text that waits for its acknowledgement: one at a time.
#[derive(Default)]
struct Waiting(Mutex<Option<(String, oneshot::Sender<bool>)>>);

impl Waiting {
    fn expect(&self, id: &str) -> oneshot::Receiver<bool> {
        let (answer, answered) = oneshot::channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.to_owned(), answer));
        answered
    }

    fn answer(&self, id: &str, refused: bool) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = waiting.take_if(|(expected, _)| expected == id) {
            // The sender may have stopped waiting.
            let _ = answer.send(refused);
        }
    }
}

/// What one peer is to do.
pub struct Plan {
    /// Its place among the recipients.
    pub number: usize,
    /// All who can be written to; the first `clients` have clients.
    pub recipients: Arc<[String]>,
    pub clients: usize,
    /// Time between two texts, on average.
    pub every: Duration,
    pub seed: u64,
    /// No new texts from then on.
    pub over: CancellationToken,
}

/// Takes messages; the ledger stands for a database.
struct Commits(Arc<Ledger>);

#[async_trait]
impl InboundDurabilityHook for Commits {
    async fn on_messages(&self, _: Arc<Client>, batch: &[InboundMessage]) -> anyhow::Result<()> {
        for message in batch {
            // One's own texts come back from one's phone only when history does, which is not here.
            if !message.info.source.is_from_me {
                self.0.committed(&message.info.id);
            }
        }
        Ok(())
    }
}

/// There is no web in this test.
struct NoHttp;

#[async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, _: HttpRequest) -> anyhow::Result<HttpResponse> {
        anyhow::bail!("there is no web in this test")
    }
}

impl Peer {
    /// Starts a client, lets `phone` scan its QR code and waits until it is connected.
    pub async fn paired(network: &Network, phone: String, ledger: Arc<Ledger>) -> anyhow::Result<Self> {
        let (codes, mut code) = watch::channel(None);
        let waiting = Arc::new(Waiting::default());
        let acks = Arc::clone(&waiting);
        // What a client keeps of texts long past would count as growth.
        let caches = CacheConfig {
            sent_message_ttl_secs: 30,
            msg_secret_policy: MsgSecretPolicy::Disabled,
            ..CacheConfig::default()
        };
        let bot = Bot::builder()
            .with_backend_arc(Arc::new(InMemoryBackend::new()))
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(network.sandbox.ws_url()))
            .with_http_client(NoHttp)
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1_030_000_000))
            .with_wanted_pre_key_count(PRE_KEYS)
            .with_cache_config(caches)
            .skip_history_sync()
            .with_inbound_durability_hook(Commits(ledger))
            .on_event_for(
                &[EventKind::PairingQrCode, EventKind::ServerAck],
                move |event, _| {
                    match event.as_ref() {
                        Event::PairingQrCode(shown) => {
                            codes.send_replace(Some(shown.code.clone()));
                        }
                        Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => {
                            acks.answer(&ack.id, ack.error.is_some());
                        }
                        _ => {}
                    }
                    std::future::ready(())
                },
            )
            .build()
            .await?;
        let client = bot.client();
        let handle = bot.spawn();
        let shown = tokio::time::timeout(PATIENCE, code.wait_for(Option::is_some))
            .await
            .context("no QR code")??
            .clone();
        network.scan(&phone, shown.context("no QR code")?).await?;
        client
            .wait_for_connected(PATIENCE)
            .await
            .context("no connection after pairing")?;
        Ok(Self {
            phone,
            handle: Mutex::new(Some(handle)),
            client,
            waiting,
        })
    }

    /// Sends everybody of `plan` a first text. A client that has no connection when it first writes to somebody cannot
    /// ask for their devices and writes to their phone alone, which is its own affair and not looked for here.
    pub async fn greet(&self, plan: &Plan, ledger: &Ledger) {
        for to in plan.friends() {
            self.send_until_acked(&plan.recipients[to], &ledger.open(to), ledger)
                .await;
        }
    }

    /// Sends texts by `plan`, each until it is acknowledged.
    pub async fn send_texts(self: Arc<Self>, plan: Plan, ledger: Arc<Ledger>) {
        let mut random = StdRng::seed_from_u64(plan.seed.rotate_left(32) ^ plan.number as u64);
        let friends = plan.friends();
        // They do not all begin at once.
        let mut pause = plan.every.mul_f64(random.random());
        loop {
            tokio::select! {
                () = plan.over.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let to = friends[random.random_range(0..friends.len())];
            self.send_until_acked(&plan.recipients[to], &ledger.open(to), &ledger)
                .await;
            pause = plan.every.mul_f64(random.random_range(0.5..1.5));
        }
    }

    /// Sends a text, and again under its id whenever nothing was heard of it.
    async fn send_until_acked(&self, to: &str, id: &str, ledger: &Ledger) {
        loop {
            if self.client.wait_for_connected(PATIENCE).await.is_ok() && self.send(to, id, ledger).await {
                return;
            }
        }
    }

    /// Sends a text once; `true` when the server has answered.
    async fn send(&self, to: &str, id: &str, ledger: &Ledger) -> bool {
        let message = wa::Message {
            conversation: Some(format!("text {id}")),
            ..Default::default()
        };
        let answered = self.waiting.expect(id);
        ledger.sent(id);
        let attempt = async {
            let options = SendOptions::default().with_message_id(id);
            let to = Jid::pn(to);
            self.client
                .send_message_with_options(&to, message, options)
                .await?;
            anyhow::Ok(answered.await?)
        };
        match tokio::time::timeout(ACK, attempt).await {
            Ok(Ok(refused)) => {
                ledger.answered(id, refused);
                true
            }
            Ok(Err(_)) => {
                // Without a connection it fails at once.
                tokio::time::sleep(Duration::from_millis(200)).await;
                false
            }
            Err(_) => false,
        }
    }

    /// Stops in order.
    pub async fn stop(&self) {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            handle.shutdown().await;
        }
    }
}

impl Plan {
    /// Those whom this one writes to: some with clients, and one person without. Few, for each conversation costs both
    /// sides memory.
    fn friends(&self) -> Vec<usize> {
        let mut friends: Vec<usize> = FRIENDS
            .iter()
            .map(|friend| (self.number + friend) % self.clients)
            .filter(|friend| *friend != self.number)
            .collect();
        let people = self.recipients.len() - self.clients;
        friends.push(self.clients + self.number % people);
        friends.sort_unstable();
        friends.dedup();
        friends
    }
}
