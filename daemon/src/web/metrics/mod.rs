//! `GET /metrics`: what the daemon counts of itself and has in hand, as Prometheus reads it. The same families become CloudWatch's
//! metrics where that is asked for: `embedded` makes the lines, and `printing` prints them.
//!
//! `docs/operations.md` has the table of names, and a test holds the two together. The names are stable: dashboards and alarms go by
//! them. Units are seconds and bytes. Labels have few values, which are known beforehand, and none says anything of a tenant.
//! The page is made when somebody asks, of what is in memory: no call goes out for it.

pub mod embedded;
mod families;
mod page;
pub mod printing;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, FORWARDED, HeaderMap};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use chrono::{DateTime, Utc};
use prometheus::{TEXT_FORMAT, TextEncoder};
use shared::clock::Clock;
use shared::domain::network::Network;
use shared::trace;
use tokio::time::Instant;
use tracing::error;

use self::embedded::{Deployment, Told};
use self::families::Seen;
use crate::deps::RoundTrips;
use crate::lease::HeldShards;
use crate::meter::{Events, Meter, resident_bytes};
use crate::realtime::Realtime;

/// What a daemon tells of itself by metrics.
#[derive(Debug)]
pub struct Parts {
    /// What it counts.
    pub meter: Arc<Meter>,
    /// The last round trips of what is connected.
    pub round_trips: Arc<RoundTrips>,
    /// Its events on their way to the queue.
    pub events: Events,
    /// What it holds.
    pub holding: HeldShards,
    /// How many shards its network has.
    pub shards: u32,
    /// What its queues' names begin with.
    pub prefix: String,
    /// Its network.
    pub network: Network,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The realtime feed, where it is on.
    pub realtime: Option<Realtime>,
}

/// A daemon's metrics.
#[derive(Debug)]
pub struct Metrics {
    parts: Parts,
    began: Instant,
    began_at: DateTime<Utc>,
}

impl Metrics {
    /// The metrics of a daemon that begins now.
    pub fn new(parts: Parts) -> Self {
        Self {
            began: Instant::now(),
            began_at: parts.clock.now(),
            parts,
        }
    }

    /// The metrics as they are now, in Prometheus' text format.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&families::all(&self.look()))
    }

    /// The same in CloudWatch's embedded metric format: a line for each set of labels. Of counters it tells the rise since what `told` has.
    pub fn lines(&self, told: &mut Told) -> String {
        let of = Deployment {
            prefix: &self.parts.prefix,
            network: self.parts.network,
        };
        told.lines(&families::all(&self.look()), of, self.parts.clock.now())
    }

    fn look(&self) -> Seen<'_> {
        let Parts {
            meter,
            round_trips,
            events,
            holding,
            shards,
            prefix: _,
            network,
            clock,
            realtime,
        } = &self.parts;
        let (now, oldest) = (clock.now(), meter.hands.oldest());
        let age = |since: Option<DateTime<Utc>>| since.map_or(Duration::ZERO, |since| age(since, now));
        Seen {
            meter,
            events,
            network: *network,
            began_at: self.began_at,
            clock_behind: clock.behind(),
            resident_bytes: resident_bytes(),
            shards: *shards,
            shards_held: holding.get().len(),
            since_last_beat: holding.since_last_beat().unwrap_or_else(|| self.began.elapsed()),
            round_trip_age: age(round_trips.oldest()),
            working_age: age(oldest.working),
            waiting_age: age(oldest.waiting),
            realtime: realtime.as_ref().map(Realtime::load),
            spans: trace::tracer().counts(),
        }
    }
}

/// How long ago it was; zero where the clock has gone back.
fn age(since: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - since).to_std().unwrap_or_default()
}

/// `/metrics`.
pub fn routes(metrics: Arc<Metrics>) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(metrics)
}

/// A request that a proxy has passed on comes from the realtime feed's side, where anybody may ask: there is nothing for it.
async fn scrape(State(metrics): State<Arc<Metrics>>, headers: HeaderMap) -> Response {
    if headers.contains_key("x-forwarded-for") || headers.contains_key(FORWARDED) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests;
