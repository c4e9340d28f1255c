//! The files that an instance announces in a day (UTC): how many, and their bytes together. Whoever announces and never
//! sends fills the bucket, and this bounds it.

use chrono::{DateTime, TimeDelta, Utc};

use super::Counters;
use crate::domain::upload::{MAX_UPLOADED_A_DAY, MAX_UPLOADS_A_DAY};
use crate::ids::InstanceId;
use crate::storage::error::StorageError;
use crate::storage::item::{n, seconds};
use crate::storage::keys;
use crate::storage::once::update_once;
use crate::storage::outcome::held;

/// How long after its day a day's number is kept.
const KEPT: TimeDelta = TimeDelta::days(2);

impl Counters {
    /// Counts one more file of `size` bytes of the instance on the day of `now`, where that is within
    /// [`MAX_UPLOADS_A_DAY`] and [`MAX_UPLOADED_A_DAY`]. `false` where it is not. It is called before the file is announced: what
    /// a crash counts too much is gone with its day. One write unit.
    pub async fn count_upload(
        &self,
        instance: InstanceId,
        size: u64,
        now: DateTime<Utc>,
    ) -> Result<bool, StorageError> {
        let Some(room) = MAX_UPLOADED_A_DAY.checked_sub(size) else {
            return Ok(false);
        };
        let request = self
            .table
            .update(&keys::uploads_of(instance, now))
            .update_expression("ADD uploads :one, uploaded :size SET #exp = :exp")
            .condition_expression("attribute_not_exists(uploads) OR (uploads < :most AND uploaded <= :room)")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":size", n(size))
            .expression_attribute_values(":most", n(MAX_UPLOADS_A_DAY))
            .expression_attribute_values(":room", n(room))
            .expression_attribute_values(":exp", seconds(now + KEPT));
        held(update_once(request).await)
    }
}
