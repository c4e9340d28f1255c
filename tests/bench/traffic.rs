//! A trickle of texts: each instance writes to a phone of its own, at a steady rate, until it is told to end.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Method;
use chrono::{DateTime, Utc};
use sandbox::Sandbox;
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use testbed::caller::Caller;
use testbed::wait::look_for;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use crate::fleet::Line;
use crate::person::Person;

/// How often it is looked what has come. The phones say when.
const LOOK: Duration = Duration::from_millis(250);

/// How long a text may take to come. The queue gives a job that a dead daemon held to nobody for a while.
const PATIENCE: Duration = Duration::from_mins(5);

/// A text that the API was asked to send.
struct Sent {
    instance: usize,
    text: String,
    /// When its request was due.
    asked: DateTime<Utc>,
    /// Whether the API has not accepted it.
    is_refused: bool,
}

/// What the instances have sent, and what has come of it. The instances end with this.
pub struct Traffic {
    /// For each instance, the person whom it writes to.
    people: Vec<Person>,
    sent: Arc<Mutex<Vec<Sent>>>,
    arrived: HashMap<String, DateTime<Utc>>,
    stop: CancellationToken,
    writing: JoinSet<()>,
}

impl Traffic {
    /// Has these instances write, each a text in this time.
    pub async fn start(sandbox: &Sandbox, lines: &[Line], interval: Duration) -> Self {
        let mut traffic = Self {
            people: Vec::new(),
            sent: Arc::default(),
            arrived: HashMap::new(),
            stop: CancellationToken::new(),
            writing: JoinSet::new(),
        };
        for _ in lines {
            traffic.people.push(Person::new(sandbox).await);
        }
        let (began, all) = (Instant::now(), u32::try_from(lines.len()).expect("small"));
        for (n, line) in (0_u32..).zip(lines) {
            let instance = usize::try_from(n).expect("small");
            let writer = Writer {
                instance,
                key: line.key.clone(),
                to: traffic.people[instance].number().to_owned(),
                sent: Arc::clone(&traffic.sent),
                stop: traffic.stop.clone(),
            };
            // They do not write all at once.
            let first = began + interval * n / all;
            traffic.writing.spawn(writer.write(first, interval));
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

    /// How long each text took from its request until it came, of those that were asked for from `since` until `until`.
    pub fn took(&self, since: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Duration> {
        let sent = self.sent.lock().expect("no holder panics");
        let wanted = sent.iter().filter(|text| (since..until).contains(&text.asked));
        let took = wanted.filter_map(|text| {
            let came = self.arrived.get(&text.text)?;
            Some((*came - text.asked).to_std().unwrap_or_default())
        });
        took.collect()
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
        let sent = self.sent.lock().expect("no holder panics");
        let refused = sent.iter().filter(|text| text.is_refused).count();
        if refused > 0 {
            println!("{refused} texts were not accepted");
        }
        is_whole && refused == 0
    }

    /// Reads what has come.
    async fn look(&mut self) {
        for person in &mut self.people {
            for entry in person.news().await {
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
        let missing =
            |text: &&Sent| text.asked < until && !text.is_refused && !self.arrived.contains_key(&text.text);
        sent.iter().filter(missing).count()
    }
}

/// An instance that writes.
struct Writer {
    instance: usize,
    key: Caller,
    to: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    stop: CancellationToken,
}

impl Writer {
    /// Writes a text in each interval, until it is told to stop: a request that has begun is answered first. One that is late
    /// makes the ones behind it late, and their times count from when they were due.
    async fn write(self, first: Instant, interval: Duration) {
        let mut ticks = interval_at(first, interval);
        for n in 0_u64.. {
            let Some(due) = self.stop.run_until_cancelled(ticks.tick()).await else {
                return;
            };
            let (text, asked) = (
                format!("{}-{n}", self.instance),
                SystemClock.now() - due.elapsed(),
            );
            let body = json!({"to": self.to, "text": text});
            let place = {
                let mut sent = self.sent.lock().expect("no holder panics");
                sent.push(Sent {
                    instance: self.instance,
                    text,
                    asked,
                    is_refused: false,
                });
                sent.len() - 1
            };
            let answer = self
                .key
                .try_request(Method::POST, "/api/messages/text", body)
                .await;
            if !answer.is_ok_and(|answer| answer.status == 202) {
                self.sent.lock().expect("no holder panics")[place].is_refused = true;
            }
        }
    }
}
