//! The list of an instance's deliveries, in the order of their first attempts. It is an index, and eventually consistent.

use std::fmt;
use std::str::FromStr;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use chrono::{DateTime, Utc};

use super::{Deliveries, readable};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::event::EventType;
use crate::ids::{DeliveryId, InstanceId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Item, Reader, s, seconds, text};
use crate::storage::keys;
use crate::storage::table::LIST_INDEX;

/// Deliveries of one read where not each of them is wanted.
const READ: usize = 100;

/// The most deliveries that are read for a page: some hundred read units at most.
const MOST: usize = 1_000;

/// A delivery's place in its instance's list. Places sort as their texts do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it was tried first, in whole milliseconds.
    pub at: DateTime<Utc>,
    /// Which one it is.
    pub id: DeliveryId,
}

impl Place {
    /// A delivery's place.
    pub fn of(delivery: &Delivery) -> Self {
        Self {
            at: delivery.created_at,
            id: delivery.id,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&keys::delivery_sort(self.at, self.id))
    }
}

/// A text that is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time and the id of a delivery")]
pub struct InvalidPlace;

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let (at, id) = text.split_once('#').ok_or(InvalidPlace)?;
        let at = DateTime::parse_from_rfc3339(at).map_err(|_| InvalidPlace)?;
        let id = id.parse().map_err(|_| InvalidPlace)?;
        Ok(Self { at: at.to_utc(), id })
    }
}

/// The times of first attempts, in whole milliseconds: from the first on, before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first that is in it.
    pub from: DateTime<Utc>,
    /// The first that is not.
    pub to: DateTime<Utc>,
}

/// Which deliveries are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Of events of this type.
    pub kind: Option<EventType>,
}

impl Filter {
    /// Whether a delivery is wanted.
    pub fn wants(&self, delivery: &Delivery) -> bool {
        self.state.is_none_or(|state| state == delivery.progress.state)
            && self.kind.is_none_or(|kind| kind.as_str() == delivery.kind)
    }

    fn is_everything(self) -> bool {
        self == Self::default()
    }
}

/// What a look through the list found.
#[derive(Debug)]
pub struct Looked {
    /// What was found, in the order that was asked for.
    pub deliveries: Vec<Delivery>,
    /// The place behind which to go on, where the look ended with too few found and more to come.
    pub stopped_at: Option<Place>,
}

impl Deliveries {
    /// Up to `limit` deliveries, the newest first, behind the place `before`; a thousand are looked at for them. One that
    /// cannot be read is left out. Half a read unit for each 4 KiB.
    pub async fn list(
        &self,
        instance: InstanceId,
        window: Window,
        filter: Filter,
        before: Option<Place>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Looked, StorageError> {
        self.look(instance, window, filter, (false, before), limit, now)
            .await
    }

    /// The same, the oldest first, behind the place `after`.
    pub async fn list_oldest_first(
        &self,
        instance: InstanceId,
        window: Window,
        filter: Filter,
        after: Option<Place>,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Looked, StorageError> {
        self.look(instance, window, filter, (true, after), limit, now)
            .await
    }

    async fn look(
        &self,
        instance: InstanceId,
        window: Window,
        filter: Filter,
        (is_forward, behind): (bool, Option<Place>),
        limit: usize,
        now: DateTime<Utc>,
    ) -> Result<Looked, StorageError> {
        let (mut low, mut high) = (keys::delivery_time(window.from), keys::delivery_time(window.to));
        if let Some(place) = behind {
            let place = place.to_string();
            if is_forward {
                low = low.max(place);
            } else {
                high = high.min(place);
            }
        }
        let mut looked = Looked {
            deliveries: Vec::new(),
            stopped_at: None,
        };
        if low > high {
            return Ok(looked);
        }
        let query = self
            .query(instance, &low, &high, filter, now)
            .scan_index_forward(is_forward);
        let (mut start, mut read) = (None, 0);
        loop {
            // One more, since the place itself is read again.
            let left = limit - looked.deliveries.len() + 1;
            let next = if filter.is_everything() {
                left
            } else {
                left.max(READ)
            };
            let page = query
                .clone()
                .set_exclusive_start_key(start)
                .limit(i32::try_from(next).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(classify)?;
            read += next;
            for delivery in readable(page.items.unwrap_or_default(), now)? {
                if behind == Some(Place::of(&delivery)) {
                    continue;
                }
                looked.deliveries.push(delivery);
                if looked.deliveries.len() == limit {
                    return Ok(looked);
                }
            }
            let Some(last) = page.last_evaluated_key else {
                return Ok(looked);
            };
            if read >= MOST {
                looked.stopped_at = Some(Reader::new("delivery", &last).parse("listSort")?);
                return Ok(looked);
            }
            start = Some(last);
        }
    }

    fn query(
        &self,
        instance: InstanceId,
        low: &str,
        high: &str,
        filter: Filter,
        now: DateTime<Utc>,
    ) -> QueryFluentBuilder {
        let mut values = Item::from([
            (":list".to_owned(), s(keys::delivery_list(instance))),
            (":low".to_owned(), s(low)),
            (":high".to_owned(), s(high)),
            (":now".to_owned(), seconds(now)),
        ]);
        let mut filters = vec!["#exp > :now"];
        let mut query = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .index_name(LIST_INDEX)
            .key_condition_expression("listKey = :list AND listSort BETWEEN :low AND :high")
            .expression_attribute_names("#exp", "exp");
        if let Some(state) = filter.state {
            filters.push("#state = :state");
            query = query.expression_attribute_names("#state", "state");
            values.insert(":state".to_owned(), text(state));
        }
        if let Some(kind) = filter.kind {
            filters.push("kind = :kind");
            values.insert(":kind".to_owned(), text(kind));
        }
        query
            .filter_expression(filters.join(" AND "))
            .set_expression_attribute_values(Some(values))
    }
}
