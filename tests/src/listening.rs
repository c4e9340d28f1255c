//! `waxwing listen` and `waxwing trigger`, as a person runs them, in the process of the test.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser as _;
use cli::listen::Options;
use cli::{Cli, Command, Failure, Screen};
use serde_json::Value;
use testbed::wait::{in_time, until};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What a person sees.
#[derive(Debug, Clone, Default)]
pub struct Seen(Arc<Mutex<Texts>>);

#[derive(Debug, Default)]
struct Texts {
    lines: Vec<String>,
    notes: Vec<String>,
}

impl Screen for Seen {
    fn line(&mut self, text: &str) -> io::Result<()> {
        self.0.lock().expect("whole").lines.push(text.to_owned());
        Ok(())
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.0.lock().expect("whole").notes.push(text.to_owned());
        Ok(())
    }
}

impl Seen {
    /// What was asked for.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("whole").lines.clone()
    }

    /// How it goes.
    pub fn notes(&self) -> Vec<String> {
        self.0.lock().expect("whole").notes.clone()
    }
}

/// A run of `waxwing listen`.
#[derive(Debug)]
pub struct Listening {
    seen: Seen,
    interrupt: oneshot::Sender<()>,
    run: JoinHandle<Result<(), Failure>>,
}

impl Listening {
    /// Runs it with these arguments.
    pub fn run(arguments: &[&str]) -> Self {
        Self::run_with_deadline(arguments, cli::DEADLINE)
    }

    /// The same where a receiver has so much time.
    pub fn run_with_deadline(arguments: &[&str], deadline: Duration) -> Self {
        let all = ["waxwing", "listen"].iter().chain(arguments);
        let Command::Listen(arguments) = Cli::try_parse_from(all).expect("understood").command else {
            panic!("it was asked to listen");
        };
        let mut options = Options::of(arguments).expect("options");
        options.deadline = deadline;
        let seen = Seen::default();
        let (interrupt, interrupted) = oneshot::channel::<()>();
        let mut screen = seen.clone();
        let run = tokio::spawn(async move {
            let interrupted = async {
                let _ = interrupted.await;
            };
            cli::listen::run(options, &mut screen, interrupted).await
        });
        Self { seen, interrupt, run }
    }

    /// The same, and waits until it is connected.
    pub async fn start(arguments: &[&str]) -> Self {
        let listening = Self::run(arguments);
        listening.until_note("Connected to").await;
        listening
    }

    /// What was seen of it.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The secret that it has made.
    pub fn secret(&self) -> String {
        let notes = self.seen.notes();
        let secret = notes
            .iter()
            .find_map(|note| note.strip_prefix("They are signed with "));
        secret.expect("a secret").to_owned()
    }

    /// Waits for a note that begins so, and answers how many there are.
    pub async fn until_note(&self, begin: &str) -> usize {
        until(begin, async || {
            let notes = self.seen.notes();
            let count = notes.iter().filter(|note| note.starts_with(begin)).count();
            (count > 0).then_some(count)
        })
        .await
    }

    /// Waits for a line that has these texts.
    pub async fn until_line(&self, texts: &[&str]) -> String {
        until(&format!("a line with {texts:?}"), async || {
            let lines = self.seen.lines();
            lines
                .into_iter()
                .find(|line| texts.iter().all(|text| line.contains(text)))
        })
        .await
    }

    /// Interrupts it, and waits for its end.
    pub async fn interrupt(self) -> Result<Seen, Failure> {
        let _ = self.interrupt.send(());
        let ended = in_time("the end", self.run).await.expect("it does not panic");
        ended.map(|()| self.seen)
    }

    /// Waits until it ends by itself.
    pub async fn end(self) -> Failure {
        let ended = in_time("the end", self.run).await.expect("it does not panic");
        ended.expect_err("it fails")
    }
}

/// Runs `waxwing trigger` with these arguments: what it says.
pub async fn trigger(arguments: &[&str]) -> Result<String, Failure> {
    let all = ["waxwing", "trigger"].iter().chain(arguments);
    let cli = Cli::try_parse_from(all).expect("understood");
    let mut seen = Seen::default();
    cli::run(cli, &mut seen, std::future::pending()).await?;
    Ok(seen.lines().join("\n"))
}

/// The id of the event that a trigger told of.
pub fn event_in(said: &str) -> Value {
    let id = said.split_whitespace().find(|word| word.starts_with("evt_"));
    Value::from(id.expect("an event's id"))
}
