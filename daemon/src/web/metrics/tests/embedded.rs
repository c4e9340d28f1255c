//! The lines for CloudWatch against the page.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::mpsc;

use serde_json::Value;
use shared::clock::SystemClock;
use testbed::wait;

use super::*;
use crate::web::metrics::embedded::{Deployment, NAMESPACE};
use crate::web::metrics::page::Page;
use crate::web::metrics::printing::Printing;

/// Whose numbers they are.
const OURS: Deployment<'static> = Deployment {
    prefix: "ours",
    network: Network::Sandbox,
};

/// The page's numbers by name and labels, without the network and without the buckets of histograms.
fn numbers_of(page: &str) -> BTreeMap<String, f64> {
    let samples = page
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let name = name.replace(",network=\"sandbox\"", "");
            (name, value.parse().expect("a number"))
        })
        .collect()
}

/// The numbers of a line, by name and labels as those of the page.
fn numbers_in(line: &str) -> BTreeMap<String, f64> {
    let document: Value = serde_json::from_str(line).expect("JSON");
    assert!(document["_aws"]["Timestamp"].is_i64(), "{line}");
    let directives = document["_aws"]["CloudWatchMetrics"].as_array().expect("a list");
    let [directive] = directives.as_slice() else {
        panic!("one list of metrics is told: {line}");
    };
    assert_eq!(directive["Namespace"], NAMESPACE);
    let sets = directive["Dimensions"].as_array().expect("a list");
    let [set] = sets.as_slice() else {
        panic!("one set of dimensions is told: {line}");
    };
    let dimensions: Vec<&str> = set
        .as_array()
        .expect("a list")
        .iter()
        .map(|name| name.as_str().expect("a name"))
        .collect();
    let [first, second, labels @ ..] = dimensions.as_slice() else {
        panic!("the deployment is not named: {line}");
    };
    assert!(labels.len() <= 1, "{line}");
    assert_eq!([*first, *second], ["prefix", "network"]);
    assert_eq!(document["prefix"], "ours");
    assert_eq!(document["network"], "sandbox");
    let labels: Vec<String> = labels
        .iter()
        .map(|name| format!("{name}=\"{}\"", document[*name].as_str().expect("a text")))
        .collect();
    let labels = if labels.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", labels.join(","))
    };
    let metrics = directive["Metrics"].as_array().expect("a list");
    assert!(!metrics.is_empty() && metrics.len() <= 100, "{line}");
    metrics
        .iter()
        .map(|metric| {
            let name = metric["Name"].as_str().expect("a name");
            let unit = metric["Unit"].as_str().expect("a unit");
            assert!(["Count", "Seconds", "Bytes"].contains(&unit), "{line}");
            (
                format!("{name}{labels}"),
                document[name].as_f64().expect("a number"),
            )
        })
        .collect()
}

/// The same of many lines. Each number is told once.
fn numbers_of_all(lines: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for (name, value) in lines.lines().flat_map(numbers_in) {
        assert!(all.insert(name.clone(), value).is_none(), "{name} is told twice");
    }
    all
}

/// Whether a number only rises, by its name.
fn rises(name: &str) -> bool {
    let name = name.split('{').next().unwrap_or_default();
    ["_total", "_sum", "_count"].iter().any(|end| name.ends_with(end))
}

#[test]
fn what_the_lines_tell_adds_up_to_the_page() {
    let (meter, events) = (Meter::default(), Events::default());
    let (mut told, mut sums) = (Told::default(), BTreeMap::<String, f64>::new());
    let mut tell = |meter: &Meter| {
        let seen = seen(meter, &events);
        let lines = told.lines(&families::all(&seen), OURS, DateTime::UNIX_EPOCH);
        let minute = numbers_of_all(&lines);
        for (name, value) in &minute {
            let sum = sums.entry(name.clone()).or_default();
            *sum = if rises(name) { *sum + value } else { *value };
        }
        let page = numbers_of(&text(&seen));
        for (name, value) in &page {
            let sum = sums.get(name).copied().unwrap_or_default();
            assert!(
                (sum - value).abs() < 1e-9,
                "{name} is {value}, and {sum} was told"
            );
        }
        for name in minute.keys() {
            assert!(page.contains_key(name), "the page has no {name}");
        }
        minute
    };
    meter.statuses.enter(Status::Connected);
    meter.pauses.enter(Course::RateLimited);
    meter.sends.add(SendEnd::Sent);
    meter.sent_after.note(Duration::from_millis(250));
    let first = tell(&meter);
    assert!(
        !first.contains_key("waxwing_sessions{status=\"BANNED\"}"),
        "it is 0"
    );
    // Daemons are scaled by it: a daemon without sessions counts for the mean.
    assert_eq!(first.get("waxwing_sessions_held"), Some(&0.0));
    let held = meter.sessions.count(2);
    meter.sends.add(SendEnd::Sent);
    meter.sends.add(SendEnd::Failed);
    meter.received.add(3);
    meter.sent_after.note(Duration::from_secs(2));
    meter.pauses.leave(Course::RateLimited);
    let second = tell(&meter);
    let in_second = |name: &str| second.get(name).copied();
    assert_eq!(in_second("waxwing_sends_total{outcome=\"sent\"}"), Some(1.0));
    assert_eq!(in_second("waxwing_send_wait_seconds_sum"), Some(2.0));
    assert_eq!(in_second("waxwing_send_wait_seconds_count"), Some(1.0));
    assert_eq!(
        in_second("waxwing_sessions_paused{reason=\"RATE_LIMITED\"}"),
        Some(0.0),
        "it has fallen to 0"
    );
    assert_eq!(in_second("waxwing_sessions_held"), Some(2.0));
    drop(held);
    let third = tell(&meter);
    assert_eq!(third.get("waxwing_sessions_held"), Some(&0.0));
    assert_eq!(third.get("waxwing_messages_received_total"), Some(&0.0));
    assert!(!third.contains_key("waxwing_sends_total{outcome=\"sent\"}"));
    assert!(!third.contains_key("waxwing_sessions_paused{reason=\"RATE_LIMITED\"}"));
    assert_eq!(third.get("waxwing_sessions{status=\"CONNECTED\"}"), Some(&1.0));
}

#[test]
fn a_line_tells_a_hundred_metrics_at_most() {
    let mut page = Page::default();
    for place in 0..250 {
        page.gauge(&format!("waxwing_{place}"), "One of many.", 1.0);
    }
    let families = page.into_families();
    let lines = Told::default().lines(&families, OURS, DateTime::UNIX_EPOCH);
    assert_eq!(lines.lines().count(), 3);
    assert_eq!(numbers_of_all(&lines).len(), 250);
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(Parts {
        meter: Arc::default(),
        round_trips: Arc::default(),
        events: Events::default(),
        holding: HeldShards::default(),
        shards: 4,
        prefix: "ours".to_owned(),
        network: Network::Sandbox,
        clock: Arc::new(SystemClock),
        realtime: None,
    }))
}

/// Keeps what is written.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no holder panics").clone()).expect("UTF-8")
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no holder panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes nothing until it is let go.
#[derive(Debug)]
struct Stalled(mpsc::Receiver<()>);

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn numbers_are_printed_each_period_and_at_the_end() {
    let kept = Kept::default();
    let minutes = || kept.text().matches("waxwing_shards_held\":").count();
    let printing = Printing::start(metrics(), kept.clone(), Duration::from_millis(1)).expect("a thread");
    wait::until("two periods", async || (minutes() >= 2).then_some(())).await;
    printing.end().await;
    let kept = Kept::default();
    let printing = Printing::start(metrics(), kept.clone(), Duration::from_hours(1)).expect("a thread");
    printing.end().await;
    let text = async || Some(kept.text()).filter(|text| !text.is_empty());
    let last = numbers_of_all(&wait::until("the last lines", text).await);
    assert_eq!(last.get("waxwing_shards"), Some(&4.0));
}

#[tokio::test]
async fn a_reader_that_stalls_holds_up_no_end() {
    let (let_go, held) = mpsc::channel();
    let printing = Printing::start(metrics(), Stalled(held), Duration::from_millis(1)).expect("a thread");
    wait::in_time("the end of what prints", printing.end()).await;
    drop(let_go);
}
