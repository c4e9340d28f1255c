//! How long a question of an instance takes: with nothing to send, and while its texts go out as fast as they can. A question is
//! one request to WhatsApp, the sandbox here. The ratio is what to read: the machine has a part in the times.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use sandbox::script::NewPhone;
use sandbox::{Config, Sandbox};
use serde_json::json;
use testbed::caller::Caller;
use tests::flow::pair;
use tokio::time::Instant;

use crate::report::ms;
use crate::stack::Stack;

/// How many people are written to: one for each lane, if they spread well, twice.
const PEOPLE: usize = 16;

/// Messages of one request.
const OF_BULK: usize = 100;

/// Requests at once while texts are queued.
const AT_ONCE: usize = 8;

/// The cheapest hash of a password: nobody logs in here.
const BCRYPT_COST: u32 = 4;

/// What is asked: the block list, which no directory remembers.
const QUESTION: &str = "/api/contacts/blocked";

/// Measures; answers whether each question was answered, and texts still waited when the last one was.
pub async fn run(texts: usize, questions: usize) -> bool {
    let address = "127.0.0.1:0".parse().expect("an address");
    let sandbox = Sandbox::start(Config::new(address)).await.expect("a sandbox");
    let stack = Stack::beside(&sandbox, BCRYPT_COST).await;
    let paired = pair(&stack.bases, &stack.phones).await;
    let unlimited = json!({"rateLimit": 1_000_000});
    let key = paired.user.key_with(&paired.instance, unlimited).await;
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        let phone = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        people.push(phone.number().to_owned());
    }
    println!(
        "{:<24} {:>6} {:>10} {:>10} {:>10} {:>8}",
        "", "n", "p50 ms", "p99 ms", "max ms", "failed"
    );
    let quiet = ask(&key, questions).await;
    quiet.print("nothing to send");

    let began = Instant::now();
    let last = queue(&key, &people, texts).await;
    println!(
        "{texts} texts were accepted in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let busy = ask(&key, questions).await;
    busy.print("while texts go out");
    let mut waiting = 0;
    for id in &last {
        let message = key.get(&format!("/api/messages/{id}")).await.data(200);
        waiting += usize::from(message["status"] == "queued");
    }
    println!(
        "{waiting} of {} requests had texts that still waited at the end",
        last.len()
    );
    println!(
        "ratio: p50 {:.2}, p99 {:.2}",
        busy.at(50) / quiet.at(50),
        busy.at(99) / quiet.at(99)
    );
    stack.stop().await;
    quiet.failed + busy.failed == 0 && waiting > 0
}

/// What a series of questions came to.
struct Measured {
    /// In order.
    took: Vec<Duration>,
    failed: usize,
}

impl Measured {
    /// A percentile, in milliseconds.
    fn at(&self, percent: usize) -> f64 {
        ms(&self.took, percent)
    }

    fn print(&self, name: &str) {
        println!(
            "{name:<24} {:>6} {:>10.1} {:>10.1} {:>10.1} {:>8}",
            self.took.len(),
            self.at(50),
            self.at(99),
            self.at(100),
            self.failed
        );
    }
}

/// Asks one question after the other.
async fn ask(key: &Caller, questions: usize) -> Measured {
    let mut measured = Measured {
        took: Vec::with_capacity(questions),
        failed: 0,
    };
    for _ in 0..questions {
        let began = Instant::now();
        let answer = key.get(QUESTION).await;
        measured.took.push(began.elapsed());
        measured.failed += usize::from(!answer.is_success());
    }
    measured.took.sort_unstable();
    measured
}

/// Queues texts to these people in turn. Answers the id of the last one of each request.
async fn queue(key: &Caller, people: &[String], texts: usize) -> Vec<String> {
    let bulks = stream::iter(0..texts / OF_BULK).map(|bulk| async move {
        let messages: Vec<_> = (0..OF_BULK)
            .map(|n| {
                let n = bulk * OF_BULK + n;
                json!({"kind": "text", "to": people[n % people.len()], "text": n.to_string()})
            })
            .collect();
        let told = key.send("bulk", json!({"messages": messages})).await.data(200);
        let results = told["results"].as_array().expect("a list").iter();
        let mut accepted = results.filter_map(|result| result["message"]["id"].as_str());
        accepted.next_back().expect("one at least").to_owned()
    });
    bulks.buffer_unordered(AT_ONCE).collect().await
}
