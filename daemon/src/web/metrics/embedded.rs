//! The same numbers in CloudWatch's embedded metric format: lines of JSON in the log, of which CloudWatch makes metrics.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! CloudWatch adds up what comes. So of a counter a line tells by how much it has risen since the line before, and of a gauge the value. A
//! histogram is told as two counters, `_sum` and `_count`: the format has no buckets. Dimensions name the deployment, so that several in
//! one region do not mix. They do not name the daemon: each tells one value a minute, and CloudWatch gives their sum, mean, minimum and
//! maximum.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use prometheus::proto::{Metric, MetricFamily, MetricType};
use serde_json::{Map, Value, json};
use shared::domain::network::Network;

use super::page::number;

/// Where CloudWatch has the metrics.
pub const NAMESPACE: &str = "Waxwing";

/// How many metrics a line may tell (the format's own limit).
const MOST: usize = 100;

/// The dimensions that every number has, which name a [`Deployment`].
const DEPLOYMENT: [&str; 2] = ["prefix", "network"];

/// Whose numbers they are. No two deployments of a region have the same two, since their queues are named by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment<'a> {
    /// What the names of its queues begin with.
    pub prefix: &'a str,
    /// Its network.
    pub network: Network,
}

/// Labels besides those of [`DEPLOYMENT`], with their values.
type Labels = Vec<(String, String)>;

/// What was told so far.
#[derive(Debug, Default)]
pub struct Told(HashMap<(String, Labels), f64>);

/// A number of the page.
#[derive(Debug)]
struct Reading {
    name: String,
    labels: Labels,
    value: f64,
    /// Whether it only rises.
    rises: bool,
}

impl Told {
    /// The lines that tell these families of a daemon of this deployment now, each with its end. A number that has labels is left
    /// out while it is 0, since CloudWatch charges for each that is told: a gauge is told once more when it has fallen to 0.
    pub fn lines(&mut self, families: &[MetricFamily], of: Deployment<'_>, at: DateTime<Utc>) -> String {
        let mut documents: BTreeMap<Labels, Vec<(String, f64)>> = BTreeMap::new();
        for reading in families.iter().flat_map(readings) {
            if let Some(value) = self.tell(&reading) {
                let (name, labels) = (reading.name, reading.labels);
                documents.entry(labels).or_default().push((name, value));
            }
        }
        let mut lines = String::new();
        for (labels, numbers) in &documents {
            for numbers in numbers.chunks(MOST) {
                lines.push_str(&document(labels, numbers, of, at).to_string());
                lines.push('\n');
            }
        }
        lines
    }

    /// What is to be told of a number. It counts as told from here on.
    fn tell(&mut self, reading: &Reading) -> Option<f64> {
        let key = (reading.name.clone(), reading.labels.clone());
        let before = self.0.insert(key, reading.value).unwrap_or_default();
        let value = if reading.rises {
            reading.value - before
        } else {
            reading.value
        };
        let is_idle = value == 0.0 && (reading.rises || before == 0.0);
        (reading.labels.is_empty() || !is_idle).then_some(value)
    }
}

/// The numbers of a family, in the form that CloudWatch takes.
fn readings(family: &MetricFamily) -> impl Iterator<Item = Reading> {
    let (name, kind) = (family.name(), family.get_field_type());
    family.get_metric().iter().flat_map(move |metric| match kind {
        MetricType::COUNTER => vec![reading(name, metric, metric.get_counter().get_value(), true)],
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            vec![
                reading(&format!("{name}_sum"), metric, histogram.get_sample_sum(), true),
                reading(
                    &format!("{name}_count"),
                    metric,
                    number(histogram.get_sample_count()),
                    true,
                ),
            ]
        }
        _ => vec![reading(name, metric, metric.get_gauge().get_value(), false)],
    })
}

fn reading(name: &str, metric: &Metric, value: f64, rises: bool) -> Reading {
    let labels = metric.get_label().iter();
    Reading {
        name: name.to_owned(),
        labels: labels
            .filter(|label| !DEPLOYMENT.contains(&label.name()))
            .map(|label| (label.name().to_owned(), label.value().to_owned()))
            .collect(),
        value,
        rises,
    }
}

fn document(labels: &Labels, numbers: &[(String, f64)], of: Deployment<'_>, at: DateTime<Utc>) -> Value {
    let mut dimensions = DEPLOYMENT.to_vec();
    dimensions.extend(labels.iter().map(|(name, _)| name.as_str()));
    let metrics: Vec<_> = numbers
        .iter()
        .map(|(name, _)| json!({"Name": name, "Unit": unit(name)}))
        .collect();
    let mut document = Map::new();
    document.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": at.timestamp_millis(),
            "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics},
            ],
        }),
    );
    for (name, value) in DEPLOYMENT.into_iter().zip([of.prefix, of.network.as_str()]) {
        document.insert(name.to_owned(), json!(value));
    }
    document.extend(labels.iter().map(|(name, value)| (name.clone(), json!(value))));
    document.extend(numbers.iter().map(|(name, value)| (name.clone(), json!(value))));
    Value::Object(document)
}

/// CloudWatch's word for what a number counts. Names end with their unit.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_sum").unwrap_or(name);
    if name.ends_with("_seconds") {
        "Seconds"
    } else if name.ends_with("_bytes") {
        "Bytes"
    } else {
        "Count"
    }
}
