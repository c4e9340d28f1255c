//! The page as it grows: families of numbers, each under one name.

use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};

use crate::meter::Times;

/// Families of numbers, in the order in which they were put there.
#[derive(Debug, Default)]
pub struct Page(Vec<MetricFamily>);

impl Page {
    /// A number that rises and falls.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.put(name, help, MetricType::GAUGE, vec![gauge(&[], value)]);
    }

    /// The same for each value of a label.
    pub fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        let values = values.into_iter();
        let gauges = values.map(|(text, value)| gauge(&[(label, text)], value));
        self.put(name, help, MetricType::GAUGE, gauges.collect());
    }

    /// A fact, which the labels tell: its number is 1.
    pub fn fact(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        self.put(name, help, MetricType::GAUGE, vec![gauge(labels, 1.0)]);
    }

    /// A number that rises from the process's beginning on.
    pub fn counter(&mut self, name: &str, help: &str, count: u64) {
        self.put(name, help, MetricType::COUNTER, vec![counter(&[], count)]);
    }

    /// The same for each value of a label.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        counts: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        let counts = counts.into_iter();
        let counters = counts.map(|(text, count)| counter(&[(label, text)], count));
        self.put(name, help, MetricType::COUNTER, counters.collect());
    }

    /// How long something takes.
    pub fn histogram(&mut self, name: &str, help: &str, times: &Times) {
        self.put(name, help, MetricType::HISTOGRAM, vec![times.metric()]);
    }

    /// All of it.
    pub fn into_families(self) -> Vec<MetricFamily> {
        self.0
    }

    fn put(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_gauge(gauge);
    metric
}

fn counter(labels: &[(&str, &str)], count: u64) -> Metric {
    let mut counter = proto::Counter::default();
    counter.set_value(number(count));
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_counter(counter);
    metric
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

/// A count as a number of the page.
#[expect(
    clippy::cast_precision_loss,
    reason = "all numbers of the format are of this kind, and exact up to 2^53"
)]
pub fn number(count: u64) -> f64 {
    count as f64
}
