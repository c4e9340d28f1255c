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

impl Bus {
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
