//! Measures a local stack: how long each route takes under load, how fast texts and images come to phones beside the bare
//! library, how fast events come to webhooks and to the realtime feed, how long questions take while texts wait, and whether a login's
//! time tells who has an account. Measures daemons that are processes of their own, too: what idle instances cost, how long
//! instances go without a daemon or with a socket that has died, and whether the trouble of one holds up the others.
//! `docs/capacity.md` has figures.

mod bare;
mod cpu;
mod events;
mod fleet;
mod followers;
mod idle;
mod images;
mod load;
mod login;
mod memory;
mod overload;
mod passkeys;
mod person;
mod questions;
mod report;
mod scenes;
mod send;
mod stack;
mod takeover;
mod traffic;
mod troubles;
mod user;
mod zombies;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
#[command(name = "bench", about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Many users at once over every route
    Load {
        /// Users, each with a connection of its own
        #[arg(long, default_value_t = 1_000)]
        users: u32,
        /// Requests a second of all users together
        #[arg(long, default_value_t = 200)]
        rate: u32,
        /// How long, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Instances that are paired and send messages
        #[arg(long, default_value_t = 20)]
        instances: usize,
    },
    /// Texts from the API to phones, beside the bare library on the same sandbox
    Send {
        /// Senders at once, one round after the other
        #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100])]
        instances: Vec<usize>,
        /// Texts of a round, of all senders together
        #[arg(long, default_value_t = 2_000)]
        texts: usize,
        /// Texts a second of all senders together; as fast as they are taken, if none is given
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
    },
    /// Texts from the bare library through the sandbox alone, to inboxes that grow
    Bare(bare::Size),
    /// Images of 5 MB from the API to phones, beside the bare library on the same sandbox
    Images {
        /// Images of each way
        #[arg(long, default_value_t = 40)]
        images: usize,
    },
    /// Events from phones to webhooks and to the realtime feed, beside the bare library on the same sandbox
    Events(events::Size),
    /// Questions of an instance, with nothing to send and while its texts go out
    Questions {
        /// Texts that wait when the questions begin, up to a month's 10,000
        #[arg(long, default_value_t = 5_000)]
        texts: usize,
        /// Questions of each part
        #[arg(long, default_value_t = 300)]
        questions: usize,
    },
    /// Logins with a wrong password, of addresses that have an account and of others
    Login {
        /// Logins of each kind
        #[arg(long, default_value_t = 60)]
        times: u32,
        /// The cost of a password's hash
        #[arg(long, default_value_t = 12)]
        cost: u32,
    },
    /// A daemon's memory and processor with idle instances, and how it begins with them
    Idle(idle::Size),
    /// Daemons that are killed, started and stopped while texts go out
    Takeover(takeover::Size),
    /// Texts of many instances while another one is flooded, stuck or poisoned, or its table is in trouble
    Overload(overload::Size),
    /// Sockets that die without a word: how long until their instances are back
    Zombies(zombies::Size),
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut terminate = signal(SignalKind::terminate()).expect("a handler");
    let is_met = tokio::select! {
        is_met = Box::pin(measure(Cli::parse().what)) => is_met,
        // What was started ends as it is dropped.
        _ = ctrl_c() => false,
        _ = terminate.recv() => false,
    };
    if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Answers whether there is what is to be met.
async fn measure(what: What) -> bool {
    match what {
        What::Load {
            users,
            rate,
            seconds,
            instances,
        } => {
            let duration = Duration::from_secs(seconds);
            load::run(users.max(1), rate.max(1), duration, instances.max(1)).await
        }
        What::Send {
            instances,
            texts,
            rate,
        } => send::run(&instances, texts, rate).await,
        What::Bare(size) => bare::run(&size).await,
        What::Images { images } => images::run(images.max(1)).await,
        What::Events(size) => events::run(&size).await,
        What::Questions { texts, questions } => {
            questions::run(texts.clamp(100, 9_000), questions.max(1)).await
        }
        What::Login { times, cost } => login::run(times.max(1), cost).await,
        What::Idle(size) => Box::pin(idle::run(&size)).await,
        What::Takeover(size) => Box::pin(takeover::run(&size)).await,
        What::Overload(size) => Box::pin(overload::run(&size)).await,
        What::Zombies(size) => Box::pin(zombies::run(&size)).await,
    }
}
