//! The audit log: put once, read in pages, gone after its term. Nothing here can change or
//! remove an entry.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::NaiveDate;

use super::error::{StorageError, classify};
use super::item::{Item, Reader, s, seconds, strings, text, time};
use super::keys;
use super::table::Table;
use crate::domain::audit::{Entry, Listed, TERM};
use crate::ids::{AuditId, SubscriptionId};

/// The audit log of the table.
#[derive(Debug, Clone)]
pub struct AuditLog {
    table: Table,
}

impl AuditLog {
    /// The audit log of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Appends an entry. Two write units, since it goes into the list over all subscriptions too.
    pub async fn append(&self, entry: &Entry) -> Result<(), StorageError> {
        let appended = self
            .table
            .put(entry_to_item(entry))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await
            .map_err(classify);
        match appended {
            // An id belongs to one entry. So the item is this very entry, and the answer to an earlier attempt was
            // lost.
            Ok(_) | Err(StorageError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Up to `limit` entries of one subscription and day (UTC), newest first, that are older than
    /// `before`.
    pub async fn list_day_of(
        &self,
        subscription: SubscriptionId,
        day: NaiveDate,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<Listed>, StorageError> {
        let condition = if before.is_some() {
            "pk = :pk AND sk < :before"
        } else {
            "pk = :pk"
        };
        let request = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression(condition)
            .expression_attribute_values(":pk", s(keys::audit_partition(Some(subscription), day)));
        let request = match before {
            Some(id) => request.expression_attribute_values(":before", text(id)),
            None => request,
        };
        let output = request
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(classify)?;
        output.items().iter().map(listed_from_item).collect()
    }

    /// The same over all subscriptions, with entries that belong to none. For administrators.
    pub async fn list_day(
        &self,
        day: NaiveDate,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Vec<Listed>, StorageError> {
        let before = before.map(|id| id.to_string());
        let items = self
            .table
            .list_page(&keys::list::audit(day), before, limit)
            .await?;
        items.iter().map(listed_from_item).collect()
    }
}

fn entry_to_item(entry: &Entry) -> Item {
    let mut item = keys::audit(entry.subscription, entry.id).attributes();
    let (day, id) = (entry.id.created_at().date_naive(), entry.id.to_string());
    let key = keys::list::key(&keys::list::audit(day), &id);
    item.insert("listKey".into(), s(key));
    item.insert("listSort".into(), s(id));
    item.insert("id".into(), text(entry.id));
    item.insert("at".into(), time(entry.at));
    item.insert("action".into(), text(entry.action));
    item.insert("outcome".into(), text(entry.outcome));
    item.insert("exp".into(), seconds(entry.at + TERM));
    item.insert("actor".into(), text(entry.actor));
    let mut put = |name: &str, value: Option<AttributeValue>| {
        if let Some(value) = value {
            item.insert(name.to_owned(), value);
        }
    };
    put("subscription", entry.subscription.map(text));
    put("target", entry.target.as_deref().map(s));
    put("source", entry.source.map(text));
    put("request", entry.request.as_deref().map(s));
    put(
        "details",
        (!entry.details.is_empty()).then(|| strings(&entry.details)),
    );
    item
}

/// An entry as a list shows it. No entry fails the list: a field that this version cannot read is shown as it is, or
/// left out.
fn listed_from_item(item: &Item) -> Result<Listed, StorageError> {
    let read = Reader::new("audit entry", item);
    let opt_str = |name| read.opt_str(name).ok().flatten().map(str::to_owned);
    let word = |name| opt_str(name).unwrap_or_default();
    let id: AuditId = read.parse("id")?;
    Ok(Listed {
        id,
        at: read.time("at").unwrap_or_else(|_| id.created_at()),
        subscription: read.opt_parse("subscription").ok().flatten(),
        actor: word("actor"),
        action: word("action"),
        target: opt_str("target"),
        outcome: word("outcome"),
        source: read.opt_parse("source").ok().flatten(),
        request: opt_str("request"),
        details: read.strings("details").unwrap_or_default(),
    })
}
