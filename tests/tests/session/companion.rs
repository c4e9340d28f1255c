//! Another device of a person, which runs the library's own client.

use std::sync::Arc;

use testbed::wait::in_time;
use tokio::sync::mpsc;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};
use wacore::store::in_memory::InMemoryBackend;
use wacore::types::events::Event;
use whatsapp_rust::bot::{Bot, BotHandle};
use whatsapp_rust::{Client, TokioRuntime};
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

use crate::world::World;

/// No such device needs a web.
struct NoHttp;

#[async_trait::async_trait]
impl HttpClient for NoHttp {
    async fn execute(&self, _: HttpRequest) -> anyhow::Result<HttpResponse> {
        anyhow::bail!("there is no web in this test")
    }
}

/// A device of somebody who has a phone.
pub struct Companion {
    handle: BotHandle,
    events: mpsc::Receiver<Arc<Event>>,
}

impl Companion {
    /// One that this phone has linked, and that is connected.
    pub async fn of(world: &World, phone: &str) -> Self {
        let (sender, mut events) = mpsc::channel::<Arc<Event>>(256);
        let bot = Bot::builder()
            .with_backend_arc(Arc::new(InMemoryBackend::new()) as Arc<dyn wacore::store::traits::Backend>)
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(world.sandbox.ws_url()))
            .with_http_client(NoHttp)
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1_030_000_000))
            .on_event(move |event, _| {
                let sender = sender.clone();
                async move {
                    // What comes when nobody waits any more is of no use.
                    let _ = sender.try_send(event);
                }
            });
        let handle = bot.build().await.expect("a client").spawn();
        in_time("the device's login", async {
            let mut is_scanned = false;
            while let Some(event) = events.recv().await {
                match &*event {
                    Event::PairingQrCode(qr) if !is_scanned => {
                        world.scan(phone, qr.code.clone()).await;
                        is_scanned = true;
                    }
                    Event::Connected(_) => return,
                    _ => {}
                }
            }
            panic!("the device has ended");
        })
        .await;
        Self { handle, events }
    }

    /// The library's client.
    pub fn client(&self) -> Arc<Client> {
        self.handle.client()
    }

    /// The id and the text of the next message that it can read.
    pub async fn text(&mut self) -> (String, String) {
        in_time("a text on the device", async {
            loop {
                let event = self.events.recv().await.expect("the device lives");
                let Event::Messages(batch) = &*event else { continue };
                let text = batch.messages.iter().find_map(|one| {
                    let text = one.message.conversation.as_deref()?;
                    Some((one.info.id.clone(), text.to_owned()))
                });
                if let Some(text) = text {
                    return text;
                }
            }
        })
        .await
    }

    /// Ends it in order.
    pub async fn stop(self) {
        in_time("the device's end", self.handle.shutdown()).await;
    }
}
