//! The WebSocket, remembered so that it can be closed past the client.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

/// Opens sockets and knows the last one.
#[derive(Clone)]
pub struct Dialler {
    factory: Arc<TokioWebSocketTransportFactory>,
    last: Arc<Mutex<Option<Arc<dyn Transport>>>>,
}

impl Dialler {
    pub fn new(url: &str) -> Self {
        Self {
            factory: Arc::new(TokioWebSocketTransportFactory::new().with_url(url)),
            last: Arc::default(),
        }
    }

    /// Closes the last socket, whatever the client is about.
    pub async fn hang_up(&self) {
        let last = self.last.lock().expect("no holder panics").take();
        if let Some(transport) = last {
            transport.disconnect().await;
        }
    }
}

#[async_trait]
impl TransportFactory for Dialler {
    async fn create_transport(&self) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let (transport, events) = self.factory.create_transport().await?;
        *self.last.lock().expect("no holder panics") = Some(Arc::clone(&transport));
        Ok((transport, events))
    }
}
