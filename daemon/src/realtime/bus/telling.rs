//! What arises here goes to the other daemons.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::message::{Envelope, Message, VERSION, event};
use super::{Bus, DEADLINE, PAUSE, within};
use crate::announce::hub::Origin;

/// How often it is told who is followed.
const WORD_PERIOD: Duration = Duration::from_secs(5);

/// How many subscriptions a message names at most.
const NAMED: usize = 1_000;

/// How many events are taken from the hub at a time.
const BATCH: usize = 64;

/// How long telling the rest may take when the daemon stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How far the others have been told.
struct Told {
    /// The place in the hub from which they have not been told.
    place: u64,
    /// Whether they may have missed something since the way was there last.
    has_gap: bool,
}

impl Bus {
    /// Tells the others what arises here, until `stop`, and then the rest.
    pub async fn tell(&self, stop: &CancellationToken) {
        let given_up = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = self.tell_all(stop) => {}
            () = given_up => warn!("other daemons were not told of the last events in time"),
        }
    }

    async fn tell_all(&self, stop: &CancellationToken) {
        let mut told = Told {
            place: self.hub.end(),
            has_gap: false,
        };
        while let Err(error) = self.tell_once(&mut told, stop).await {
            told.has_gap = true;
            self.tells.store(false, Ordering::Relaxed);
            warn!(%error, "other daemons are not told of events: Redis is away");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tells until that fails, or until nothing is left after `stop`. What could not be told is counted, and the others are
    /// told that something is missing.
    async fn tell_once(&self, told: &mut Told, stop: &CancellationToken) -> Result<(), RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = within(connecting).await?;
        if told.has_gap {
            let end = self.hub.end();
            self.lost
                .add(usize::try_from(end.saturating_sub(told.place)).unwrap_or(usize::MAX));
            told.place = end;
            self.publish(&mut connection, Message::Gap).await?;
            told.has_gap = false;
        }
        self.tells.store(true, Ordering::Relaxed);
        let mut next_word = Instant::now();
        loop {
            let came = self.hub.came();
            let Ok(events) = self.hub.from(told.place, BATCH) else {
                told.place = self.hub.end();
                self.publish(&mut connection, Message::Gap).await?;
                continue;
            };
            for shown in &events {
                if shown.origin == Origin::Here {
                    self.publish(&mut connection, event(shown)).await?;
                }
                told.place += 1;
            }
            if Instant::now() >= next_word {
                self.say_who_is_followed(&mut connection).await?;
                next_word = Instant::now() + WORD_PERIOD;
            }
            if events.is_empty() {
                if stop.is_cancelled() {
                    return Ok(());
                }
                tokio::select! {
                    () = came => {}
                    () = tokio::time::sleep_until(next_word) => {}
                    () = stop.cancelled() => {}
                }
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
