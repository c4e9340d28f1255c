//! One user at work: a request at its time, whatever the one before took.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use testbed::caller::Caller;
use tests::flow::Paired;
use tests::routes::request;
use tokio::time::Instant;

use crate::report::Report;
use crate::stack::Stack;

/// What users have in common.
pub struct Place {
    pub stack: Stack,
    pub report: Report,
    /// Instances that are connected, each with a key.
    pub senders: Vec<Paired>,
    /// For each a message with a file that came in, whose content is kept.
    pub came: Vec<String>,
    pub administrator: Caller,
}

/// Why a user does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The time is over.
    Over,
    /// A request failed, and what follows builds on it.
    Failed,
}

pub struct User {
    pub place: Arc<Place>,
    /// A client with an access token.
    pub api: Caller,
    /// An instance that is not connected.
    pub instance: String,
    /// When the next request is due.
    due: Instant,
    schedule: Schedule,
    random: u64,
}

/// When users make requests, and which of them count.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// The time between two requests of a user.
    pub interval: Duration,
    /// The first due time that counts.
    pub counted: Instant,
    /// No request is due from here on.
    pub until: Instant,
}

impl User {
    pub fn new(
        place: Arc<Place>,
        (api, instance): (Caller, String),
        number: u32,
        schedule: Schedule,
    ) -> Self {
        Self {
            place,
            api,
            instance,
            due: schedule.counted,
            schedule,
            random: u64::from(number),
        }
    }

    /// The user who begins at `first`, or up to `ramp` intervals later.
    pub fn beginning(mut self, first: Instant, ramp: usize) -> Self {
        let later = u32::try_from(self.random(ramp)).expect("small");
        self.due = first + self.schedule.interval * later;
        self
    }

    /// A number below `end`. The sequence is the same in each run (splitmix64).
    pub fn random(&mut self, end: usize) -> usize {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end).expect("small")).expect("small")
    }

    /// Makes a request when it is due, with `ids` for the route's parameters. Its time is
    /// counted from when it was due: a stack that stands still is not spared the requests
    /// that would have come meanwhile.
    pub async fn call(
        &mut self,
        api: &Caller,
        route: &'static str,
        ids: &[&str],
        body: Option<Value>,
    ) -> Result<Value, Stop> {
        if self.due >= self.schedule.until {
            return Err(Stop::Over);
        }
        tokio::time::sleep_until(self.due).await;
        let due = self.due;
        self.due += self.schedule.interval;
        let (method, path) = request(route, ids);
        let answer = api.try_request(method, &path, body).await;
        let report = &self.place.report;
        match answer {
            Ok(answer) if answer.is_success() => {
                if due >= self.schedule.counted {
                    report.took(route, due.elapsed());
                }
                Ok(answer.json()["data"].clone())
            }
            Ok(answer) => {
                report.failed(route, answer.code());
                Err(Stop::Failed)
            }
            Err(error) => {
                let what = if error.is_timeout() {
                    "no answer"
                } else {
                    "no connection"
                };
                report.failed(route, what.to_owned());
                Err(Stop::Failed)
            }
        }
    }
}
