//! How long instances are gone whose sockets die without a word: nothing passes any more, and no end either, while the server can
//! be reached.
//!
//! One daemon, a process of its own, has all instances, and reaches the sandbox over a way on which connections can die. The table,
//! the queues, the API and the sandbox are in this process.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream};
use sandbox::{Config, Sandbox};
use shared::clock::{Clock as _, SystemClock};
use testbed::wait::look_for;
use tests::wire::Wire;
use tokio::time::Instant;

use crate::fleet::{Fleet, Line, may_open};
use crate::person::Person;
use crate::report::ms;

/// The aim, in seconds at the 99th percentile.
const AIM: f64 = 30.0;

/// How many instances are made ready at once, and how many requests are made at once.
const AT_ONCE: usize = 8;

/// Over how long sessions begin. Each looks every 18 s whether its socket lives, so how long a death goes unnoticed depends on when
/// the session began. Twice that time spreads the looks evenly. They stay so, since each session ends by its own look.
const SPREAD: Duration = Duration::from_secs(36);

/// The pause between two looks at who has logged in, and so how exact the time of a login is.
const LOOK: Duration = Duration::from_millis(250);

/// How long an instance may be gone.
const PATIENCE: Duration = Duration::from_mins(5);

/// Sockets of an instance in this process: its connection's and those that have died with the last one.
const SOCKETS: usize = 5;

/// Files and sockets that this process opens beside them.
const OTHER_FILES: usize = 400;

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Size {
    /// Instances, all of one daemon
    #[arg(long, default_value_t = 100)]
    instances: usize,
    /// Shards, all of one daemon
    #[arg(long, default_value_t = 4)]
    shards: u32,
    /// Rounds: in each all sockets die twice, once with nothing to send and once with a text
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// How long sessions stand before their sockets die, in seconds: after one minute a daemon takes a session for a good one
    #[arg(long, default_value_t = 65)]
    stand: u64,
}

/// Measures; answers whether each instance had a new session each time, and each text came.
pub async fn run(size: &Size) -> bool {
    let instances = size.instances.max(1);
    if !may_open(instances * SOCKETS + OTHER_FILES) {
        return false;
    }
    let address = "127.0.0.1:0".parse().expect("an address");
    let sandbox = Sandbox::start(Config::new(address)).await.expect("a sandbox");
    let wire = Wire::to(&sandbox.admin_url()).await;
    let (clients, admin) = (wire.ws_url(), sandbox.admin_url());
    let fleet = Box::pin(Fleet::start(&clients, &admin, size.shards.max(1), Vec::new())).await;
    let daemon = fleet.daemon().await;
    let Some(mut stage) = Box::pin(Stage::set(&sandbox, &wire, &fleet, instances)).await else {
        return false;
    };
    let stand = Duration::from_secs(size.stand);
    let (mut figures, mut is_whole) = (Figures::default(), true);
    for _ in 0..size.rounds {
        if Box::pin(stage.round(stand, &mut figures)).await.is_none() {
            is_whole = false;
            break;
        }
    }
    figures.print();
    if is_whole {
        daemon.stop().await;
    }
    is_whole
}

/// From the death of a socket, for each instance and each time.
#[derive(Default)]
struct Figures {
    /// With nothing to send: until the network saw a new login.
    quiet_logins: Vec<Duration>,
    /// With a text that was asked for right after the death: until the network saw a new login.
    logins: Vec<Duration>,
    /// Until that text came to its phone.
    texts: Vec<Duration>,
}

impl Figures {
    fn print(self) {
        println!(
            "{:<48} {:>5} {:>9} {:>9} {:>9} {:>9} {:>10}",
            "from a socket's death", "n", "median s", "p90 s", "p99 s", "worst s", "aim, p99 s"
        );
        for (name, mut took) in [
            ("with nothing to send, to a new login", self.quiet_logins),
            ("with a text, to a new login", self.logins),
            ("with a text, to the text on its phone", self.texts),
        ] {
            took.sort_unstable();
            let seconds = |percent| ms(&took, percent) / 1_000.0;
            println!(
                "{name:<48} {:>5} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {AIM:>10.0}",
                took.len(),
                seconds(50),
                seconds(90),
                seconds(99),
                seconds(100)
            );
        }
    }
}

/// All that takes part beside the daemon.
struct Stage<'a> {
    sandbox: &'a Sandbox,
    wire: &'a Wire,
    lines: Vec<Line>,
    /// One for each instance.
    people: Vec<Person>,
    /// How many texts each instance was asked for.
    written: usize,
}

impl<'a> Stage<'a> {
    /// Pairs the instances, and has each write a first text, which agrees on a session with its phone; `None` where one does not
    /// come.
    async fn set(sandbox: &'a Sandbox, wire: &'a Wire, fleet: &Fleet, instances: usize) -> Option<Self> {
        let (began, all) = (Instant::now(), u32::try_from(instances).expect("small"));
        let pairing = stream::iter(0..all).map(|n| async move {
            tokio::time::sleep_until(began + SPREAD * n / all).await;
            fleet.pair().await
        });
        let lines: Vec<Line> = pairing.buffer_unordered(AT_ONCE).collect().await;
        if !fleet.until_connected(lines.len()).await {
            return None;
        }
        let mut people = Vec::new();
        for _ in &lines {
            people.push(Person::new(sandbox).await);
        }
        let mut stage = Self {
            sandbox,
            wire,
            lines,
            people,
            written: 0,
        };
        let text = stage.text();
        write(&stage.lines, &mut stage.people, &text).await?;
        Some(stage)
    }

    /// Lets all sockets die twice; `None` where something does not come.
    async fn round(&mut self, stand: Duration, figures: &mut Figures) -> Option<()> {
        tokio::time::sleep(stand).await;
        let before = self.clients().await?;
        let began = Instant::now();
        self.wire.let_die();
        let came = logins(self.sandbox, &self.lines, &before, began).await;
        figures.quiet_logins.extend(came?);
        // The new sessions work.
        let text = self.text();
        write(&self.lines, &mut self.people, &text).await?;

        tokio::time::sleep(stand).await;
        let (before, text) = (self.clients().await?, self.text());
        let (began, at) = (Instant::now(), SystemClock.now());
        self.wire.let_die();
        let (came, texts) = tokio::join!(
            logins(self.sandbox, &self.lines, &before, began),
            write(&self.lines, &mut self.people, &text)
        );
        figures.logins.extend(came?);
        let texts = texts?
            .into_iter()
            .map(|came| (came - at).to_std().unwrap_or_default());
        figures.texts.extend(texts);
        Some(())
    }

    /// What the instances are to write next.
    fn text(&mut self) -> String {
        self.written += 1;
        format!("text {}", self.written)
    }

    /// The number of each instance's connection; `None` where one has none.
    async fn clients(&self) -> Option<Vec<u64>> {
        let all: Option<Vec<u64>> = clients(self.sandbox, &self.lines).await.into_iter().collect();
        if all.is_none() {
            println!("an instance lost its connection before it was time");
        }
        all
    }
}

/// The number of each instance's connection, as the network counts connections.
async fn clients(sandbox: &Sandbox, lines: &[Line]) -> Vec<Option<u64>> {
    let phones = sandbox.phones().await.expect("phones");
    let connected = phones.iter().filter_map(|phone| {
        let companion = phone.companions.first()?;
        Some((phone.phone.as_str(), companion.client?))
    });
    let connected: HashMap<&str, u64> = connected.collect();
    let of_line = |line: &Line| connected.get(line.own.as_str()).copied();
    lines.iter().map(of_line).collect()
}

/// Waits until each instance has another connection than before; answers how long that took each since `began`, or `None` where
/// one has none.
async fn logins(sandbox: &Sandbox, lines: &[Line], before: &[u64], began: Instant) -> Option<Vec<Duration>> {
    let mut took: Vec<Option<Duration>> = vec![None; lines.len()];
    look_for(LOOK, PATIENCE, async || {
        let clients = clients(sandbox, lines).await;
        let now = began.elapsed();
        for ((took, client), before) in took.iter_mut().zip(clients).zip(before) {
            if took.is_none() && client > Some(*before) {
                *took = Some(now);
            }
        }
        took.iter().all(Option::is_some).then_some(())
    })
    .await;
    whole(took, "instances have a new session")
}

/// Has each instance write this text to its person; answers when each came, or `None` where one does not.
async fn write(lines: &[Line], people: &mut [Person], text: &str) -> Option<Vec<DateTime<Utc>>> {
    let ways = lines.iter().zip(people.iter());
    let asking = ways.map(|(line, person)| line.key.send_text(person.number(), text));
    let asking = stream::iter(asking).buffer_unordered(AT_ONCE);
    asking.map(drop).collect::<()>().await;
    let mut came: Vec<Option<DateTime<Utc>>> = vec![None; lines.len()];
    look_for(LOOK, PATIENCE, async || {
        for (person, came) in people.iter_mut().zip(&mut came) {
            if came.is_some() {
                continue;
            }
            for entry in person.news().await {
                if entry.content.text.as_deref() == Some(text) {
                    *came = Some(entry.received_at.parse().expect("RFC 3339"));
                }
            }
        }
        came.iter().all(Option::is_some).then_some(())
    })
    .await;
    whole(came, "instances' texts have come")
}

/// All of them; `None` where one is missing, and says so.
fn whole<T>(found: Vec<Option<T>>, what: &str) -> Option<Vec<T>> {
    let (all, there) = (found.len(), found.iter().flatten().count());
    if there < all {
        println!("{there} of {all} {what}");
    }
    found.into_iter().collect()
}
