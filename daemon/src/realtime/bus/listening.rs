//! What the other daemons tell comes here.

use std::sync::atomic::Ordering;

use futures::StreamExt as _;
use redis::RedisError;
use redis::aio::PubSub;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::message::{Envelope, Message, VERSION};
use super::peers::Peers;
use super::{Bus, PAUSE, SILENCE, within};
use crate::announce::hub::Shown;

/// The largest message that is taken, in bytes: an event, and what stands around it.
const LARGEST: usize = 64 * 1024;

impl Bus {
    /// Listens until `stop`.
    pub async fn listen(&self, stop: &CancellationToken) {
        loop {
            let Some(ended) = stop.run_until_cancelled(self.listen_once()).await else {
                return;
            };
            self.hears.store(false, Ordering::Relaxed);
            let why = ended.err().map(|error| error.to_string());
            let why = why.as_deref().unwrap_or("nothing comes any more");
            warn!(error = why, "events of other daemons do not come: Redis is away");
            if stop
                .run_until_cancelled(tokio::time::sleep(PAUSE))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    async fn listen_once(&self) -> Result<(), RedisError> {
        let subscribing = async {
            let mut listening: PubSub = self.client.get_async_pubsub().await?;
            listening.subscribe(&self.channel).await?;
            Ok::<_, RedisError>(listening)
        };
        let listening = within(subscribing).await?;
        // Others have told something meanwhile, for all that is known. So they may have before the first time, and sockets were
        // let in.
        self.hub.start_afresh();
        self.hears.store(true, Ordering::Relaxed);
        info!("events of other daemons come over Redis");
        let mut peers = Peers::default();
        let mut messages = std::pin::pin!(listening.into_on_message());
        // Not even its own word comes: the connection is there in name alone.
        while let Ok(Some(message)) = tokio::time::timeout(SILENCE, messages.next()).await {
            self.take(message.get_payload_bytes(), &mut peers);
            // Its own word comes too, so this is looked at every few seconds at least.
            if peers.lose_silent(Instant::now()) > 0 {
                warn!("another daemon is silent, and has not said that it goes: events of it may be missing");
                self.hub.start_afresh();
            }
        }
        Ok(())
    }

    fn take(&self, payload: &[u8], peers: &mut Peers) {
        if payload.len() > LARGEST {
            warn!(bytes = payload.len(), "another daemon's event is too large");
            return;
        }
        let envelope: Envelope = match serde_json::from_slice(payload) {
            Ok(envelope) => envelope,
            // A newer daemon's, or nothing of ours.
            Err(_) => return,
        };
        if envelope.v != VERSION || envelope.from == self.daemon {
            return;
        }
        if peers.heard(&envelope.from, Instant::now()) {
            self.asked.notify_one();
        }
        match envelope.message {
            Message::Event {
                id,
                subscription,
                instance,
                name,
                body,
            } => {
                let shown = Shown::new(id, subscription, instance, name, body);
                self.hub.show(shown.from_elsewhere());
            }
            Message::Gap => self.hub.start_afresh(),
            Message::Followed { subscriptions } => self.hub.follow(subscriptions),
            Message::Goodbye => peers.goes(&envelope.from),
        }
    }
}
