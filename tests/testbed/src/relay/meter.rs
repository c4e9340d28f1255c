//! Adds up the capacity that calls to a table consume, by what they are about.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::call::Call;

/// Consumed capacity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units {
    /// Write units.
    pub writes: u64,
    /// Read units, doubled: an eventually consistent read takes half a unit.
    pub half_reads: u64,
}

impl AddAssign for Units {
    fn add_assign(&mut self, other: Self) {
        self.writes += other.writes;
        self.half_reads += other.half_reads;
    }
}

/// Some requests and what they consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Charge {
    /// The requests.
    pub calls: u64,
    /// What they consumed.
    pub units: Units,
}

impl AddAssign for Charge {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.units += other.units;
    }
}

/// Charges by the part of the partition key before its first `#`, or by the operation where a request has no single
/// key.
pub type Bill = BTreeMap<String, Charge>;

/// The sum of the charges whose prefix counts.
pub fn sum(bill: &Bill, counts: impl Fn(&str) -> bool) -> Charge {
    let mut sum = Charge::default();
    for (_, charge) in bill.iter().filter(|(prefix, _)| counts(prefix)) {
        sum += *charge;
    }
    sum
}

const WRITES: [&str; 5] = [
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "TransactWriteItems",
    "BatchWriteItem",
];

/// Whether a call consumes capacity.
pub(crate) fn is_metered(call: &Call) -> bool {
    call.is_read() || WRITES.contains(&call.operation.as_str())
}

/// The request's body, which now also asks what the call consumes.
pub(crate) fn asking(call: &Call) -> String {
    let mut asked = json_of(call);
    asked["ReturnConsumedCapacity"] = json!("TOTAL");
    asked.to_string()
}

/// What a call consumed, by its answer.
pub(crate) fn charge(call: &Call, status: StatusCode, answer: &[u8]) -> Charge {
    let told: Value = serde_json::from_slice(answer).unwrap_or_default();
    Charge {
        calls: 1,
        units: consumed(call, status, &told),
    }
}

fn consumed(call: &Call, status: StatusCode, told: &Value) -> Units {
    if !status.is_success() {
        // A write whose condition does not hold is charged all the same.
        return Units {
            writes: u64::from(!call.is_read()),
            half_reads: 0,
        };
    }
    let capacity = &told["ConsumedCapacity"];
    let parts = capacity.as_array().cloned().unwrap_or(vec![capacity.clone()]);
    let half_units = parts.iter().map(|part| {
        let units = part["CapacityUnits"].as_f64().expect("the table tells it");
        format!("{:.0}", units * 2.0).parse::<u64>().expect("a number")
    });
    let half_units: u64 = half_units.sum();
    if call.is_read() {
        Units {
            writes: 0,
            half_reads: half_units,
        }
    } else {
        Units {
            writes: half_units / 2,
            half_reads: 0,
        }
    }
}

/// What a call is about.
pub(crate) fn subject(call: &Call) -> String {
    let asked = json_of(call);
    let key = [
        &asked["Key"]["pk"]["S"],
        &asked["Item"]["pk"]["S"],
        &asked["ExpressionAttributeValues"][":pk"]["S"],
    ];
    let key = key.iter().find_map(|key| key.as_str());
    key.map_or_else(
        || call.operation.clone(),
        |key| key.split('#').next().unwrap_or_default().to_owned(),
    )
}

fn json_of(call: &Call) -> Value {
    serde_json::from_str(&call.body).expect("clients of a table speak JSON")
}
