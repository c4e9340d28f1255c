//! Events that failed, in the bucket: sealed as they came, and sealed again as all that we put there.
//!
//! An event is kept from its first failure on, for as long as its delivery is known, or until it is delivered. So it can be
//! sent again by whoever asks for it, and the messages of the retry queue stay small.

use std::convert::Infallible;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{TryStreamExt as _, stream};
use shared::bucket::{Area, BucketError, Length, ObjectName, PutError};
use shared::domain::delivery;
use shared::domain::event::Event;
use shared::domain::payload;
use shared::ids::{DeliveryId, EventId, InstanceId};
use shared::telemetry::chain;
use tracing::warn;

use super::dispatch::{Handled, Stuck};
use super::state::WebhooksState;

/// What an instance's event is called in the bucket.
fn name(instance: InstanceId, event: EventId) -> ObjectName {
    ObjectName::new(Area::Event, instance, DeliveryId::of(event))
}

/// Of an event that is read: what is proven corrupt stays so.
fn of_kept(error: BucketError) -> Stuck {
    if error.nature().is_permanent() {
        Stuck::Never(format!("a kept event: {}", chain(&error)))
    } else {
        error.into()
    }
}

impl WebhooksState {
    /// Keeps an event. Answers until when.
    pub(super) async fn keep(&self, event: &Event) -> Handled<DateTime<Utc>> {
        let text = Bytes::from(payload::encode(event));
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let content = stream::iter([Ok::<_, Infallible>(text)]);
        let name = name(event.instance, event.id);
        let put = self.bucket.put(&name, content, Length::Exactly(length));
        match put.await {
            Ok(_) => Ok(self.clock.now() + delivery::TERM),
            Err(PutError::Bucket(error)) => Err(error.into()),
            Err(error) => Err(Stuck::Now(error.into())),
        }
    }

    /// An event that was kept; `None` where it is not there any more. What is proven corrupt is [`Stuck::Never`].
    pub(super) async fn kept(&self, instance: InstanceId, event: EventId) -> Handled<Option<Event>> {
        let got = self.bucket.get(&name(instance, event)).await;
        let Some(object) = got.map_err(of_kept)? else {
            return Ok(None);
        };
        let text: Vec<u8> = object
            .content
            .try_fold(Vec::new(), async |mut text, piece| {
                text.extend_from_slice(&piece);
                Ok(text)
            })
            .await
            .map_err(of_kept)?;
        let text = String::from_utf8(text).map_err(|_| Stuck::Never("a kept event is no text".to_owned()))?;
        payload::decode(&text).map(Some).map_err(Stuck::of_payload)
    }

    /// Lets go of an event that is not to be sent again. What cannot be deleted goes with its term.
    pub(super) async fn let_go(&self, instance: InstanceId, event: EventId) {
        let deleted: Result<(), BucketError> = self.bucket.delete(&name(instance, event)).await;
        if let Err(error) = deleted {
            warn!(instance.id = %instance, event.id = %event, error = %chain(&error), "a kept event stays until its term");
        }
    }
}
