//! What the page has: each name, what it means, and where its number comes from.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use prometheus::proto::MetricFamily;
use shared::domain::instance::Status;
use shared::domain::network::Network;
use shared::trace::Counts;

use super::page::{Page, number};
use crate::meter::{Events, Meter, Named};
use crate::realtime::Load;

/// The statuses in which sessions end for good.
const ENDS: [Status; 3] = [Status::LoggedOut, Status::ForceDisconnected, Status::Banned];

/// A daemon as it is at a moment.
#[derive(Debug)]
pub struct Seen<'a> {
    /// What it counts.
    pub meter: &'a Meter,
    /// Its events on their way to the queue.
    pub events: &'a Events,
    /// Its network.
    pub network: Network,
    /// When it began.
    pub began_at: DateTime<Utc>,
    /// By how much its machine's clock is behind, and corrected.
    pub clock_behind: TimeDelta,
    /// The memory that it takes, where the system tells.
    pub resident_bytes: Option<u64>,
    /// How many shards its network has.
    pub shards: u32,
    /// How many of them it holds.
    pub shards_held: usize,
    /// Time since its last stored beat began, or since the process began where there was none.
    pub since_last_beat: Duration,
    /// Time since the last round trip of the connection whose last one is the oldest; zero where nothing is connected.
    pub round_trip_age: Duration,
    /// The age of the oldest job that is worked on; zero where there is none.
    pub working_age: Duration,
    /// The same of those that wait.
    pub waiting_age: Duration,
    /// What the realtime feed has in hand, where it is on.
    pub realtime: Option<Load>,
    /// What became of spans, where tracing is on.
    pub spans: Option<Counts>,
}

/// All families of the page.
pub fn all(seen: &Seen<'_>) -> Vec<MetricFamily> {
    let mut page = Page::default();
    process(&mut page, seen);
    shards(&mut page, seen);
    sessions(&mut page, seen);
    sends(&mut page, seen);
    incoming(&mut page, seen.meter);
    events(&mut page, seen);
    questions(&mut page, seen.meter);
    if let Some(load) = &seen.realtime {
        realtime(&mut page, load);
    }
    if let Some(counts) = &seen.spans {
        spans(&mut page, counts);
    }
    page.into_families()
}

fn process(page: &mut Page, seen: &Seen<'_>) {
    page.fact(
        "waxwing_build_info",
        "The daemon's version and network, as labels.",
        &[
            ("version", env!("CARGO_PKG_VERSION")),
            ("network", seen.network.as_str()),
        ],
    );
    let began = u64::try_from(seen.began_at.timestamp()).unwrap_or_default();
    page.gauge(
        "waxwing_start_time_seconds",
        "When the process began, in seconds since 1970.",
        number(began),
    );
    page.gauge(
        "waxwing_clock_behind_seconds",
        "By how much the machine's clock is behind the time that the daemon goes by.",
        seen.clock_behind.as_seconds_f64(),
    );
    if let Some(bytes) = seen.resident_bytes {
        page.gauge(
            "waxwing_resident_memory_bytes",
            "The memory that the process takes.",
            number(bytes),
        );
    }
}

fn shards(page: &mut Page, seen: &Seen<'_>) {
    page.gauge("waxwing_shards", "Shards of the network.", f64::from(seen.shards));
    page.gauge(
        "waxwing_shards_held",
        "Shards that this daemon holds.",
        count(seen.shards_held),
    );
    page.gauge(
        "waxwing_lease_age_seconds",
        "Time since the daemon's last stored beat began.",
        seen.since_last_beat.as_secs_f64(),
    );
}

fn sessions(page: &mut Page, seen: &Seen<'_>) {
    let meter = seen.meter;
    // Without a label, so that CloudWatch has it each minute and daemons can be scaled by it (`template.yaml`).
    page.gauge(
        "waxwing_sessions_held",
        "Instances whose sessions this daemon has, in whatever status.",
        number(meter.sessions.get()),
    );
    page.gauges(
        "waxwing_sessions",
        "Instances that are to be connected, by status.",
        "status",
        meter
            .statuses
            .all()
            .map(|(status, count)| (status.name(), number(count))),
    );
    let pauses = meter.pauses.all().filter(|(course, _)| course.pauses().is_some());
    page.gauges(
        "waxwing_sessions_paused",
        "Instances that wait out a pause between two sessions, by reason.",
        "reason",
        pauses.map(|(course, count)| (course.name(), number(count))),
    );
    page.gauge(
        "waxwing_round_trip_age_seconds",
        "The longest time since a connected instance's last round trip to WhatsApp.",
        seen.round_trip_age.as_secs_f64(),
    );
    page.counters(
        "waxwing_reconnects_total",
        "Sessions that ended and are followed by another, by cause.",
        "cause",
        named(meter.reconnects.all()),
    );
    page.counters(
        "waxwing_sessions_ended_total",
        "Sessions that ended for good, by the instance's status.",
        "status",
        ENDS.map(|status| (status.name(), meter.ended.get(status))),
    );
}

fn sends(page: &mut Page, seen: &Seen<'_>) {
    let meter = seen.meter;
    page.gauge(
        "waxwing_jobs_in_hand",
        "Messages taken from the queues and not done.",
        number(meter.jobs.get()),
    );
    let ages = [("working", seen.working_age), ("waiting", seen.waiting_age)];
    page.gauges(
        "waxwing_oldest_job_age_seconds",
        "Time since the queue got the oldest message in hand, by what is done with it.",
        "state",
        ages.map(|(state, age)| (state, age.as_secs_f64())),
    );
    page.counters(
        "waxwing_sends_total",
        "Messages whose sending ended, by outcome.",
        "outcome",
        named(meter.sends.all()),
    );
    page.counters(
        "waxwing_send_failures_total",
        "Messages that failed or expired, by failure code.",
        "code",
        named(meter.failures.all()),
    );
    page.counters(
        "waxwing_send_retries_total",
        "Attempts to send a message that may be followed by another, by cause.",
        "cause",
        named(meter.retries.all()),
    );
    page.counter(
        "waxwing_sends_put_off_total",
        "Messages put off by a minute or more.",
        meter.put_off.get(),
    );
    page.histogram(
        "waxwing_send_wait_seconds",
        "Time from a message's acceptance, or from when it was due, to the wire.",
        &meter.sent_after,
    );
    page.histogram(
        "waxwing_send_acknowledgement_seconds",
        "Time from the wire to the acknowledgement of WhatsApp's server.",
        &meter.acknowledged_after,
    );
}

fn incoming(page: &mut Page, meter: &Meter) {
    page.counter(
        "waxwing_messages_received_total",
        "Messages that came in.",
        meter.received.get(),
    );
    page.counter(
        "waxwing_receipts_lost_total",
        "Receipts that were not stored.",
        meter.receipts_given_up.get(),
    );
}

fn events(page: &mut Page, seen: &Seen<'_>) {
    let Events {
        waiting,
        queued,
        failed,
        refused,
        given_up,
    } = seen.events;
    page.gauge(
        "waxwing_events_waiting",
        "Events on their way to the events queue.",
        number(waiting.get()),
    );
    page.counters(
        "waxwing_events_total",
        "Events handed to the events queue, by outcome.",
        "outcome",
        [("queued", queued), ("failed", failed), ("refused", refused)]
            .map(|(name, total)| (name, total.get())),
    );
    let meter = seen.meter;
    let lost = [
        ("connection", given_up),
        ("notice", &meter.notices_given_up),
        ("presence", &meter.presences_dropped),
    ];
    page.counters(
        "waxwing_events_lost_total",
        "Events that nobody is told, by kind.",
        "kind",
        lost.map(|(name, total)| (name, total.get())),
    );
}

fn questions(page: &mut Page, meter: &Meter) {
    page.counters(
        "waxwing_questions_total",
        "Questions to instances' sockets, by outcome.",
        "outcome",
        named(meter.questions.all()),
    );
}

fn realtime(page: &mut Page, load: &Load) {
    let Load {
        sockets,
        sockets_limit,
        subscriptions: _,
        refused,
        cut_off,
        events_dropped,
        events_untold,
    } = load;
    page.gauge(
        "waxwing_realtime_sockets",
        "Sockets of the realtime feed that are open.",
        count(*sockets),
    );
    page.gauge(
        "waxwing_realtime_sockets_limit",
        "Sockets of the realtime feed that may be open.",
        count(*sockets_limit),
    );
    for (name, help, total) in [
        (
            "waxwing_realtime_refused_total",
            "Connections that the realtime feed refused.",
            *refused,
        ),
        (
            "waxwing_realtime_cut_off_total",
            "Sockets cut off since they read too slowly.",
            *cut_off,
        ),
        (
            "waxwing_realtime_events_dropped_total",
            "Events that left the ring for later ones.",
            *events_dropped,
        ),
        (
            "waxwing_realtime_events_untold_total",
            "Events that other daemons were not told.",
            *events_untold,
        ),
    ] {
        page.counter(name, help, total);
    }
}

fn spans(page: &mut Page, counts: &Counts) {
    page.counters(
        "waxwing_trace_spans_total",
        "Spans of traces that were to be sent to the collector, by outcome.",
        "outcome",
        [("exported", counts.exported), ("dropped", counts.dropped)],
    );
}

/// Counts under the texts of their names.
fn named<K: Named>(counts: impl Iterator<Item = (K, u64)>) -> impl Iterator<Item = (&'static str, u64)> {
    counts.map(|(key, count)| (key.name(), count))
}

fn count(of: usize) -> f64 {
    number(u64::try_from(of).unwrap_or(u64::MAX))
}
