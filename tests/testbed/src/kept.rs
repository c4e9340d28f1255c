//! What a daemon keeps of messages: their contents, and what it takes to fetch their files.

use chrono::{DateTime, Utc};
use shared::domain::content::{Bytes, Came, Kind, Remote, Said, Whence};
use shared::ids::{InstanceId, MediaId, MessageId};
use shared::seal::{Purpose, Sealer};
use shared::storage::contents::{self, Contents, Kept};
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
