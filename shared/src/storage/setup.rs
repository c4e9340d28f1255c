//! The table's own configuration. A process whose configuration does not match it refuses to start, rather than look
//! for instances in the wrong shards.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::error::{StorageError, classify};
use super::item::{Reader, n};
use super::keys;
use super::outcome::condition_failed;
use super::table::Table;

/// The layout of items that this code reads and writes.
const LAYOUT: u32 = 1;

/// How a process's configuration does not match the table's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The table was set up for more shards, so instances of some would have no owner.
    #[error("the table has {table} shards, this configuration {configured}: shards can only grow")]
    FewerShards {
        /// The table's number.
        table: u32,
        /// The configuration's.
        configured: u32,
    },
    /// A newer version has written the table.
    #[error("the table is of layout {table}, this program of {LAYOUT}")]
    NewerLayout {
        /// The table's layout.
        table: u32,
    },
}

/// Compares the number of shards with the table's, and changes nothing: for processes that serve no shard. A higher
/// number agrees, since a daemon with it raises the table's. A table that no daemon has set up yet agrees too. Half a
/// read unit.
pub async fn check(table: &Table, shards: u32) -> Result<Result<(), Mismatch>, StorageError> {
    let Some(item) = table.get_recent(&keys::config()).await? else {
        return Ok(Ok(()));
    };
    let read = Reader::new("configuration", &item);
    Ok(compare(&read, shards)?.map_or(Ok(()), Err))
}

/// Compares the number of shards with the table's, and raises the table's where it grew.
pub async fn agree(table: &Table, shards: u32) -> Result<Result<(), Mismatch>, StorageError> {
    let sent = table
        .update(&keys::config())
        .update_expression("SET shards = :shards, layout = :layout")
        .condition_expression("attribute_not_exists(pk) OR (shards <= :shards AND layout <= :layout)")
        .expression_attribute_values(":shards", n(shards))
        .expression_attribute_values(":layout", n(LAYOUT))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await;
    let error = match sent {
        Ok(_) => return Ok(Ok(())),
        Err(error) if condition_failed(&error) => error,
        Err(error) => return Err(classify(error)),
    };
    let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
        return Err(classify(error));
    };
    let item = failed.item.clone().unwrap_or_default();
    match compare(&Reader::new("configuration", &item), shards)? {
        Some(mismatch) => Ok(Err(mismatch)),
        None => Err(StorageError::Conflict(
            "the table's configuration changed meanwhile".into(),
        )),
    }
}

/// How the table's configuration and this one differ, if they do.
fn compare(read: &Reader<'_>, shards: u32) -> Result<Option<Mismatch>, StorageError> {
    let (layout, table) = (read.number("layout")?, read.number("shards")?);
    Ok(if layout > LAYOUT {
        Some(Mismatch::NewerLayout { table: layout })
    } else if table > shards {
        Some(Mismatch::FewerShards {
            table,
            configured: shards,
        })
    } else {
        None
    })
}
