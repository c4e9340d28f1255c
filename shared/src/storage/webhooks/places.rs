//! The places of a slow endpoint: how many attempts to it are under way at once, in all processes together.
//!
//! They are one small item beside the webhook, with the time until which each place is taken. Endpoints that are not slow
//! have none: their attempts cost nothing here.

use chrono::{DateTime, TimeDelta, Utc};

use super::Webhooks;
use crate::ids::InstanceId;
use crate::storage::error::StorageError;
use crate::storage::item::{Reader, seconds, time};
use crate::storage::keys;
use crate::storage::outcome::held;

/// How long the item outlives its last place.
const KEPT: TimeDelta = TimeDelta::days(1);

/// The attributes that the places are.
const NAMES: [&str; Webhooks::MOST_PLACES] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"];

/// A place that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    instance: InstanceId,
    name: &'static str,
    until: DateTime<Utc>,
}

impl Webhooks {
    /// The most places that an endpoint can have.
    pub const MOST_PLACES: usize = 8;

    /// Takes one of so many places until a time; `None` where all are taken, or others take them at this moment. Half a read
    /// unit, and a write unit or two. Where the answer is lost a place may be taken for nobody, until that time.
    pub async fn take_place(
        &self,
        instance: InstanceId,
        of: usize,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<Place>, StorageError> {
        let found = self.table.get_recent(&keys::webhook_places(instance)).await?;
        let mut free = Vec::new();
        for name in NAMES.into_iter().take(of) {
            let taken = match &found {
                Some(item) => Reader::new("places", item).opt_time(name)?,
                None => None,
            };
            if taken.is_none_or(|taken| taken <= now) {
                free.push(name);
            }
        }
        // Whoever looks at the same time begins elsewhere.
        let begin = rand::random_range(0..free.len().max(1));
        free.rotate_left(begin);
        for name in free.into_iter().take(2) {
            let place = Place {
                instance,
                name,
                until,
            };
            if self.take(place, now).await? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    async fn take(&self, place: Place, now: DateTime<Utc>) -> Result<bool, StorageError> {
        let sent = self
            .table
            .update(&keys::webhook_places(place.instance))
            .update_expression("SET #place = :until, #exp = :exp")
            .condition_expression("attribute_not_exists(#place) OR #place <= :now")
            .expression_attribute_names("#place", place.name)
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":until", time(place.until))
            .expression_attribute_values(":now", time(now))
            .expression_attribute_values(":exp", seconds(place.until + KEPT))
            .send()
            .await;
        held(sent)
    }

    /// Leaves a place. Where that fails it is free again when its time is over. One write unit.
    pub async fn leave_place(&self, place: Place) -> Result<(), StorageError> {
        let sent = self
            .table
            .update(&keys::webhook_places(place.instance))
            .update_expression("REMOVE #place")
            .condition_expression("#place = :until")
            .expression_attribute_names("#place", place.name)
            .expression_attribute_values(":until", time(place.until))
            .send()
            .await;
        held(sent).map(drop)
    }
}
