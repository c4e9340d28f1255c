//! How fast events come from phones to webhooks and to followers of the realtime feed, beside the bare library on the same
//! sandbox.
//!
//! Each instance has an endpoint of its own. Some phones have a client of the bare library linked beside their instance: what a
//! message takes to get there is the network's time, and what its event takes longer is Waxwing's. All but the stack runs in
//! this process, whose work has a part in all times: read what was added, and the ratios.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use sandbox::script::SendRequest;
use sandbox::{Config, Phone, Sandbox};
use serde_json::json;
use testbed::wait::look_for;
use tests::flow::{Paired, pair};
use tests::hook::Hook;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bare::Bare;
use crate::cpu::cpu;
use crate::followers::Followers;
use crate::report::Times;
use crate::stack::Stack;

/// The cheapest hash of a password: nobody logs in here.
const BCRYPT_COST: u32 = 4;

/// How many instances are made ready at once.
const AT_ONCE: usize = 4;

/// How long events may take to come, once the last text is written.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often it is looked whether all have come. Seldom: a look takes time that the events need.
const LOOK: Duration = Duration::from_millis(250);

/// Texts, and when something happened to each.
type Texts = HashMap<String, Instant>;

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Size {
    /// Instances, each with an endpoint of its own
    #[arg(long, default_value_t = 100)]
    endpoints: usize,
    /// Sockets that follow the realtime feed, spread over the instances
    #[arg(long, default_value_t = 500)]
    followers: usize,
    /// Phones that have a client of the bare library beside their instance
    #[arg(long, default_value_t = 5)]
    clients: usize,
    /// Texts a second that phones write, in the first part
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// How long the first part takes, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// Texts that phones write as fast as they can, in the second part
    #[arg(long, default_value_t = 5_000)]
    texts: usize,
}

/// Measures; answers whether each event came to its webhook and to all its followers.
pub async fn run(size: &Size) -> bool {
    let address = "127.0.0.1:0".parse().expect("an address");
    let sandbox = Sandbox::start(Config::new(address)).await.expect("a sandbox");
    let stack = Stack::beside(&sandbox, BCRYPT_COST).await;
    println!(
        "{} endpoints, {} followers, {} clients of the library",
        size.endpoints, size.followers, size.clients
    );
    let stage = Stage::set(&sandbox, &stack, size).await;
    let before = cpu(&[stack.id()]);
    let written = stage.write_at(size.rate.max(1), size.seconds).await;
    println!("\n{} texts a second for {} s", size.rate, size.seconds);
    let mut is_whole = stage.measure(written).await;
    let between = cpu(&[stack.id()]);
    print_cpu(between.saturating_sub(before), size.rate * size.seconds);
    let written = stage.write_all(size.texts).await;
    println!("\n{} texts, as fast as phones write", size.texts);
    is_whole &= stage.measure(written).await;
    let cpu = cpu(&[stack.id()]).saturating_sub(between);
    print_cpu(cpu, u32::try_from(size.texts).expect("small"));
    stack.stop().await;
    is_whole
}

fn print_cpu(cpu: Duration, events: u32) {
    let each = cpu.as_secs_f64() * 1_000.0 / f64::from(events.max(1));
    println!("the stack's CPU: {each:.2} ms an event");
}

/// All that takes part beside the stack.
struct Stage {
    instances: Vec<Instance>,
    /// Linked beside the first instances.
    clients: Vec<Bare>,
    followers: Followers,
}

/// An instance with its endpoint.
struct Instance {
    /// The phone that writes to it.
    phone: Phone,
    paired: Paired,
    hook: Hook,
    followers: usize,
}

/// A text that a phone has written.
struct Written {
    instance: usize,
    text: String,
    /// When its person sent it.
    at: Instant,
}

impl Stage {
    async fn set(sandbox: &Sandbox, stack: &Stack, size: &Size) -> Self {
        let count = size.endpoints.max(1);
        let pairing = stream::iter(0..count).map(|_| pair(&stack.bases, &stack.phones));
        let pairs: Vec<_> = pairing.buffer_unordered(AT_ONCE).collect().await;
        let mut clients = Vec::new();
        for paired in pairs.iter().take(size.clients) {
            clients.push(Bare::link(sandbox, &paired.own).await);
        }
        let hooking = stream::iter(pairs.into_iter().enumerate()).map(|(n, paired)| async move {
            let hook = Hook::start().await;
            let events = json!(["message.received"]);
            hook.attach(&paired, &stack.phones, events, &json!({})).await;
            Instance {
                phone: sandbox.phone(&paired.other),
                paired,
                hook,
                followers: (n..size.followers).step_by(count).count(),
            }
        });
        let instances: Vec<_> = hooking.buffered(AT_ONCE).collect().await;
        let tokens = instances
            .iter()
            .flat_map(|instance| std::iter::repeat_n(instance.paired.key.token(), instance.followers));
        let followers = Followers::join(stack.address(), tokens).await;
        Self {
            instances,
            clients,
            followers,
        }
    }

    /// So many texts a second, of all phones in turn.
    async fn write_at(&self, rate: u32, seconds: u32) -> Vec<Written> {
        let began = Instant::now();
        let mut writing = JoinSet::new();
        for (n, instance) in (0..rate * seconds).zip((0..self.instances.len()).cycle()) {
            tokio::time::sleep_until(began + Duration::from_secs(1) * n / rate).await;
            let (phone, to) = self.way(instance);
            writing.spawn(write(phone, to, instance, format!("in time {n}")));
        }
        writing.join_all().await
    }

    /// So many texts, each phone's one behind the other.
    async fn write_all(&self, texts: usize) -> Vec<Written> {
        let mut writing = JoinSet::new();
        for instance in 0..self.instances.len() {
            let (phone, to) = self.way(instance);
            let mine = (instance..texts).step_by(self.instances.len());
            writing.spawn(async move {
                let mut written = Vec::new();
                for n in mine {
                    let text = format!("at once {n}");
                    written.push(write(phone.clone(), to.clone(), instance, text).await);
                }
                written
            });
        }
        writing.join_all().await.into_iter().flatten().collect()
    }

    /// The phone that writes to an instance, and the instance's number.
    fn way(&self, instance: usize) -> (Phone, String) {
        let instance = &self.instances[instance];
        (instance.phone.clone(), instance.paired.own.clone())
    }

    /// Waits for what these texts lead to, and prints how long it took; answers whether all came.
    async fn measure(&self, written: Vec<Written>) -> bool {
        let Some(began) = written.iter().map(|text| text.at).min() else {
            return true;
        };
        let followed = written.iter().map(|text| self.instances[text.instance].followers);
        let followed: usize = followed.sum();
        let beside = written
            .iter()
            .filter(|text| text.instance < self.clients.len())
            .count();
        let texts: Texts = written.into_iter().map(|text| (text.text, text.at)).collect();
        let told = self.all_told(&texts, followed).await;

        let of_library: Texts = self.clients.iter().flat_map(Bare::came).collect();
        let told_of = || told.values().map(|(text, at)| (text, *at));
        let webhooks = Times::of(told_of().map(|(text, at)| (texts[text], at)));
        let library = told_of().filter_map(|(text, _)| Some((texts[text], *of_library.get(text)?)));
        let library = Times::of(library);
        let added = told_of().filter_map(|(text, at)| Some((*of_library.get(text)?, at)));
        let added = Times::of(added);
        // What they heard of other texts does not count.
        let heard = self.followers.take();
        let feed = heard
            .iter()
            .filter_map(|(event, at)| Some((texts[&told.get(event)?.0], *at)));
        let feed = Times::of(feed);

        Times::print_head("from the phone to");
        library.print("the library", beside, began);
        webhooks.print("webhooks", texts.len(), began);
        feed.print("followers", followed, began);
        added.print("added before webhooks", beside, began);
        println!(
            "webhooks / library: p50 {:.2}, p99 {:.2}; {} followers were cut off",
            webhooks.at(50) / library.at(50),
            webhooks.at(99) / library.at(99),
            self.followers.lost()
        );
        webhooks.count() == texts.len() && feed.count() == followed
    }

    /// Waits until the endpoints have heard of all these texts and the followers of as many events as they ought to; answers
    /// what was told: by the event's id, its text, and when it came.
    async fn all_told(&self, texts: &Texts, followed: usize) -> HashMap<String, (String, Instant)> {
        let all = look_for(LOOK, PATIENCE, async || {
            let came: usize = self.instances.iter().map(|instance| instance.hook.count()).sum();
            let is_followed = self.followers.count() >= followed || self.followers.lost() > 0;
            if came < texts.len() || !is_followed {
                return None;
            }
            let told = self.told(texts);
            (told.len() >= texts.len()).then_some(told)
        });
        all.await.unwrap_or_else(|| self.told(texts))
    }

    /// What the endpoints have heard of these texts.
    fn told(&self, texts: &Texts) -> HashMap<String, (String, Instant)> {
        let mut told = HashMap::new();
        for heard in self.instances.iter().flat_map(|instance| instance.hook.heard()) {
            let event = heard.event();
            let (id, text) = (event["id"].as_str(), event["data"]["text"].as_str());
            if let (Some(id), Some(text)) = (id, text)
                && texts.contains_key(text)
            {
                // One that comes twice has the same id.
                told.entry(id.to_owned()).or_insert((text.to_owned(), heard.at));
            }
        }
        told
    }
}

/// Has a phone's person write.
async fn write(phone: Phone, to: String, instance: usize, text: String) -> Written {
    let at = Instant::now();
    phone.send(SendRequest::text(to, &text)).await.expect("written");
    Written { instance, text, at }
}
