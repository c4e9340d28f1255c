//! `GET /metrics`: the counters of `/admin/stats` as Prometheus reads them.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::error::ApiResult;
use crate::network::Network;
use crate::script::{self, Handshakes, Stats};

/// Prometheus' text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`
pub(super) async fn metrics(State(network): State<Arc<Network>>) -> ApiResult<impl IntoResponse> {
    let stats = script::stats(&network).await?;
    Ok(([(CONTENT_TYPE, TEXT)], text(&stats)))
}

fn text(stats: &Stats) -> String {
    let mut page = Page(String::new());
    for (name, help, value) in [
        (
            "clients",
            "Linked devices that are connected.",
            stats.clients as u64,
        ),
        (
            "pairing_clients",
            "Clients that show a QR code.",
            stats.pairing as u64,
        ),
        ("phones", "Phones on the network.", stats.phones.into()),
        ("companions", "Linked devices.", stats.companions.into()),
        (
            "queue_depth",
            "Stanzas that wait for a device.",
            stats.queued.into(),
        ),
        ("faults_in_force", "Faults in force.", stats.faults as u64),
    ] {
        page.family(name, "gauge", help);
        page.sample(name, &[], value);
    }
    let counts = &stats.counts;
    page.family("stanzas_total", "counter", "Stanzas from and to clients.");
    for (direction, tags) in [("in", &counts.stanzas.r#in), ("out", &counts.stanzas.out)] {
        for (tag, count) in tags {
            page.sample("stanzas_total", &[("direction", direction), ("tag", tag)], *count);
        }
    }
    for (name, help, value) in [
        ("messages_total", "Messages stored and relayed.", counts.messages),
        (
            "refusals_total",
            "Messages and questions refused.",
            counts.refusals,
        ),
    ] {
        page.family(name, "counter", help);
        page.sample(name, &[], value);
    }
    page.family("handshakes_total", "counter", "Handshakes that succeeded.");
    let Handshakes {
        xx, ik, fallbacks, ..
    } = counts.handshakes;
    for (pattern, count) in [("xx", xx), ("ik", ik), ("fallback", fallbacks)] {
        page.sample("handshakes_total", &[("pattern", pattern)], count);
    }
    page.family("connections_closed_total", "counter", "Connections that ended.");
    for (reason, count) in &counts.closed {
        page.sample("connections_closed_total", &[("reason", reason)], *count);
    }
    page.family("faults_struck_total", "counter", "How often faults struck.");
    for (fault, count) in &stats.struck {
        page.sample("faults_struck_total", &[("fault", fault)], *count);
    }
    page.0
}

/// The page as it grows. Labels are names of this crate's own and need no escapes.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP sandbox_{name} {help}"));
        self.line(format_args!("# TYPE sandbox_{name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{value}\""))
            .collect();
        if labels.is_empty() {
            self.line(format_args!("sandbox_{name} {value}"));
        } else {
            self.line(format_args!("sandbox_{name}{{{}}} {value}", labels.join(",")));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // A string takes whatever is written to it.
        let _ = writeln!(self.0, "{line}");
    }
}
