//! A `whatsapp-rust` client whose every event is kept, so that a test can wait for one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Notify;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};
use wacore::store::in_memory::InMemoryBackend;
use wacore::types::events::{DeviceListUpdateType, Event};
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::{Client, SendOptions, TokioRuntime};
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

use crate::net::{Admin, DEADLINE};

/// The device's state; it outlives the client as a store does.
pub type Backend = Arc<InMemoryBackend>;

/// A running client.
pub struct TestClient {
    handle: BotHandle,
    log: Arc<Log>,
    pub backend: Backend,
}

/// What a client was told; it can be read after the client has stopped.
#[derive(Default)]
pub struct Log {
    events: Mutex<Vec<Arc<Event>>>,
    grown: Notify,
}

impl Log {
    /// The ids of the messages that the server took, in the order of its acks.
    pub fn acked(&self) -> Vec<String> {
        let id = |event: &Event| match event {
            Event::ServerAck(ack) if ack.class.as_deref() == Some("message") && ack.error.is_none() => {
                Some(ack.id.clone())
            }
            _ => None,
        };
        let events = self.events.lock().unwrap();
        events.iter().filter_map(|event| id(event)).collect()
    }

    /// Whether a message stanza with this id came, read or not. The client must forward raw nodes.
    pub fn has_stanza(&self, id: &str) -> bool {
        let is_it = |event: &Event| match event {
            Event::RawNode(node) => {
                let node = node.get();
                node.tag.as_ref() == "message" && node.get_attr("id").is_some_and(|found| found == id)
            }
            _ => false,
        };
        let events = self.events.lock().unwrap();
        events.iter().any(|event| is_it(event))
    }
}

/// No test here needs a web.
struct NoHttp;

#[async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, _: HttpRequest) -> anyhow::Result<HttpResponse> {
        anyhow::bail!("there is no web in this test")
    }
}

impl TestClient {
    /// Starts a client on `backend` against `url`.
    pub async fn start(url: &str, backend: Backend) -> Self {
        Self::start_as(url, backend, None, NoHttp).await
    }

    /// The same with a way to the media host.
    pub async fn start_with(url: &str, backend: Backend, http: impl HttpClient + 'static) -> Self {
        Self::start_as(url, backend, None, http).await
    }

    /// The same for one that registers under a push name.
    pub async fn start_named(url: &str, backend: Backend, push_name: Option<&str>) -> Self {
        Self::start_as(url, backend, push_name, NoHttp).await
    }

    async fn start_as(
        url: &str,
        backend: Backend,
        push_name: Option<&str>,
        http: impl HttpClient + 'static,
    ) -> Self {
        let log = Arc::new(Log::default());
        let sink = Arc::clone(&log);
        let builder = Bot::builder()
            .with_backend_arc(Arc::clone(&backend) as Arc<dyn wacore::store::traits::Backend>)
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(url))
            .with_http_client(http)
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1_030_000_000))
            .on_event(move |event, _| {
                let sink = Arc::clone(&sink);
                async move {
                    sink.events.lock().unwrap().push(event);
                    sink.grown.notify_waiters();
                }
            });
        let builder = match push_name {
            Some(name) => builder.with_push_name(name),
            None => builder,
        };
        let bot = builder.build().await.expect("the client is built");
        Self {
            handle: bot.spawn(),
            log,
            backend,
        }
    }

    /// Starts a new client and lets `phone` (or the next free one) scan its QR code. Answers it and the phone's number.
    pub async fn paired(url: &str, admin: Admin, phone: Option<&str>) -> (Self, String) {
        Self::paired_with(url, admin, phone, NoHttp).await
    }

    /// The same with a way to the media host.
    pub async fn paired_with(
        url: &str,
        admin: Admin,
        phone: Option<&str>,
        http: impl HttpClient + 'static,
    ) -> (Self, String) {
        let client = Self::start_with(url, Arc::new(InMemoryBackend::new()), http).await;
        let qr = client.qr().await;
        let path = phone.map_or_else(String::new, |phone| format!("?phone={phone}"));
        let scanned = admin
            .ok("POST", &format!("/admin/mock-phone/scan-qr{path}"), &qr)
            .await;
        client.connected().await;
        (client, scanned["phone"].as_str().expect("a number").to_owned())
    }

    /// The library's client.
    pub fn client(&self) -> Arc<Client> {
        self.handle.client()
    }

    /// What it was told and will be until it has stopped.
    pub fn log(&self) -> Arc<Log> {
        Arc::clone(&self.log)
    }

    /// Stops in order; answers the device's state.
    pub async fn stop(self) -> Backend {
        tokio::time::timeout(DEADLINE, self.handle.shutdown())
            .await
            .expect("the client stops");
        self.backend
    }

    /// Waits for the event from which `pick` gets something, the past included.
    pub async fn wait<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let search = async {
            loop {
                let grown = self.log.grown.notified();
                tokio::pin!(grown);
                grown.as_mut().enable();
                if let Some(found) = self
                    .log
                    .events
                    .lock()
                    .unwrap()
                    .iter()
                    .find_map(|event| pick(event))
                {
                    return found;
                }
                grown.await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await;
        found.unwrap_or_else(|elapsed| panic!("no {what} ({elapsed}) among {:?}", self.names()))
    }

    /// What `pick` gets from the events so far, in their order.
    pub fn all<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        let events = self.log.events.lock().unwrap();
        events.iter().filter_map(|event| pick(event)).collect()
    }

    /// How many events match.
    pub fn count(&self, matches: impl Fn(&Event) -> bool) -> usize {
        self.log
            .events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| matches(event))
            .count()
    }

    fn names(&self) -> Vec<String> {
        let name = |event: &Arc<Event>| format!("{event:?}").chars().take(60).collect();
        self.log.events.lock().unwrap().iter().map(name).collect()
    }

    pub async fn qr(&self) -> String {
        self.wait("QR code", |event| match event {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        })
        .await
    }

    /// The QR code that it shows now, or showed last.
    pub fn last_qr(&self) -> String {
        let events = self.log.events.lock().unwrap();
        let mut codes = events.iter().rev().filter_map(|event| match &**event {
            Event::PairingQrCode(qr) => Some(qr.code.clone()),
            _ => None,
        });
        codes.next().expect("a QR code")
    }

    pub async fn connected(&self) {
        self.wait("connection", |event| {
            matches!(event, Event::Connected(_)).then_some(())
        })
        .await;
    }

    /// Sends a text to a number under `id`.
    pub async fn send(&self, to: &str, id: &str, text: &str) {
        self.send_to(Jid::pn(to), id, text).await;
    }

    /// Sends a text to a JID under `id`.
    pub async fn send_to(&self, to: Jid, id: &str, text: &str) {
        let message = wa::Message {
            conversation: Some(text.into()),
            ..Default::default()
        };
        let options = SendOptions::default().with_message_id(id);
        let client = self.client();
        let sending = client.send_message_with_options(&to, message, options);
        tokio::time::timeout(DEADLINE, sending)
            .await
            .expect("in time")
            .expect("the text is sent");
    }

    /// Waits for the server's ack; answers its error.
    pub async fn acked(&self, id: &str) -> Option<String> {
        self.wait("ack", |event| match event {
            Event::ServerAck(ack) if ack.id == id && ack.class.as_deref() == Some("message") => {
                Some(ack.error.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits for a receipt of `kind` for `id`; answers whom it is from.
    pub async fn receipt(&self, id: &str, kind: &ReceiptType) -> Jid {
        self.wait("receipt", |event| match event {
            Event::Receipt(receipt)
                if receipt.r#type == *kind && receipt.message_ids.iter().any(|i| i == id) =>
            {
                Some(receipt.source.sender.clone())
            }
            _ => None,
        })
        .await
    }

    /// Waits for a text message; answers its id and chat.
    pub async fn text(&self, text: &str) -> (String, Jid) {
        self.wait(text, |event| match event {
            Event::Messages(batch) => batch.messages.iter().find_map(|one| {
                let found = one.message.conversation.as_deref() == Some(text);
                found.then(|| (one.info.id.clone(), one.info.source.chat.clone()))
            }),
            _ => None,
        })
        .await
    }

    /// Waits for the message with this id, of whatever kind; answers it and its chat.
    pub async fn message(&self, id: &str) -> (wa::Message, Jid) {
        self.wait(id, |event| match event {
            Event::Messages(batch) => batch.messages.iter().find_map(|one| {
                let found = one.info.id == id;
                found.then(|| (wa::Message::clone(&one.message), one.info.source.chat.clone()))
            }),
            _ => None,
        })
        .await
    }

    /// Waits until it has heard that a person has this device now.
    pub async fn hears_of_device(&self, device: u32) {
        self.wait("word of a new device", |event| match event {
            Event::DeviceListUpdate(update) => {
                let is_new = update.update_type == DeviceListUpdateType::Add;
                let mut devices = update.devices.iter();
                (is_new && devices.any(|one| one.device_id == device)).then_some(())
            }
            _ => None,
        })
        .await;
    }

    /// Sends texts that begin so until `sibling` has one, and answers that one. Nothing tells when a device knows of another
    /// one of its own account.
    pub async fn send_until_had(&self, to: &Jid, text: &str, sibling: &Self) -> String {
        let begun = Instant::now();
        let mut said: Vec<String> = Vec::new();
        loop {
            assert!(
                begun.elapsed() < DEADLINE,
                "{text} does not come to the other device"
            );
            let next = format!("{text} {}", said.len());
            let id = self.client().generate_message_id();
            self.send_to(to.clone(), &id, &next).await;
            said.push(next);
            for _ in 0..50 {
                if let Some(had) = said.iter().find(|one| sibling.texts(one) > 0) {
                    return had.clone();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Sends any message to a number under `id`.
    pub async fn send_message(&self, to: &str, id: &str, message: wa::Message) {
        let options = SendOptions::default().with_message_id(id);
        let (client, to) = (self.client(), Jid::pn(to));
        let sending = client.send_message_with_options(&to, message, options);
        tokio::time::timeout(DEADLINE, sending)
            .await
            .expect("in time")
            .expect("the message is sent");
    }

    /// How often a text arrived.
    pub fn texts(&self, text: &str) -> usize {
        let in_batch = |event: &Event| match event {
            Event::Messages(batch) => batch
                .messages
                .iter()
                .filter(|one| one.message.conversation.as_deref() == Some(text))
                .count(),
            _ => 0,
        };
        self.log
            .events
            .lock()
            .unwrap()
            .iter()
            .map(|event| in_batch(event))
            .sum()
    }
}
