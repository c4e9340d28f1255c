//! A trickle of texts: each instance writes to a phone of its own, a text a second, until it is told to end.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Method;
use chrono::{DateTime, Utc};
use sandbox::script::NewPhone;
use sandbox::{Phone, Sandbox};
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use testbed::caller::Caller;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::bare::after;
use crate::fleet::{Line, look_for};

/// The time between two texts of an instance.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often it is looked what has come. The phones say when.
const LOOK: Duration = Duration::from_millis(250);

/// How long a text may take to come. The queue gives a job that a dead daemon held to nobody for a while.
const PATIENCE: Duration = Duration::from_mins(5);

/// A text that the API has accepted.
struct Sent {
    instance: usize,
    text: String,
    /// When its request began.
    asked: DateTime<Utc>,
}

/// What the instances have sent, and what has come of it. The instances end with this.
pub struct Traffic {
    /// For each instance, the phone that it writes to.
    phones: Vec<Phone>,
    /// For each phone, how far its inbox was read.
    places: Vec<Option<String>>,
    sent: Arc<Mutex<Vec<Sent>>>,
    /// How many texts the API has not accepted.
    refused: Arc<AtomicUsize>,
    arrived: HashMap<String, DateTime<Utc>>,
    stop: CancellationToken,
    writing: JoinSet<()>,
}

impl Traffic {
    /// Has these instances write.
    pub async fn start(sandbox: &Sandbox, lines: &[Line]) -> Self {
        let mut traffic = Self {
            phones: Vec::new(),
            places: vec![None; lines.len()],
            sent: Arc::default(),
            refused: Arc::default(),
            arrived: HashMap::new(),
            stop: CancellationToken::new(),
            writing: JoinSet::new(),
        };
        for _ in lines {
            let phone = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
            traffic.phones.push(phone);
        }
        let (began, all) = (Instant::now(), u32::try_from(lines.len()).expect("small"));
        for (n, line) in (0_u32..).zip(lines) {
            let instance = usize::try_from(n).expect("small");
            let writer = Writer {
                instance,
                key: line.key.clone(),
                to: traffic.phones[instance].number().to_owned(),
                sent: Arc::clone(&traffic.sent),
                refused: Arc::clone(&traffic.refused),
            };
            // They do not write all at once.
            let first = began + INTERVAL * n / all;
            let stop = traffic.stop.clone();
            traffic.writing.spawn(async move {
                stop.run_until_cancelled(writer.write(first)).await;
            });
        }
        traffic
    }

    /// When the first text came that each of these instances was asked to send at `since` or later. An instance none of whose
    /// texts comes is left out.
    pub async fn next_of_each(
        &mut self,
        instances: &[usize],
        since: DateTime<Utc>,
    ) -> BTreeMap<usize, DateTime<Utc>> {
        let mut nexts: BTreeMap<usize, DateTime<Utc>> = BTreeMap::new();
        look_for(LOOK, PATIENCE, async || {
            self.look().await;
            let sent = self.sent.lock().expect("no holder panics");
            for text in sent.iter().filter(|text| text.asked >= since) {
                let Some(came) = self.arrived.get(&text.text) else {
                    continue;
                };
                let next = nexts.entry(text.instance).or_insert(*came);
                *next = (*next).min(*came);
            }
            let are_there = instances.iter().all(|instance| nexts.contains_key(instance));
            are_there.then_some(())
        })
        .await;
        nexts.retain(|instance, _| instances.contains(instance));
        nexts
    }

    /// Waits until every text has come that was asked for before; answers whether they all have.
    pub async fn settle(&mut self) -> bool {
        let until = SystemClock.now();
        let all = look_for(LOOK, PATIENCE, async || {
            self.look().await;
            (self.missing(until) == 0).then_some(())
        });
        if all.await.is_some() {
            return true;
        }
        println!("{} texts have not come", self.missing(until));
        false
    }

    /// The longest time of a text of each of these instances, from its request until it came, among those that were asked for
    /// at `since` or later.
    pub fn slowest_of_each(&self, instances: &[usize], since: DateTime<Utc>) -> Vec<Duration> {
        let mut slowest: BTreeMap<usize, Duration> = BTreeMap::new();
        let sent = self.sent.lock().expect("no holder panics");
        let wanted = |text: &&Sent| text.asked >= since && instances.contains(&text.instance);
        for text in sent.iter().filter(wanted) {
            if let Some(came) = self.arrived.get(&text.text) {
                let took = (*came - text.asked).to_std().unwrap_or_default();
                let longest = slowest.entry(text.instance).or_insert(took);
                *longest = (*longest).max(took);
            }
        }
        slowest.into_values().collect()
    }

    /// Ends it; answers whether the API has accepted every text, and each has come.
    pub async fn end(mut self) -> bool {
        self.stop.cancel();
        while let Some(ended) = self.writing.join_next().await {
            ended.expect("no instance's task panics");
        }
        let is_whole = self.settle().await;
        let refused = self.refused.load(Ordering::Relaxed);
        if refused > 0 {
            println!("{refused} texts were not accepted");
        }
        is_whole && refused == 0
    }

    /// Reads what has come.
    async fn look(&mut self) {
        for (phone, place) in self.phones.iter().zip(&mut self.places) {
            for entry in after(phone, place).await {
                let came: DateTime<Utc> = entry.received_at.parse().expect("RFC 3339");
                if let Some(text) = entry.content.text {
                    self.arrived.entry(text).or_insert(came);
                }
            }
        }
    }

    /// How many texts that were asked for before this moment have not come.
    fn missing(&self, until: DateTime<Utc>) -> usize {
        let sent = self.sent.lock().expect("no holder panics");
        let missing = |text: &&Sent| text.asked < until && !self.arrived.contains_key(&text.text);
        sent.iter().filter(missing).count()
    }
}

/// An instance that writes.
struct Writer {
    instance: usize,
    key: Caller,
    to: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    refused: Arc<AtomicUsize>,
}

impl Writer {
    /// Writes a text each second. One that is late makes the ones behind it late.
    async fn write(self, first: Instant) {
        let mut ticks = interval_at(first, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for n in 0_u64.. {
            ticks.tick().await;
            let (text, asked) = (format!("{}-{n}", self.instance), SystemClock.now());
            let body = json!({"to": self.to, "text": text});
            let answer = self
                .key
                .try_request(Method::POST, "/api/messages/text", body)
                .await;
            if answer.is_ok_and(|answer| answer.status == 202) {
                self.sent.lock().expect("no holder panics").push(Sent {
                    instance: self.instance,
                    text,
                    asked,
                });
            } else {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
