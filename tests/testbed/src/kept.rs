//! What is kept without a function's doing: the contents of messages, what it takes to fetch their files, and what became of
//! events on their way to a webhook.

use chrono::{DateTime, Utc};
use shared::domain::content::{Bytes, Came, Kind, Remote, Said, Whence};
use shared::domain::delivery::{Attempt, AttemptFault, Delivery, DeliveryState, Progress, Row, TERM};
use shared::domain::event::EventType;
use shared::ids::{DeliveryId, EventId, InstanceId, MediaId, MessageId};
use shared::seal::{Purpose, Sealer};
use shared::storage::contents::{self, Contents, Kept};
use shared::storage::deliveries::{Deliveries, whole_milliseconds};
use shared::storage::media::{INCOMING_TERM, MediaTable};
use shared::storage::{Table, keys};

/// A file that came with a message: a page of five bytes.
pub async fn file(table: &Table, sealer: &Sealer, instance: InstanceId, now: DateTime<Utc>) -> MediaId {
    let id = MediaId::new(now);
    let came = Came {
        kind: Kind::Document,
        mime_type: Some("text/html".to_owned()),
        file_name: Some("page.html".to_owned()),
        remote: Remote {
            direct_path: "/v/t62".to_owned(),
            url: None,
            key: Bytes(vec![1; 32]),
            key_at: None,
            encrypted_sha256: Bytes(vec![2; 32]),
            sha256: Bytes(vec![3; 32]),
            size: 5,
            sidecar: None,
            thumbnail: None,
            waveform: None,
            whence: None,
        },
        whence: Whence {
            whatsapp_id: "3AFF01".to_owned(),
            chat: "15550100002@s.whatsapp.net".to_owned(),
            from_me: false,
            participant: None,
        },
    };
    let plain = serde_json::to_vec(&came).expect("plain data");
    let of = keys::media(instance, id).path();
    let rests = sealer
        .seal(instance, Purpose::Content, of.as_bytes(), &plain)
        .await;
    let files = MediaTable::new(table.clone());
    let stored = files.came(instance, id, rests.expect("sealed"), now + INCOMING_TERM);
    stored.await.expect("stored");
    id
}

/// What a message said that was sent or came at `at`, for so many days.
pub async fn content(
    (table, sealer): (&Table, &Sealer),
    (instance, id): (InstanceId, MessageId),
    said: &Said,
    at: DateTime<Utc>,
    days: u8,
) {
    let rests = contents::seal(sealer, instance, id, said).await;
    let kept = Kept {
        at,
        sealed: rests.expect("sealed"),
    };
    let stored = Contents::new(table.clone());
    stored.keep(instance, id, &kept, days).await.expect("kept");
}

/// An event about no message that was sent at `now`, in vain and for good. Its body is kept.
pub async fn delivery(table: &Table, instance: InstanceId, now: DateTime<Utc>) -> Delivery {
    let failed = failed(instance, EventId::new(now), now);
    record(table, &failed).await;
    failed
}

/// A delivery as [`delivery`] stores it.
pub fn failed(instance: InstanceId, event: EventId, now: DateTime<Utc>) -> Delivery {
    let at = whole_milliseconds(now);
    Delivery {
        id: DeliveryId::of(event),
        instance,
        kind: EventType::SessionConnected.to_string(),
        message: None,
        created_at: at,
        progress: Progress {
            state: DeliveryState::Failed,
            next_attempt_at: None,
            body_until: Some(at + TERM),
            row: Row::default(),
        },
        attempts: vec![Attempt {
            at,
            status: Some(503),
            took_ms: 132,
            fault: Some(AttemptFault::Status),
        }],
    }
}

/// Stores a delivery as its first attempt does.
pub async fn record(table: &Table, delivery: &Delivery) {
    let deliveries = Deliveries::new(table.clone());
    assert!(deliveries.record(delivery).await.expect("stored"), "it is new");
}
