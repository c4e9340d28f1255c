//! How fast texts come from the API to phones, and what that costs, beside the bare library on the same sandbox.
//!
//! Each instance writes to a few people, all as fast as they are taken, and the library likewise. The sandbox runs in this
//! process, so that the other processes' time is their own. Read the ratios: the machine has a part in all other figures.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sandbox::script::NewPhone;
use sandbox::{Config, Sandbox};
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use testbed::wait::{look_for, until};
use tests::flow::pair;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bare::{Bare, inbox};
use crate::cpu::cpu;
use crate::report::{count, ms};
use crate::stack::Stack;

/// How many people each sender writes to: one for each lane of an instance, if they spread well.
const PEOPLE: usize = 8;

/// How many requests of an instance, or texts of a client, are under way at once.
const AT_ONCE: usize = 16;

/// How often the phones are asked. Seldom: their answers cost time that the senders need.
const LOOK: Duration = Duration::from_millis(500);

/// How long texts may take to come, once the last request is answered.
const PATIENCE: Duration = Duration::from_mins(5);

/// The cheapest hash of a password: nobody logs in here.
const BCRYPT_COST: u32 = 4;

/// What a way of sending came to.
struct Measured {
    texts: usize,
    /// From the first request to the last answer.
    accepted_in: Duration,
    /// From the first request to the last text's arrival.
    delivered_in: Duration,
    /// How long each request took.
    accepting: Vec<Duration>,
    /// From a text's request to its arrival.
    delivering: Vec<Duration>,
    /// The processes' time on processors.
    cpu: Duration,
}

impl Measured {
    fn a_second(&self, within: Duration) -> f64 {
        count(self.texts) / within.as_secs_f64()
    }

    fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1_000.0 / count(self.texts)
    }

    fn print(&mut self, name: &str) {
        self.accepting.sort_unstable();
        self.delivering.sort_unstable();
        println!(
            "{name:<12} {:>10.0} {:>10.0} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.2}",
            self.a_second(self.accepted_in),
            self.a_second(self.delivered_in),
            ms(&self.accepting, 50),
            ms(&self.accepting, 99),
            ms(&self.delivering, 50),
            ms(&self.delivering, 99),
            self.cpu_each(),
        );
    }
}

/// Measures with so many instances, one after the other; answers whether each text arrived once. `rate` is how many texts all
/// senders together begin in a second; without it they begin as fast as they are taken.
pub async fn run(instances: &[usize], texts: usize, rate: Option<u32>) -> bool {
    let address = "127.0.0.1:0".parse().expect("an address");
    let sandbox = Arc::new(Sandbox::start(Config::new(address)).await.expect("a sandbox"));
    let stack = Stack::beside(&sandbox, BCRYPT_COST).await;
    let mut is_whole = true;
    for &instances in instances {
        println!("\n{instances} senders, {texts} texts, {PEOPLE} people each");
        println!(
            "{:<12} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "", "accepted/s", "arrived/s", "acc. p50", "acc. p99", "arr. p50", "arr. p99", "CPU ms"
        );
        let each = texts / instances;
        let mut keys = Vec::new();
        for _ in 0..instances {
            let paired = pair(&stack.bases, &stack.phones).await;
            keys.push(
                paired
                    .user
                    .key_with(&paired.instance, json!({"rateLimit": 1_000_000}))
                    .await,
            );
        }
        let (mut ours, arrived) = through(
            &sandbox,
            (each, rate),
            keys,
            vec![stack.id()],
            |key, to, text| async move {
                key.send_text(&to, &text).await;
            },
        )
        .await;
        is_whole &= arrived;
        ours.print("Waxwing");
        let mut clients = Vec::new();
        for _ in 0..instances {
            let phone = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
            clients.push(Arc::new(Bare::link(&sandbox, phone.number()).await));
        }
        let processes = clients.iter().map(|client| client.id()).collect();
        let (mut bare, arrived) = through(
            &sandbox,
            (each, rate),
            clients,
            processes,
            |client, to, text| async move {
                client.text(&to, &text).await;
            },
        )
        .await;
        is_whole &= arrived;
        bare.print("library");
        println!(
            "{:<12} arrived/s {:.2}, CPU {:.2}",
            "ratio",
            ours.a_second(ours.delivered_in) / bare.a_second(bare.delivered_in),
            ours.cpu_each() / bare.cpu_each(),
        );
    }
    stack.stop().await;
    is_whole
}

/// Has each sender send so many texts, at this rate of all together; answers what was measured, and whether each text arrived
/// once. Where there is a rate, a text's time begins when it was due.
async fn through<S, F>(
    sandbox: &Sandbox,
    (each, rate): (usize, Option<u32>),
    senders: Vec<S>,
    processes: Vec<u32>,
    send: impl Fn(S, String, String) -> F + Clone + Send + Sync + 'static,
) -> (Measured, bool)
where
    S: Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let mut people = Vec::new();
    for _ in 0..senders.len() * PEOPLE {
        people.push(sandbox.create_phone(NewPhone::default()).await.expect("a phone"));
    }
    let numbers: Vec<String> = people.iter().map(|phone| phone.number().to_owned()).collect();
    // Sessions with the people's phones are made by a first text, which does not count.
    let mut first = JoinSet::new();
    for (n, to) in numbers.iter().cloned().enumerate() {
        let (sender, send) = (senders[n / PEOPLE].clone(), send.clone());
        first.spawn(async move { send(sender, to, "first".to_owned()).await });
    }
    first.join_all().await;
    for phone in &people {
        until("the first text", async || {
            (!inbox(phone).await.is_empty()).then_some(())
        })
        .await;
    }

    let before = cpu(&processes);
    let (began, at) = (Instant::now(), SystemClock.now());
    let mut work = JoinSet::new();
    let of_all = senders.len();
    for (index, sender) in senders.iter().enumerate() {
        for part in 0..AT_ONCE {
            let (sender, send) = (sender.clone(), send.clone());
            let numbers = numbers[index * PEOPLE..(index + 1) * PEOPLE].to_vec();
            work.spawn(async move {
                let mut mine = Vec::new();
                for n in (part..each).step_by(AT_ONCE) {
                    let (text, to) = (format!("{index}-{n}"), numbers[n % PEOPLE].clone());
                    let due = rate.map_or_else(Instant::now, |rate| {
                        began + Duration::from_secs_f64(count(n * of_all + index) / f64::from(rate))
                    });
                    tokio::time::sleep_until(due).await;
                    let late = due.elapsed();
                    let asked = SystemClock.now() - late;
                    send(sender.clone(), to, text.clone()).await;
                    mine.push((text, asked, due.elapsed()));
                }
                mine
            });
        }
    }
    let texts: Vec<_> = work.join_all().await.into_iter().flatten().collect();
    let accepted_in = began.elapsed();
    let arrivals = arrivals(&people, texts.len() + people.len()).await;
    let cpu = cpu(&processes).saturating_sub(before);
    let last = arrivals.values().map(|(at, _)| *at).max().unwrap_or(at);
    let since = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).to_std().unwrap_or_default();
    let mut measured = Measured {
        texts: texts.len(),
        accepted_in,
        delivered_in: since(at, last),
        accepting: Vec::new(),
        delivering: Vec::new(),
        cpu,
    };
    let mut is_whole = true;
    for (text, asked, took) in texts {
        measured.accepting.push(took);
        match arrivals.get(&text) {
            Some((at, 1)) => measured.delivering.push(since(asked, *at)),
            found => {
                println!("{text} arrived {} times", found.map_or(0, |(_, copies)| *copies));
                is_whole = false;
            }
        }
    }
    (measured, is_whole)
}

/// When each text arrived and how often, once so many are there.
async fn arrivals(people: &[sandbox::Phone], wanted: usize) -> HashMap<String, (DateTime<Utc>, u32)> {
    let mut found: HashMap<String, (DateTime<Utc>, u32)> = HashMap::new();
    look_for(LOOK, PATIENCE, async || {
        let mut arrived = 0;
        for phone in people {
            let inbox = inbox(phone).await;
            arrived += inbox.len();
            for entry in inbox {
                let at = entry.received_at.parse().expect("RFC 3339");
                let text = entry.content.text.clone().unwrap_or_default();
                found.insert(text, (at, entry.copies));
            }
        }
        (arrived >= wanted).then_some(())
    })
    .await;
    found
}
