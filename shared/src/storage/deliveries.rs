//! The deliveries of instances' events to their webhooks: what was tried, and what came of it.
//!
//! A delivery's id is its event's in another spelling, so one event has one delivery however often it comes. The time in
//! the id of an event about a message is that of the message's own id: so all deliveries about a message lie side by side,
//! and are found without an index. The list in the order of first attempts is an index: see
//! [`keys::delivery_list`]. A delivery costs one write unit in the table and one in the index, as long as it is small.

mod change;
mod list;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, n, s, seconds, text, time};
use super::keys;
use super::outcome::held;
use super::table::Table;
use crate::domain::delivery::{Attempt, AttemptFault, Delivery, DeliveryState, Progress, Row, TERM};
use crate::ids::{DeliveryId, InstanceId, MessageId};

use self::change::Change;
pub use self::list::{Filter, Looked, Place, Window};

/// The most deliveries of one message that are read.
const MOST_OF_MESSAGE: usize = 1_000;

/// How many deliveries of a deleted webhook are looked at together.
const LEFT_AT_ONCE: usize = 100;

/// What a deleted webhook has left in the log.
#[derive(Debug)]
pub struct Left {
    /// Its deliveries, the oldest first.
    pub deliveries: Vec<Delivery>,
    /// The place behind which to go on; `None` where there are no more.
    pub next: Option<Place>,
}

/// The table's deliveries.
#[derive(Debug, Clone)]
pub struct Deliveries {
    table: Table,
}

impl Deliveries {
    /// The deliveries of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Stores a delivery after its first attempt. `false` where there is one already, since the event has come again: then
    /// this was another attempt ([`Self::add_attempt`]). Two write units.
    pub async fn record(&self, delivery: &Delivery) -> Result<bool, StorageError> {
        let put = self.table.put(to_item(delivery));
        let sent = put.condition_expression("attribute_not_exists(pk)").send().await;
        held(sent)
    }

    /// Claims the next attempt of a delivery as it was read, for this row: until that time it is the caller's. `false` where the
    /// delivery is not as it was read, since somebody else has claimed it, or is over. Where the answer was lost, it is `false`
    /// as well, and nobody's until then. Two write units for each KiB of the delivery.
    pub async fn claim(&self, read: &Delivery, row: Row, until: DateTime<Utc>) -> Result<bool, StorageError> {
        let mut change = Change::of(self.table.update(&keys::delivery(read.instance, read.id)));
        change.is_as_read("nextAt", read.progress.next_attempt_at);
        change.is_as_read("askedAt", asked_at(read.progress.row));
        change.is_not_over();
        change.progress(&Progress {
            state: DeliveryState::Pending,
            next_attempt_at: Some(until),
            row,
            ..read.progress
        });
        if let Some(at) = asked_at(row) {
            change.set("askedAt", time(at));
        }
        change.send().await
    }

    /// Adds an attempt, and stores what follows from it. The same attempt may be added again. A delivery that has
    /// succeeded, or of which another row of attempts has begun, stays as it is, with the attempt in its list; but a success
    /// holds for whichever row. `false` where there is no such delivery any more. Two write units for each KiB of the delivery.
    pub async fn add_attempt(
        &self,
        instance: InstanceId,
        id: DeliveryId,
        attempt: &Attempt,
        progress: &Progress,
    ) -> Result<bool, StorageError> {
        if self.add(instance, id, Some(attempt), Some(progress)).await? {
            return Ok(true);
        }
        // It has as many attempts as it tells of, or is further than this, or is gone.
        if self.add(instance, id, None, Some(progress)).await? {
            return Ok(true);
        }
        if self.add(instance, id, Some(attempt), None).await? {
            return Ok(true);
        }
        Ok(self
            .table
            .get_recent(&keys::delivery(instance, id))
            .await?
            .is_some())
    }

    /// Stores how far a delivery is, without an attempt. One that has succeeded, or of which another row of attempts has begun,
    /// stays as it is: `false`, as where it is gone. Two write units for each KiB of the delivery.
    pub async fn set_progress(
        &self,
        instance: InstanceId,
        id: DeliveryId,
        progress: &Progress,
    ) -> Result<bool, StorageError> {
        self.add(instance, id, None, Some(progress)).await
    }

    /// Stores an attempt, what follows, or both. `false` where it has no room for more attempts, where it is further than
    /// this, or where it is gone.
    async fn add(
        &self,
        instance: InstanceId,
        id: DeliveryId,
        attempt: Option<&Attempt>,
        progress: Option<&Progress>,
    ) -> Result<bool, StorageError> {
        let mut change = Change::of(self.table.update(&keys::delivery(instance, id)));
        if let Some(attempt) = attempt {
            change.attempt(attempt);
        }
        if let Some(progress) = progress {
            if progress.state != DeliveryState::Succeeded {
                change.is_not_over();
                change.is_as_read("askedAt", asked_at(progress.row));
            }
            change.progress(progress);
        }
        change.send().await
    }

    /// A delivery as it is now; `None` where there is none, or its time is over. One read unit.
    pub async fn find(
        &self,
        instance: InstanceId,
        id: DeliveryId,
        now: DateTime<Utc>,
    ) -> Result<Option<Delivery>, StorageError> {
        match self.table.get(&keys::delivery(instance, id)).await? {
            Some(item) => from_item(&item, now),
            None => Ok(None),
        }
    }

    /// The deliveries of events about a message, in the order of their first attempts: the first thousand of them. One that
    /// cannot be read is left out. Half a read unit for each 4 KiB.
    pub async fn of_message(
        &self,
        instance: InstanceId,
        message: MessageId,
        now: DateTime<Utc>,
    ) -> Result<Vec<Delivery>, StorageError> {
        let at = message.created_at();
        let (first, last) = (DeliveryId::first_of(at), DeliveryId::last_of(at));
        let mut start = None;
        let mut deliveries = Vec::new();
        loop {
            let page = self
                .table
                .client()
                .query()
                .table_name(self.table.name())
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                .filter_expression("message = :message")
                .expression_attribute_values(":pk", s(keys::delivery_partition(instance)))
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last))
                .expression_attribute_values(":message", text(message))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(classify)?;
            deliveries.extend(readable(page.items.unwrap_or_default(), now)?);
            start = page.last_evaluated_key;
            if start.is_none() || deliveries.len() >= MOST_OF_MESSAGE {
                break;
            }
        }
        deliveries.sort_by_key(|delivery| (delivery.created_at, delivery.id));
        deliveries.truncate(MOST_OF_MESSAGE);
        Ok(deliveries)
    }

    /// The oldest deliveries that were tried first before `before`, up to a hundred of them, behind the place `after`: those of
    /// a webhook that was deleted then. Those whose time is over are among them. Half a read unit for each 4 KiB.
    pub async fn left_before(
        &self,
        instance: InstanceId,
        before: DateTime<Utc>,
        after: Option<Place>,
    ) -> Result<Left, StorageError> {
        let window = Window {
            from: DateTime::UNIX_EPOCH,
            to: before,
        };
        // What time has taken away is in the way of nobody.
        let now = DateTime::UNIX_EPOCH;
        let filter = Filter::default();
        let looked = self.list_oldest_first(instance, window, filter, after, LEFT_AT_ONCE, now);
        let Looked {
            deliveries,
            stopped_at,
        } = looked.await?;
        let last = deliveries.last().map(Place::of);
        let is_full = deliveries.len() == LEFT_AT_ONCE;
        Ok(Left {
            deliveries,
            next: stopped_at.or(last.filter(|_| is_full)),
        })
    }

    /// Removes deliveries. Two write units for each KiB of them.
    pub async fn remove(&self, instance: InstanceId, deliveries: &[Delivery]) -> Result<(), StorageError> {
        let keys = deliveries
            .iter()
            .map(|delivery| keys::delivery(instance, delivery.id).attributes());
        self.table.remove_all(&keys.collect::<Vec<_>>()).await
    }
}

/// The deliveries of these items. One that cannot be read is left out, and so is one whose time is over.
fn readable(items: Vec<Item>, now: DateTime<Utc>) -> Result<Vec<Delivery>, StorageError> {
    let mut deliveries = Vec::with_capacity(items.len());
    for item in items {
        match from_item(&item, now) {
            Ok(found) => deliveries.extend(found),
            Err(error @ StorageError::Corrupt { .. }) => {
                tracing::error!(%error, "left out of a list");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(deliveries)
}

fn to_item(delivery: &Delivery) -> Item {
    let Delivery {
        id,
        instance,
        kind,
        message,
        created_at,
        progress,
        attempts,
    } = delivery;
    let mut item = keys::delivery(*instance, *id).attributes();
    let mut set = |name: &str, value| {
        item.insert(name.to_owned(), value);
    };
    set("listKey", s(keys::delivery_list(*instance)));
    set("listSort", s(keys::delivery_sort(*created_at, *id)));
    set("kind", s(kind));
    if let Some(message) = message {
        set("message", text(message));
    }
    set("state", text(progress.state));
    for (name, at) in [
        ("nextAt", progress.next_attempt_at),
        ("bodyUntil", progress.body_until),
    ] {
        if let Some(at) = at {
            set(name, time(at));
        }
    }
    let attempts: HashMap<_, _> = attempts
        .iter()
        .map(|attempt| (keys::delivery_time(attempt.at), s(written(attempt))))
        .collect();
    set("attempts", AttributeValue::M(attempts));
    if let Some(at) = asked_at(progress.row) {
        set("askedAt", time(at));
    }
    if let Some(made) = progress.row.made {
        set("made", n(made));
    }
    set("exp", seconds(*created_at + TERM));
    item
}

/// The attribute that tells rows of attempts from each other; the first one has none.
fn asked_at(row: Row) -> Option<DateTime<Utc>> {
    Some(row.asked_at).filter(|at| *at > DateTime::UNIX_EPOCH)
}

/// `None` of one whose time is over and that is not removed yet.
fn from_item(item: &Item, now: DateTime<Utc>) -> Result<Option<Delivery>, StorageError> {
    let read = Reader::new("delivery", item);
    if read.number::<i64>("exp")? <= now.timestamp() {
        return Ok(None);
    }
    let place: Place = read.parse("listSort")?;
    let instance = read
        .str("pk")?
        .strip_prefix(keys::DELIVERY_PARTITION)
        .and_then(|instance| instance.parse::<InstanceId>().ok())
        .ok_or_else(|| read.corrupt("pk"))?;
    let mut attempts = Vec::new();
    for (at, attempt) in read.strings("attempts")? {
        let attempt = read_attempt(&at, &attempt);
        attempts.push(attempt.ok_or_else(|| read.corrupt("attempts"))?);
    }
    Ok(Some(Delivery {
        id: place.id,
        instance,
        kind: read.str("kind")?.to_owned(),
        message: read.opt_parse("message")?,
        created_at: place.at,
        progress: Progress {
            state: read.known("state")?,
            next_attempt_at: read.opt_time("nextAt")?,
            body_until: read.opt_time("bodyUntil")?,
            row: Row {
                asked_at: read.opt_time("askedAt")?.unwrap_or_default(),
                made: read.opt_number("made")?,
            },
        },
        attempts,
    }))
}

/// What stands where an attempt had no answer, or no fault.
const NONE: &str = "-";

/// An attempt as it is stored under its time: status, milliseconds and fault.
fn written(attempt: &Attempt) -> String {
    let status = attempt
        .status
        .map_or_else(|| NONE.to_owned(), |status| status.to_string());
    let fault = attempt.fault.map_or(NONE, AttemptFault::as_str);
    format!("{status} {} {fault}", attempt.took_ms)
}

fn read_attempt(at: &str, text: &str) -> Option<Attempt> {
    let at = DateTime::parse_from_rfc3339(at).ok()?.to_utc();
    let mut parts = text.split(' ');
    let status = match parts.next()? {
        NONE => None,
        status => Some(status.parse().ok()?),
    };
    let took_ms = parts.next()?.parse().ok()?;
    let fault = match parts.next()? {
        NONE => None,
        fault => Some(fault.parse().unwrap_or(AttemptFault::Unknown)),
    };
    Some(Attempt {
        at,
        status,
        took_ms,
        fault,
    })
}

/// The time as deliveries know it: whole milliseconds.
pub fn whole_milliseconds(at: DateTime<Utc>) -> DateTime<Utc> {
    at - TimeDelta::nanoseconds(i64::from(at.timestamp_subsec_nanos() % 1_000_000))
}
