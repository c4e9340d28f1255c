//! What arises here goes to the other daemons.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use shared::ids::SubscriptionId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::message::{Envelope, Message, VERSION, event};
use super::{Bus, DEADLINE, PAUSE, within};
use crate::announce::hub::{Gone, Origin};

/// How often it is told who is followed. Whoever is followed for the first time is named at once.
const WORD_PERIOD: Duration = Duration::from_secs(5);

/// How many subscriptions a message names at most.
const NAMED: usize = 1_000;

/// How many events are told in one round trip.
const BATCH: usize = 128;

/// How far apart two words are at least that something is missing: each makes the sockets of all others read anew.
const GAP_PERIOD: Duration = Duration::from_secs(5);

/// How long telling the rest may take when the daemon stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How far the others have been told.
struct Told {
    /// The place in the hub from which they have not been told.
    place: u64,
    /// Whether they may have missed something, and do not know yet.
    has_gap: bool,
    /// When they may be told that the next time.
    next_gap: Instant,
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
            next_gap: Instant::now(),
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
        let mut connection = self.connect().await?;
        if told.has_gap {
            self.pass_over(told);
        }
        let mut next_word = Instant::now();
        loop {
            let came = self.hub.came();
            let events = self.hub.from(told.place, BATCH).unwrap_or_else(|Gone| {
                self.pass_over(told);
                Vec::new()
            });
            let now = Instant::now();
            let says_gap = told.has_gap && (now >= told.next_gap || stop.is_cancelled());
            let says_word = now >= next_word;
            let mut messages = Vec::new();
            messages.extend(says_gap.then_some(Message::Gap));
            let own = events.iter().filter(|shown| shown.origin == Origin::Here);
            messages.extend(own.map(|shown| event(shown)));
            let newcomers = self.followers.take_newcomers();
            if says_word {
                messages.extend(words(&self.followers.subscriptions()));
            } else if !newcomers.is_empty() {
                messages.extend(words(&newcomers));
            }
            self.publish(&mut connection, messages).await?;
            told.place += u64::try_from(events.len()).unwrap_or(u64::MAX);
            if says_gap {
                told.has_gap = false;
                told.next_gap = now + GAP_PERIOD;
            }
            if says_word {
                next_word = now + WORD_PERIOD;
                self.tells.store(true, Ordering::Relaxed);
            }
            if !events.is_empty() {
                continue;
            }
            if stop.is_cancelled() {
                return self.publish(&mut connection, vec![Message::Goodbye]).await;
            }
            let next = if told.has_gap {
                next_word.min(told.next_gap)
            } else {
                next_word
            };
            tokio::select! {
                () = came => {}
                () = tokio::time::sleep_until(next) => {}
                () = self.followers.newcomer() => {}
                () = self.asked.notified() => next_word = now,
                () = stop.cancelled() => {}
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        within(self.client.get_multiplexed_async_connection_with_config(&config)).await
    }

    /// Goes on with what comes from now on. What is passed over counts as lost, other daemons' events among it.
    fn pass_over(&self, told: &mut Told) {
        let end = self.hub.end();
        let count = end.saturating_sub(told.place);
        self.lost.add(usize::try_from(count).unwrap_or(usize::MAX));
        told.place = end;
        told.has_gap = true;
    }

    /// Publishes these in one round trip.
    async fn publish(
        &self,
        connection: &mut MultiplexedConnection,
        messages: Vec<Message>,
    ) -> Result<(), RedisError> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut commands = redis::pipe();
        for message in messages {
            let envelope = Envelope {
                v: VERSION,
                from: self.daemon.clone(),
                message,
            };
            let json = serde_json::to_string(&envelope).expect("plain data");
            commands.cmd("PUBLISH").arg(&self.channel).arg(json).ignore();
        }
        within(commands.exec_async(connection)).await
    }
}

/// That sockets of this daemon follow these: a word even where there is nobody.
fn words(followed: &[SubscriptionId]) -> Vec<Message> {
    let mut parts: Vec<_> = followed.chunks(NAMED).map(<[_]>::to_vec).collect();
    if parts.is_empty() {
        parts.push(Vec::new());
    }
    let words = parts.into_iter();
    words
        .map(|subscriptions| Message::Followed { subscriptions })
        .collect()
}
