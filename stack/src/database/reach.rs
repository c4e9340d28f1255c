//! How far a request reaches: which partitions of the table it looks at or changes.

use std::collections::HashMap;

use dynoxide::AttributeValue;
use dynoxide::actions::{
    batch_write_item::BatchWriteItemRequest, query::QueryRequest,
    transact_write_items::TransactWriteItemsRequest,
};

/// The attribute that names an item's partition.
const PARTITION: &str = "pk";

/// What a request looks at or changes.
#[derive(Debug)]
pub enum Reach {
    /// Items of these partitions.
    Partitions(Vec<String>),
    /// Any item.
    Everything,
}

/// The partitions of these items or keys.
pub fn partitions<'a>(items: impl IntoIterator<Item = &'a HashMap<String, AttributeValue>>) -> Reach {
    let names = items.into_iter().map(|item| match item.get(PARTITION) {
        Some(AttributeValue::S(name)) => Some(name.clone()),
        _ => None,
    });
    names
        .collect::<Option<_>>()
        .map_or(Reach::Everything, Reach::Partitions)
}

/// What a query looks at: one partition of the table, where it says so in our own words, or an index.
pub fn queried(query: &QueryRequest) -> Reach {
    let names_it = query
        .key_condition_expression
        .as_deref()
        .is_some_and(|condition| condition.starts_with("pk = :pk"));
    let values = query.expression_attribute_values.as_ref();
    match values.and_then(|values| values.get(":pk")) {
        Some(AttributeValue::S(name)) if names_it && query.index_name.is_none() => {
            Reach::Partitions(vec![name.clone()])
        }
        _ => Reach::Everything,
    }
}

/// What a batch of puts and deletions changes.
pub fn batch_written(batch: &BatchWriteItemRequest) -> Reach {
    let writes = batch.request_items.values().flatten();
    partitions(writes.filter_map(|write| {
        let put = write.put_request.as_ref().map(|put| &put.item);
        put.or_else(|| write.delete_request.as_ref().map(|delete| &delete.key))
    }))
}

/// What a transaction changes, or makes a condition of.
pub fn transacted(transaction: &TransactWriteItemsRequest) -> Reach {
    partitions(transaction.transact_items.iter().filter_map(|item| {
        let put = item.put.as_ref().map(|put| &put.item);
        put.or_else(|| item.update.as_ref().map(|update| &update.key))
            .or_else(|| item.delete.as_ref().map(|delete| &delete.key))
            .or_else(|| item.condition_check.as_ref().map(|check| &check.key))
    }))
}
