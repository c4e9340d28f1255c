//! Several daemons tell each other their events over Redis, so that a socket at any of them hears of all.
//!
//! Each publishes what arises in it, and takes into its hub what the others publish: so resuming works at whichever daemon a
//! client comes back to. Redis keeps nothing of it. What is published while the way is broken is lost, and both sides see to it
//! that nobody takes the rest for the whole: a daemon that has lost its way tells the others so (`Message::Gap`) when it is
//! back, and one that could not listen starts its hub afresh. Sockets are told to read anew what they show.
//!
//! Each daemon also says every few seconds whom its sockets follow. That is how its own way is known to work: it hears itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, RedisError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::config::Secret;
use shared::domain::feed::FeedEvent;
use shared::ids::{EventId, InstanceId, SubscriptionId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::followers::Followers;
use crate::announce::hub::{Hub, Origin, Shown};
use crate::meter::Total;

/// How long Redis may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// The pause before another try.
const PAUSE: Duration = Duration::from_secs(1);

/// How often it is told who is followed.
const WORD_PERIOD: Duration = Duration::from_secs(5);

/// After such a silence, in which not even its own word comes, a daemon counts as not listening.
const SILENCE: Duration = Duration::from_secs(15);

/// The largest message that is taken, in bytes: an event, and what stands around it.
const LARGEST: usize = 64 * 1024;

/// How many subscriptions a message names at most.
const NAMED: usize = 1_000;

/// How many events are taken from the hub at a time.
const BATCH: usize = 64;

/// The version of what daemons tell each other. A message of another one is left out.
const VERSION: u32 = 1;

/// What a daemon tells the others.
#[derive(Serialize, Deserialize)]
struct Envelope {
    v: u32,
    from: String,
    message: Message,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Message {
    /// An event.
    Event {
        id: EventId,
        subscription: SubscriptionId,
        instance: Option<InstanceId>,
        name: FeedEvent,
        body: Value,
    },
    /// Some events before this were not told.
    Gap,
    /// Sockets of this daemon follow these subscriptions.
    Followed { subscriptions: Vec<SubscriptionId> },
}

/// The way to the other daemons.
#[derive(Debug)]
pub struct Bus {
    client: Client,
    channel: String,
    daemon: String,
    hub: Arc<Hub>,
    followers: Arc<Followers>,
    hears: AtomicBool,
    tells: AtomicBool,
    /// How many events the others were not told.
    lost: Total,
}

impl Bus {
    /// The way over the Redis at this URL. `channel` is what the daemons of a network have in common. Nothing is connected
    /// yet.
    pub fn new(
        url: &Secret,
        channel: String,
        daemon: String,
        hub: Arc<Hub>,
        followers: Arc<Followers>,
    ) -> Result<Self, RedisError> {
        // `rustls` wants to know which cryptography it uses; whoever was first has said so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: Client::open(url.expose())?,
            channel,
            daemon,
            hub,
            followers,
            hears: AtomicBool::new(false),
            tells: AtomicBool::new(false),
            lost: Total::default(),
        })
    }

    /// Whether events of other daemons come, and this one's go.
    pub fn is_whole(&self) -> bool {
        self.hears.load(Ordering::Relaxed) && self.tells.load(Ordering::Relaxed)
    }

    /// How many events the others were not told.
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }

    /// Listens until `stop`.
    pub async fn listen(&self, stop: &CancellationToken) {
        let mut has_listened = false;
        loop {
            let listening = self.listen_once(&mut has_listened);
            let Some(ended) = stop.run_until_cancelled(listening).await else {
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

    async fn listen_once(&self, has_listened: &mut bool) -> Result<(), RedisError> {
        let subscribing = async {
            let mut listening: PubSub = self.client.get_async_pubsub().await?;
            listening.subscribe(&self.channel).await?;
            Ok::<_, RedisError>(listening)
        };
        let listening = within(subscribing).await?;
        if *has_listened {
            // Others have told something meanwhile, for all that is known.
            self.hub.start_afresh();
        }
        *has_listened = true;
        self.hears.store(true, Ordering::Relaxed);
        info!("events of other daemons come over Redis");
        let mut messages = std::pin::pin!(listening.into_on_message());
        // Not even its own word comes: the connection is there in name alone.
        while let Ok(Some(message)) = tokio::time::timeout(SILENCE, messages.next()).await {
            self.take(message.get_payload_bytes());
        }
        Ok(())
    }

    fn take(&self, payload: &[u8]) {
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
        }
    }

    /// Tells the others what arises here, until `stop`.
    pub async fn tell(&self, stop: &CancellationToken) {
        let mut place = self.hub.end();
        let mut is_first = true;
        loop {
            let telling = self.tell_once(&mut place, is_first);
            let Some(error) = stop.run_until_cancelled(telling).await else {
                return;
            };
            is_first = false;
            self.tells.store(false, Ordering::Relaxed);
            warn!(%error, "other daemons are not told of events: Redis is away");
            if stop
                .run_until_cancelled(tokio::time::sleep(PAUSE))
                .await
                .is_none()
            {
                return;
            }
        }
    }

    /// Tells until that fails. What could not be told is counted, and the others are told that something is missing.
    async fn tell_once(&self, place: &mut u64, is_first: bool) -> RedisError {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = match within(connecting).await {
            Ok(connection) => connection,
            Err(error) => return error,
        };
        if !is_first {
            let end = self.hub.end();
            self.lost
                .add(usize::try_from(end.saturating_sub(*place)).unwrap_or(usize::MAX));
            *place = end;
            if let Err(error) = self.publish(&mut connection, Message::Gap).await {
                return error;
            }
        }
        self.tells.store(true, Ordering::Relaxed);
        let mut next_word = Instant::now();
        loop {
            let came = self.hub.came();
            let Ok(events) = self.hub.from(*place, BATCH) else {
                *place = self.hub.end();
                if let Err(error) = self.publish(&mut connection, Message::Gap).await {
                    return error;
                }
                continue;
            };
            for shown in &events {
                if shown.origin == Origin::Here
                    && let Err(error) = self.publish(&mut connection, event(shown)).await
                {
                    return error;
                }
                *place += 1;
            }
            if Instant::now() >= next_word {
                if let Err(error) = self.say_who_is_followed(&mut connection).await {
                    return error;
                }
                next_word = Instant::now() + WORD_PERIOD;
            }
            if events.is_empty() {
                // Whichever is first.
                let _ = tokio::time::timeout_at(next_word, came).await;
            }
        }
    }

    async fn say_who_is_followed(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let followed = self.followers.subscriptions();
        let mut parts: Vec<_> = followed.chunks(NAMED).map(<[_]>::to_vec).collect();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        for subscriptions in parts {
            self.publish(connection, Message::Followed { subscriptions })
                .await?;
        }
        Ok(())
    }

    async fn publish(
        &self,
        connection: &mut MultiplexedConnection,
        message: Message,
    ) -> Result<(), RedisError> {
        let envelope = Envelope {
            v: VERSION,
            from: self.daemon.clone(),
            message,
        };
        let json = serde_json::to_string(&envelope).expect("plain data");
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.channel).arg(json);
        within(command.query_async::<()>(connection)).await
    }
}

fn event(shown: &Shown) -> Message {
    Message::Event {
        id: shown.id,
        subscription: shown.subscription,
        instance: shown.instance,
        name: shown.event,
        body: shown.body.clone(),
    }
}

async fn within<T>(asking: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match tokio::time::timeout(DEADLINE, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
