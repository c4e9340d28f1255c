//! Troubles of one instance. Each lasts as long as it is told to, and then everything that is left of it has to come.

use std::time::Duration;

use sandbox::{Fault, Rule, Sandbox, Target};
use serde_json::json;
use shared::domain::message::State;
use shared::queue::{OutgoingMessage, Queue as _};
use testbed::relay::{Fate, On};
use testbed::wait::look_for;
use tokio_util::sync::CancellationToken;

use crate::fleet::{Fleet, Line};
use crate::person::Person;
use crate::traffic::Traffic;

/// The time between two texts of an instance whose socket or table is in trouble.
const INTERVAL: Duration = Duration::from_millis(200);

/// How many people a flood is written to: two for each lane of an instance, if they spread well.
const PEOPLE: usize = 16;

/// Texts of one request of a flood.
const OF_BULK: usize = 100;

/// Texts that end the connection.
const POISON: usize = 8;

/// The pause before jobs that nobody can read are put into the queues again, one into each.
const PUT: Duration = Duration::from_millis(250);

/// How many message groups of a queue such jobs are in.
const GROUPS: usize = 8;

/// For how long nothing passes a socket that is stalled, in milliseconds: longer than any trouble lasts.
const STALL_MS: u64 = 600_000;

/// How much later a slow table answers. A call is given up after 2.5 s.
const SLOW: Duration = Duration::from_secs(1);

/// The pause between two looks at what has come. A look takes processor from what is measured, so there are few.
const LOOK: Duration = Duration::from_millis(250);

/// How long what is left of a trouble may take to come. A job that failed again and again is hidden for longer each time.
const PATIENCE: Duration = Duration::from_mins(5);

/// What befalls an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is asked for more texts than it can send, so that thousands wait all the time.
    Flood,
    /// Nobody reads its socket, and nothing comes over it; so it is with each new one.
    Stalled,
    /// Each of its messages ends the connection, and jobs that nobody can read are in all queues.
    Poison,
    /// The table takes a second more for whatever is about it.
    Slow,
    /// The table refuses whatever is about it.
    Throttled,
}

impl Trouble {
    /// All of them, in the order in which they are measured.
    pub const ALL: [Self; 5] = [
        Self::Flood,
        Self::Stalled,
        Self::Poison,
        Self::Slow,
        Self::Throttled,
    ];

    /// What the row is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flood => "a flood of one instance",
            Self::Stalled => "a socket that is stalled",
            Self::Poison => "poison in the queues",
            Self::Slow => "a table that is slow for one instance",
            Self::Throttled => "a table that throttles one instance",
        }
    }
}

/// Where troubles happen.
pub struct Scene<'a> {
    /// The network.
    pub sandbox: &'a Sandbox,
    /// The deployment. Its daemon reaches the table over the relay.
    pub fleet: &'a Fleet,
    /// The instances that are to have no trouble.
    pub others: &'a [Line],
    /// Texts of a flood that wait at any time.
    pub flood: usize,
}

impl Scene<'_> {
    /// Lets this trouble befall an instance until `over`, and waits until nothing of it is left. Answers how often it has struck;
    /// `None` where that is never, or where something does not come.
    pub async fn befall(&self, trouble: Trouble, line: &Line, over: &CancellationToken) -> Option<u64> {
        let struck = match trouble {
            Trouble::Flood => Box::pin(self.flood(line, over)).await?,
            Trouble::Stalled => Box::pin(self.stalled(line, over)).await?,
            Trouble::Poison => Box::pin(self.poison(line, over)).await?,
            Trouble::Slow => Box::pin(self.table(line, Fate::PASS.after(SLOW), over)).await?,
            Trouble::Throttled => Box::pin(self.table(line, Fate::THROTTLED, over)).await?,
        };
        if struck == 0 {
            println!("there was nothing of {}", trouble.name());
            return None;
        }
        Some(struck)
    }

    /// Answers how many texts the instance was asked for.
    async fn flood(&self, line: &Line, over: &CancellationToken) -> Option<u64> {
        let mut people = Vec::new();
        for _ in 0..PEOPLE {
            people.push(Person::new(self.sandbox).await);
        }
        let numbers: Vec<String> = people.iter().map(|person| person.number().to_owned()).collect();
        let (mut accepted, mut come) = (0, 0);
        while !over.is_cancelled() {
            while accepted < come + self.flood && !over.is_cancelled() {
                let more = ask_for_many(line, &numbers, accepted).await;
                accepted += more;
                if more == 0 {
                    break;
                }
            }
            over.run_until_cancelled(tokio::time::sleep(LOOK)).await;
            come += texts_come(&mut people).await;
        }
        let rest = look_for(LOOK, PATIENCE, async || {
            come += texts_come(&mut people).await;
            (come >= accepted).then_some(())
        });
        if rest.await.is_none() {
            println!("{come} of {accepted} texts of the flood have come");
            return None;
        }
        Some(u64::try_from(accepted).expect("small"))
    }

    /// Answers how many stanzas were held back.
    async fn stalled(&self, line: &Line, over: &CancellationToken) -> Option<u64> {
        let rule = Rule {
            delay_ms: Some(STALL_MS),
            ..Rule::new(Target::phone(line.own.as_str()), Fault::Delay)
        };
        let fault = self.add(rule).await;
        let texts = Traffic::start(self.sandbox, std::slice::from_ref(line), INTERVAL).await;
        over.cancelled().await;
        let struck = self.remove(fault);
        texts.end().await.then_some(struck)
    }

    /// Answers how many connections were ended and how many jobs were put into the queues.
    async fn poison(&self, line: &Line, over: &CancellationToken) -> Option<u64> {
        let rule = Rule {
            stanza: Some("message".to_owned()),
            ..Rule::new(Target::phone(line.own.as_str()), Fault::DropSocket)
        };
        let fault = self.add(rule).await;
        let mut person = Person::new(self.sandbox).await;
        for n in 0..POISON {
            line.key.send_text(person.number(), &n.to_string()).await;
        }
        let stores = &self.fleet.stores;
        let mut put = 0;
        while !over.is_cancelled() {
            for shard in 0..stores.shards {
                let group = format!("poison-{}", put % GROUPS);
                let job = OutgoingMessage::fifo("no job", group, format!("poison-{put}"));
                let sent = stores.queues.send(&stores.names.sends(shard), job).await;
                sent.expect("queued");
                put += 1;
            }
            over.run_until_cancelled(tokio::time::sleep(PUT)).await;
        }
        let struck = self.remove(fault);
        let put = u64::try_from(put).expect("small");
        let mut come = 0;
        let rest = look_for(LOOK, PATIENCE, async || {
            come += person.news().await.len();
            let records = stores.records_of(line.id).await;
            let failed = records.iter().filter(|record| record.state == State::Failed);
            let failed = failed.count();
            let dead = stores
                .queues
                .depth(&stores.names.dead_fifo())
                .await
                .expect("read");
            // A message that is set aside is a dead letter too.
            let is_parked = dead.visible >= put + u64::try_from(failed).expect("small");
            (is_parked && come + failed >= POISON).then_some(())
        });
        if rest.await.is_none() {
            println!("{come} texts have come of an instance with poison, and not all is set aside");
            return None;
        }
        Some(struck + put)
    }

    /// Answers how many calls to the table it was.
    async fn table(&self, line: &Line, fate: Fate, over: &CancellationToken) -> Option<u64> {
        let rule = self.fleet.stores.table.always(self.about(line), fate);
        let texts = Traffic::start(self.sandbox, std::slice::from_ref(line), INTERVAL).await;
        over.cancelled().await;
        rule.end();
        texts.end().await.then_some(rule.hits())
    }

    /// Calls that are about this instance, and about none of the others: a daemon looks at all instances of a shard in one call.
    fn about(&self, line: &Line) -> On {
        let about = On::any().with(line.id.to_string());
        self.others
            .iter()
            .fold(about, |on, other| on.without(other.id.to_string()))
    }

    /// Puts a fault in force: its id.
    async fn add(&self, rule: Rule) -> u64 {
        let added = self.sandbox.faults().add(rule).await;
        added.expect("a fault that there is").fault.id
    }

    /// Ends a fault: how often it has struck.
    fn remove(&self, id: u64) -> u64 {
        let faults = self.sandbox.faults();
        let found = faults.list().into_iter().find(|fault| fault.id == id);
        faults.remove(id).expect("it is in force");
        found.map_or(0, |fault| fault.struck)
    }
}

/// How many texts have come to these people since this was asked last.
async fn texts_come(people: &mut [Person]) -> usize {
    let mut come = 0;
    for person in people {
        come += person.news().await.len();
    }
    come
}

/// Asks for as many texts as one request may ask for, to these people in turn; answers how many were accepted.
async fn ask_for_many(line: &Line, numbers: &[String], from: usize) -> usize {
    let messages: Vec<_> = (from..from + OF_BULK)
        .map(|n| json!({"kind": "text", "to": numbers[n % numbers.len()], "text": n.to_string()}))
        .collect();
    let told = line
        .key
        .send("bulk", json!({"messages": messages}))
        .await
        .data(200);
    let results = told["results"].as_array().expect("a list").iter();
    results
        .filter(|result| result["message"]["id"].is_string())
        .count()
}
