//! The updates of instances' counters of a day. Counts of one day that come while an update of it is under way share the
//! next one (see `gather.rs`).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{DAY_TERM, kind_attribute};
use crate::domain::counting::Counter;
use crate::storage::error::{StorageError, classify};
use crate::storage::gather::{Write, all_failed};
use crate::storage::item::{n, seconds};
use crate::storage::keys::Key;
use crate::storage::once::update_once;
use crate::storage::table::Table;

/// Counts in this table.
#[derive(Debug)]
pub(super) struct Days(pub(super) Table);

/// One count.
#[derive(Debug)]
pub(super) struct Count {
    /// One more of each of these.
    pub(super) counters: Vec<Counter>,
    /// When that happened.
    pub(super) at: DateTime<Utc>,
}

impl Write for Days {
    type Item = Key;
    type Request = Count;
    type Answer = ();

    /// Adds the sums of these counts. One request, and one write unit.
    async fn write(&self, day: &Key, counts: Vec<Count>) -> Vec<Result<(), StorageError>> {
        let Some(last) = counts.iter().map(|count| count.at).max() else {
            return Vec::new();
        };
        let mut sums = BTreeMap::<String, u64>::new();
        for counter in counts.iter().flat_map(|count| &count.counters) {
            *sums.entry(counter.attribute().to_owned()).or_default() += 1;
            if let Counter::Sent(kind) = counter {
                *sums.entry(kind_attribute(*kind)).or_default() += 1;
            }
        }
        let mut request = self
            .0
            .update(day)
            .expression_attribute_values(":exp", seconds(last + DAY_TERM));
        let mut additions = Vec::new();
        for (index, (name, sum)) in sums.into_iter().enumerate() {
            additions.push(format!("#n{index} :n{index}"));
            request = request
                .expression_attribute_names(format!("#n{index}"), name)
                .expression_attribute_values(format!(":n{index}"), n(sum));
        }
        let expression = format!("ADD {} SET exp = :exp", additions.join(", "));
        match update_once(request.update_expression(expression)).await {
            Ok(_) => counts.iter().map(|_| Ok(())).collect(),
            Err(error) => all_failed(classify(error), counts.len()),
        }
    }
}
