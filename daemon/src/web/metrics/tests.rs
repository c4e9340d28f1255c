//! The page against the table that operators read.

mod embedded;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use shared::domain::instance::Status;

use super::*;
use crate::meter::{Retry, SendEnd};
use crate::realtime::Load;
use crate::stop::Course;

/// The table that operators read.
const DOCUMENT: &str = include_str!("../../../../docs/operations.md");

/// A daemon of which everything is known.
fn seen<'a>(meter: &'a Meter, events: &'a Events) -> Seen<'a> {
    Seen {
        meter,
        events,
        network: Network::Sandbox,
        began_at: DateTime::UNIX_EPOCH,
        clock_behind: TimeDelta::milliseconds(-3_600_500),
        resident_bytes: Some(8_388_608),
        shards: 4,
        shards_held: 2,
        since_last_beat: Duration::from_millis(1_500),
        round_trip_age: Duration::from_secs(7),
        working_age: Duration::from_secs(3),
        waiting_age: Duration::ZERO,
        realtime: Some(Load {
            sockets: 5,
            sockets_limit: 2_000,
            subscriptions: 1,
            refused: 6,
            cut_off: 7,
            events_dropped: 8,
            events_untold: 9,
        }),
        spans: Some(trace::Counts {
            exported: 10,
            dropped: 11,
        }),
    }
}

fn text(seen: &Seen<'_>) -> String {
    let families = families::all(seen);
    TextEncoder::new().encode_to_string(&families).expect("a page")
}

/// Each name with its labels, and its kind, as the page says them: `waxwing_sessions{status}`, `gauge`.
fn told(page: &str) -> BTreeSet<(String, String)> {
    let kinds = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    kinds
        .map(|line| {
            let (name, kind) = line.split_once(' ').expect("a kind");
            (format!("{name}{}", labels_of(page, name)), kind.to_owned())
        })
        .collect()
}

/// The labels of a family's samples: `{status}`, or nothing. Those of histograms are the format's own.
fn labels_of(page: &str, name: &str) -> String {
    let labelled = format!("{name}{{");
    let Some(sample) = page.lines().find_map(|line| line.strip_prefix(&labelled)) else {
        return String::new();
    };
    let (labels, _) = sample.rsplit_once("} ").expect("the end of the labels");
    let names: Vec<&str> = labels
        .split(',')
        .map(|label| label.split_once('=').expect("a value").0)
        .collect();
    format!("{{{}}}", names.join(","))
}

/// The same as the document says them: the first two columns of its rows.
fn documented() -> BTreeSet<(String, String)> {
    let rows = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("| `waxwing_"));
    rows.map(|row| {
        let (name, rest) = row.split_once("` | ").expect("a second column");
        let (kind, _) = rest.split_once([' ', ',']).expect("a kind");
        (format!("waxwing_{name}"), kind.to_owned())
    })
    .collect()
}

#[test]
fn the_document_has_a_row_for_each_name_and_no_other() {
    let (meter, events) = (Meter::default(), Events::default());
    let page = text(&seen(&meter, &events));
    assert_eq!(documented(), told(&page), "docs/operations.md");
}

#[test]
fn every_family_says_what_it_means_and_is_there_once() {
    let (meter, events) = (Meter::default(), Events::default());
    let page = text(&seen(&meter, &events));
    let lines = |start: &str| -> Vec<&str> {
        let lines = page.lines().filter_map(|line| line.strip_prefix(start));
        lines
            .map(|line| line.split_once(' ').expect("two words").0)
            .collect()
    };
    let (helped, typed) = (lines("# HELP "), lines("# TYPE "));
    assert_eq!(helped, typed);
    let once: BTreeSet<_> = typed.iter().collect();
    assert_eq!(once.len(), typed.len());
}

#[test]
fn the_page_has_the_numbers_in_base_units() {
    let (meter, events) = (Meter::default(), Events::default());
    let held = meter.sessions.count(1);
    meter.statuses.enter(Status::Connected);
    meter.pauses.enter(Course::RateLimited);
    meter.sends.add(SendEnd::Sent);
    meter.retries.add(Retry::Unanswered);
    meter.presences_dropped.add(3);
    meter.sent_after.note(Duration::from_millis(250));
    events.queued.add(2);
    let waiting = events.waiting.count(1);
    let page = text(&seen(&meter, &events));
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("waxwing_build_info{{version=\"{version}\",network=\"sandbox\"}} 1");
    for line in [
        build.as_str(),
        "waxwing_start_time_seconds 0",
        "waxwing_clock_behind_seconds -3600.5",
        "waxwing_resident_memory_bytes 8388608",
        "waxwing_shards 4",
        "waxwing_shards_held 2",
        "waxwing_lease_age_seconds 1.5",
        "waxwing_sessions_held 1",
        "waxwing_sessions{status=\"CONNECTED\"} 1",
        "waxwing_sessions{status=\"RECONNECTING\"} 0",
        "waxwing_sessions_paused{reason=\"RATE_LIMITED\"} 1",
        "waxwing_sessions_paused{reason=\"REPLACED\"} 0",
        "waxwing_round_trip_age_seconds 7",
        "waxwing_reconnects_total{cause=\"LOST\"} 0",
        "waxwing_sessions_ended_total{status=\"BANNED\"} 0",
        "waxwing_oldest_job_age_seconds{state=\"working\"} 3",
        "waxwing_sends_total{outcome=\"sent\"} 1",
        "waxwing_send_failures_total{code=\"POISON\"} 0",
        "waxwing_send_retries_total{cause=\"unanswered\"} 1",
        "waxwing_send_wait_seconds_bucket{le=\"0.1\"} 0",
        "waxwing_send_wait_seconds_bucket{le=\"0.25\"} 1",
        "waxwing_send_wait_seconds_bucket{le=\"+Inf\"} 1",
        "waxwing_send_wait_seconds_sum 0.25",
        "waxwing_send_wait_seconds_count 1",
        "waxwing_send_acknowledgement_seconds_count 0",
        "waxwing_events_waiting 1",
        "waxwing_events_total{outcome=\"queued\"} 2",
        "waxwing_events_lost_total{kind=\"presence\"} 3",
        "waxwing_questions_total{outcome=\"answered\"} 0",
        "waxwing_realtime_sockets 5",
        "waxwing_realtime_events_untold_total 9",
        "waxwing_trace_spans_total{outcome=\"dropped\"} 11",
    ] {
        assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
    }
    assert!(
        !page.contains("sessions_paused{reason=\"LOST\"}"),
        "its pauses are not kept"
    );
    drop((waiting, held));
    let page = text(&seen(&meter, &events));
    for line in ["waxwing_events_waiting 0", "waxwing_sessions_held 0"] {
        assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
    }
}
