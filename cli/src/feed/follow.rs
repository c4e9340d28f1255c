//! Follows an instance for as long as its key may: it comes back after a loss, and goes on behind the event that it had last.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::packet::Packet;
use super::socket::{Broken, Socket};
use crate::address::Address;
use crate::event::{Event, Wanted};
use crate::key::Token;

/// The pause before the first try to come back; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause. A connection counts as a request of the key, which has a limit an hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A connection that has held for so long was a good one: the pauses begin anew.
const STEADY: Duration = Duration::from_secs(30);

/// How many ids are remembered, to know an event that comes twice: as many events as the deployment can repeat.
const REMEMBERED: usize = 4_096;

/// What came.
#[derive(Debug)]
pub enum Came {
    /// An event that is wanted.
    Event(Event),
    /// Something about the connection.
    Note(Note),
}

/// Something about the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// It is there, for the first time.
    Ready,
    /// It is lost, or could not be made; it is tried again after a pause.
    Lost {
        /// Why.
        why: String,
        /// The pause.
        pause: Duration,
    },
    /// It is there again, and what came meanwhile follows.
    Resumed,
    /// It is there again. No event had come before, so that there is none to go on from.
    Afresh,
    /// Events are missing, which the deployment does not have any more.
    Missing,
}

/// Why nothing comes any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The key was never let in.
    Refused(String),
    /// The key was let in, and may not follow any longer.
    Over(String),
    /// There is no feed at the address.
    NoFeed(StatusCode),
    /// Nobody takes what comes.
    Unheard,
}

/// Follows one instance.
#[derive(Debug)]
pub struct Follower<'a> {
    client: Client,
    address: &'a Address,
    token: &'a Token,
    wanted: &'a Wanted,
    /// The id of the event that came last.
    last: Option<String>,
    seen: Seen,
    was_in: bool,
}

/// Why a connection is over.
enum Stop {
    /// It comes back.
    Broken(Broken),
    /// It does not.
    End(End),
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl<'a> Follower<'a> {
    /// Follows the instance of this key.
    pub fn new(client: Client, address: &'a Address, token: &'a Token, wanted: &'a Wanted) -> Self {
        Self {
            client,
            address,
            token,
            wanted,
            last: None,
            seen: Seen::default(),
            was_in: false,
        }
    }

    /// Hands on what comes. Where nobody takes it in time the deployment cuts the connection, and it is had afterwards.
    pub async fn run(mut self, to: Sender<Came>) -> End {
        let mut tries = 0;
        loop {
            let began = Instant::now();
            let broken = match Box::pin(self.connection(&to)).await {
                Stop::End(end) => return end,
                Stop::Broken(broken) => broken,
            };
            let why = match broken {
                Broken::Status(status) if !self.was_in && is_for_good(status) => return End::NoFeed(status),
                Broken::Status(status) => format!("{} answered with status {status}", self.address.place()),
                Broken::Lost(why) => why,
            };
            if began.elapsed() > STEADY {
                tries = 0;
            }
            let pause = pause(tries, rand::random());
            tries = tries.saturating_add(1);
            if to.send(Came::Note(Note::Lost { why, pause })).await.is_err() {
                return End::Unheard;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One connection, from its beginning to its end.
    async fn connection(&mut self, to: &Sender<Came>) -> Stop {
        let Err(stop) = self.follow(to).await;
        stop
    }

    async fn follow(&mut self, to: &Sender<Came>) -> Result<Infallible, Stop> {
        let mut socket = Socket::open(&self.client, self.address).await?;
        socket.join(self.token.reveal()).await?;
        let mut asked = None;
        loop {
            let packet = socket.next().await?;
            match packet {
                Packet::Joined => {
                    let after = self.last.as_ref();
                    let wanted = after.map_or_else(|| json!({}), |last| json!({ "after": last }));
                    asked = Some(socket.ask("subscribe", &wanted).await?);
                }
                Packet::Refused(code) => return Err(self.refused(&code)),
                Packet::Answer(number, answer) if asked == Some(number) => self.answered(answer, to).await?,
                Packet::Event(name, said) => self.event(&name, said, to).await?,
                Packet::Ended => {
                    return Err(Broken::Lost("the deployment ended the connection".to_owned()).into());
                }
                Packet::Answer(..) | Packet::Open(_) | Packet::Close | Packet::Ping | Packet::Other => {}
            }
        }
    }

    /// The socket is not let in.
    fn refused(&self, code: &str) -> Stop {
        let why = words(code);
        if passes(code) {
            Broken::Lost(format!("the deployment does not let the key in now: {why}")).into()
        } else if self.was_in {
            Stop::End(End::Over(why))
        } else {
            Stop::End(End::Refused(why))
        }
    }

    /// The deployment says from where on it tells.
    async fn answered(&mut self, answer: &RawValue, to: &Sender<Came>) -> Result<(), Stop> {
        let answer: Value = serde_json::from_str(answer.get()).unwrap_or_default();
        if answer["success"] != true {
            let code = answer["error"]["code"].as_str().unwrap_or("no answer");
            return Err(Broken::Lost(format!("the deployment tells nothing: {}", words(code))).into());
        }
        let is_resumed = answer["data"]["resumed"] == true;
        let note = match (std::mem::replace(&mut self.was_in, true), is_resumed) {
            (false, _) => Note::Ready,
            (true, true) => Note::Resumed,
            (true, false) if self.last.is_none() => Note::Afresh,
            // The deployment says so itself, next.
            (true, false) => return Ok(()),
        };
        hand_on(to, Came::Note(note)).await
    }

    async fn event(&mut self, name: &str, said: &RawValue, to: &Sender<Came>) -> Result<(), Stop> {
        match name {
            "system:health" => Ok(()),
            "resync" => hand_on(to, Came::Note(Note::Missing)).await,
            "feed:ended" => Err(ended(said)),
            _ => {
                let Some(event) = Event::read(said) else {
                    // A remark of a later version: every event has an id and a type.
                    return Ok(());
                };
                if !self.seen.is_first(&event.id) {
                    return Ok(());
                }
                let id = event.id.clone();
                if self.wanted.wants(&event.kind) {
                    hand_on(to, Came::Event(event)).await?;
                }
                self.last = Some(id);
                Ok(())
            }
        }
    }
}

async fn hand_on(to: &Sender<Came>, came: Came) -> Result<(), Stop> {
    to.send(came).await.map_err(|_| Stop::End(End::Unheard))
}

/// The deployment says why it ends the socket.
fn ended(said: &RawValue) -> Stop {
    let said: Value = serde_json::from_str(said.get()).unwrap_or_default();
    let code = said["code"].as_str().unwrap_or_default();
    let why = said["message"]
        .as_str()
        .map_or_else(|| words(code), str::to_owned);
    if passes(code) {
        Broken::Lost(why).into()
    } else {
        Stop::End(End::Over(why))
    }
}

/// Whether the same key may be let in later. What this program does not know may pass.
fn passes(code: &str) -> bool {
    !matches!(
        code,
        "UNAUTHENTICATED"
            | "TOKEN_EXPIRED"
            | "FORBIDDEN"
            | "SUBSCRIPTION_INACTIVE"
            | "INSUFFICIENT_SCOPE"
            | "IP_NOT_ALLOWED"
            | "VALIDATION_ERROR"
    )
}

fn words(code: &str) -> String {
    let words = match code {
        "UNAUTHENTICATED" => "there is no such key, or it was revoked or has expired",
        "SUBSCRIPTION_INACTIVE" => "its subscription is switched off",
        "INSUFFICIENT_SCOPE" => "it has none of the scopes that events need, such as `messages:read`",
        "IP_NOT_ALLOWED" => "it may not be used from this address",
        "RATE_LIMITED" => "it has connected too often, or is connected too many times",
        "UNAVAILABLE" => "something that is needed is not there now",
        other => return other.to_owned(),
    };
    format!("{words} ({code})")
}

/// Whether whatever answers so is no feed, and does not become one.
fn is_for_good(status: StatusCode) -> bool {
    let passes = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !passes.contains(&status)
}

/// The pause after so many tries: half of it is certain and half is left to chance, from 0 to 1.
fn pause(tries: u32, chance: f64) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(tries))
        .min(LONGEST_PAUSE);
    longest.mul_f64(chance.clamp(0.0, 1.0).mul_add(0.5, 0.5))
}

/// The ids of the events that came last.
#[derive(Debug, Default)]
struct Seen {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Seen {
    /// Whether this one has not come before.
    fn is_first(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_differ() {
        assert_eq!(pause(0, 1.0), FIRST_PAUSE);
        assert_eq!(pause(0, 0.0), FIRST_PAUSE / 2);
        assert_eq!(pause(3, 1.0), FIRST_PAUSE * 8);
        assert_eq!(pause(u32::MAX, 1.0), LONGEST_PAUSE);
    }

    #[test]
    fn an_event_that_comes_twice_is_known_as_long_as_it_is_remembered() {
        let mut seen = Seen::default();
        assert!(seen.is_first("evt_0"));
        assert!(!seen.is_first("evt_0"));
        for n in 1..=REMEMBERED {
            assert!(seen.is_first(&format!("evt_{n}")));
        }
        assert_eq!((seen.ids.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
        assert!(seen.is_first("evt_0"), "it has gone");
    }

    #[test]
    fn what_is_not_known_for_certain_is_tried_again() {
        assert!(!passes("UNAUTHENTICATED") && !passes("INSUFFICIENT_SCOPE"));
        assert!(passes("UNAVAILABLE") && passes("RATE_LIMITED") && passes("SOMETHING_NEW"));
        assert!(is_for_good(StatusCode::NOT_FOUND) && is_for_good(StatusCode::OK));
        assert!(!is_for_good(StatusCode::SERVICE_UNAVAILABLE) && !is_for_good(StatusCode::TOO_MANY_REQUESTS));
    }
}
