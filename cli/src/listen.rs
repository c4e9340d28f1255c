//! `listen`: an instance's events come over the realtime feed, and go to a local address one after the other.
//!
//! Each is posted once. What the receiver does not take is told and not tried again: whoever writes it sees at once what
//! fails, and makes another event. Order is kept, since nothing is sent before the answer to what was sent before.
//! `WAITING` events wait at most; a receiver that takes longer holds up the feed, which keeps what it can.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::address::Address;
use crate::api::Api;
use crate::arguments::ListenArguments;
use crate::client;
use crate::event::{Event, Wanted};
use crate::failure::Failure;
use crate::feed::follow::{Came, End, Follower, Note};
use crate::forward::{DEADLINE, Forwarder, Secret};
use crate::key::Token;
use crate::screen::Screen;

/// How many events wait for the receiver, of 16 KiB at most.
const WAITING: usize = 256;

/// How long it may take to find out which instance it is.
const GREETING: Duration = Duration::from_secs(5);

/// How to listen.
#[derive(Debug)]
pub struct Options {
    /// An API key of the instance.
    pub key: Token,
    /// The API.
    pub url: Address,
    /// The realtime feed.
    pub feed: Address,
    /// Where events are posted; nowhere where it is not there.
    pub forward_to: Option<Address>,
    /// Which.
    pub events: Wanted,
    /// Whether each is printed.
    pub print: bool,
    /// What signs. Without one it is made.
    pub secret: Option<Secret>,
    /// How long the receiver may take.
    pub deadline: Duration,
}

impl Options {
    /// What was typed.
    pub fn of(arguments: ListenArguments) -> Result<Self, Failure> {
        let secret = arguments.secret.map(|secret| Secret::read(&secret)).transpose()?;
        Ok(Self {
            feed: arguments.feed.unwrap_or_else(|| arguments.url.clone()),
            key: arguments.key,
            url: arguments.url,
            forward_to: arguments.forward_to,
            events: arguments.events,
            print: arguments.print,
            secret,
            deadline: DEADLINE,
        })
    }
}

/// What became of the events so far.
#[derive(Debug, Default)]
struct Count {
    came: u64,
    taken: u64,
}

/// Listens until it is `interrupted`, or may not any longer.
pub async fn run(
    options: Options,
    screen: &mut impl Screen,
    interrupted: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let forwarder = forwarder(&options, screen)?;
    let (to, mut from) = mpsc::channel(WAITING);
    let follower = Follower::new(
        client::of_deployment()?,
        &options.feed,
        &options.key,
        &options.events,
    );
    let mut count = Count::default();
    let working = async {
        greet(&options, screen).await?;
        let mut following = Box::pin(follower.run(to));
        loop {
            let came = tokio::select! {
                biased;
                end = &mut following => return Err(over(end, &options, from.len())),
                Some(came) = from.recv() => came,
            };
            let mut handling = Box::pin(handle(came, &options, forwarder.as_ref(), &mut count, screen));
            tokio::select! {
                end = &mut following => {
                    handling.await?;
                    return Err(over(end, &options, from.len()));
                }
                handled = &mut handling => handled?,
            }
        }
    };
    let done: Result<(), Failure> = tokio::select! {
        done = working => done,
        () = interrupted => Ok(()),
    };
    let Count { came, taken } = count;
    let told = match forwarder {
        Some(_) => format!("{came} events came, the receiver took {taken}"),
        None => format!("{came} events came"),
    };
    if !done.as_ref().is_err_and(Failure::is_closed_output) {
        screen.note(&told)?;
    }
    done
}

fn forwarder(options: &Options, screen: &mut impl Screen) -> Result<Option<Forwarder>, Failure> {
    let Some(to) = &options.forward_to else {
        return Ok(None);
    };
    let secret = options.secret.clone().unwrap_or_else(Secret::generate);
    screen.note(&format!("Events go to {to}"))?;
    if options.secret.is_none() {
        screen.note(&format!("They are signed with {}", secret.reveal()))?;
    }
    Ok(Some(Forwarder::new(to.clone(), &secret, options.deadline)?))
}

/// Says which instance it is, and what is not told of it. Nothing depends on that: a key may be such that it cannot read it.
async fn greet(options: &Options, screen: &mut impl Screen) -> Result<(), Failure> {
    let api = Api::new(client::of_deployment()?, &options.url, &options.key);
    let asking = Box::pin(api.call(Method::GET, "/api/instance/info", None));
    let Ok(Ok(instance)) = tokio::time::timeout(GREETING, asking).await else {
        return Ok(());
    };
    let name = instance["name"].as_str().unwrap_or_default();
    screen.note(&format!("The instance is `{name}`"))?;
    if instance["contentInRealtime"] == Value::Bool(false) {
        screen.note(&format!(
            "These events do not have what messages say, which a webhook's have. The instance's owner turns that on: \
             PUT /api/instances/{name} {{\"contentInRealtime\": true}}"
        ))?;
    }
    Ok(())
}

async fn handle(
    came: Came,
    options: &Options,
    forwarder: Option<&Forwarder>,
    count: &mut Count,
    screen: &mut impl Screen,
) -> Result<(), Failure> {
    match came {
        Came::Note(note) => Ok(screen.note(&said(&note, options))?),
        Came::Event(event) => {
            count.came += 1;
            if options.print {
                screen.line(&event.printable())?;
            }
            let line = match forwarder {
                Some(forwarder) => forwarded(forwarder, &event, count).await,
                None => event.summary,
            };
            let told = if options.print {
                screen.note(&line)
            } else {
                screen.line(&line)
            };
            Ok(told?)
        }
    }
}

async fn forwarded(forwarder: &Forwarder, event: &Event, count: &mut Count) -> String {
    let outcome = forwarder.post(event).await;
    if outcome.is_success() {
        count.taken += 1;
    }
    format!("{}  → {outcome}", event.summary)
}

fn said(note: &Note, options: &Options) -> String {
    match note {
        Note::Ready => format!(
            "Connected to {}: events that happen from now on are shown",
            options.feed
        ),
        Note::Lost { why, pause } => {
            format!("Not connected: {why}. Next try in {:.1} s", pause.as_secs_f64())
        }
        Note::Resumed => "Connected again: what happened meanwhile follows".to_owned(),
        Note::Afresh => {
            "Connected again. No event had come before, so whatever happened meanwhile is not shown"
                .to_owned()
        }
        Note::Missing => {
            "Events are missing here: the deployment does not have all that happened meanwhile any more"
                .to_owned()
        }
    }
}

fn over(end: End, options: &Options, waiting: usize) -> Failure {
    match end {
        End::Refused(why) => Failure::KeyRefused(why),
        End::Over(why) => Failure::Ended {
            why,
            lost: match waiting {
                0 => String::new(),
                waiting => format!(". {waiting} of what had come is not forwarded"),
            },
        },
        End::NoFeed(status) => Failure::NoFeed {
            url: options.feed.to_string(),
            status: status.as_u16(),
        },
        End::Unheard => Failure::Interrupted,
    }
}
