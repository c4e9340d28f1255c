//! The requests of each sort of message, with whatever files they need.

use std::convert::Infallible;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream;
use reqwest::Method;
use serde_json::{Value, json};
use shared::bucket::{Area, Bucket, Length, ObjectName};
use shared::ids::{InstanceId, MediaId};
use testbed::caller::Caller;
use tests::host::{Host, ok, picture, status};
use tests::patient::{PAUSE, Wish};
use tokio::time::Instant;

use crate::plan::{Source, What};

/// Makes requests.
pub struct Bodies {
    host: Host,
    bucket: Bucket,
    patience: Duration,
}

/// A file to send.
#[derive(Clone, Copy)]
struct File {
    bytes: fn() -> Vec<u8>,
    name: &'static str,
    mime_type: &'static str,
}

const PICTURE: File = File {
    bytes: picture,
    name: "picture.png",
    mime_type: "image/png",
};

const DOCUMENT: File = File {
    bytes: document,
    name: "document.bin",
    mime_type: "application/octet-stream",
};

/// What the host of files answers.
fn answer(path: &str, _: usize) -> Vec<u8> {
    match path {
        "/picture.png" => ok(&picture()),
        "/document.bin" => ok(&document()),
        _ => status("404 Not Found"),
    }
}

impl Bodies {
    /// With a host of files of their own, and this bucket for uploads, which may take so long.
    pub async fn start(bucket: Bucket, patience: Duration) -> Self {
        Self {
            host: Host::new(answer).await,
            bucket,
            patience,
        }
    }

    /// The last part of the path of a request, and its body, but for whom it goes to. What has a text says `name`.
    pub async fn of(
        &self,
        what: What,
        name: &str,
        key: &Caller,
        instance: InstanceId,
    ) -> (&'static str, Value) {
        match what {
            What::Image(source) => (
                "image",
                Box::pin(self.with_file(source, PICTURE, name, key, instance)).await,
            ),
            What::Document(source) => (
                "document",
                Box::pin(self.with_file(source, DOCUMENT, name, key, instance)).await,
            ),
            What::Video => (
                "video",
                json!({"base64": STANDARD.encode(video()), "caption": name}),
            ),
            What::Audio => ("audio", json!({"base64": STANDARD.encode(audio())})),
            What::Voice => ("voice", json!({"base64": STANDARD.encode(voice())})),
            What::Sticker => ("sticker", json!({"base64": STANDARD.encode(picture())})),
            What::Location => (
                "location",
                json!({"latitude": 52.5163, "longitude": 13.3777, "name": name}),
            ),
            What::Contact => (
                "contact",
                json!({"contact": {"name": name, "phone": "15550100003"}}),
            ),
            What::Poll => ("poll", json!({"question": name, "options": ["Soup", "Salad"]})),
            What::Status => ("status", json!({"kind": "text", "text": name})),
            What::Text | What::Bulk | What::Scheduled | What::Reaction | What::Edit | What::Revoke => {
                ("text", json!({"text": name}))
            }
        }
    }

    /// The request of a file, with `name` below it.
    async fn with_file(
        &self,
        source: Source,
        file: File,
        name: &str,
        key: &Caller,
        instance: InstanceId,
    ) -> Value {
        match source {
            Source::Inline => json!({"base64": STANDARD.encode((file.bytes)()), "caption": name}),
            Source::Url => json!({"url": format!("{}/{}", self.host.url, file.name), "caption": name}),
            Source::Upload => {
                let id = Box::pin(self.upload(file, name, key, instance)).await;
                json!({"mediaId": id, "caption": name})
            }
        }
    }

    /// Uploads a file: its id.
    async fn upload(&self, file: File, name: &str, key: &Caller, instance: InstanceId) -> String {
        let bytes = Bytes::from((file.bytes)());
        let size = bytes.len();
        let announced = json!({"fileName": file.name, "mimeType": file.mime_type, "size": size});
        let name = format!("{name} file");
        let wish = Wish {
            method: Method::POST,
            path: "/api/media",
            body: Some(&announced),
            name: &name,
        };
        let made = wish.ask(key, self.patience).await.expect("room for a file");
        let id = made.data["id"].as_str().expect("an id").to_owned();
        let media: MediaId = id.parse().expect("a file's id");
        let object = ObjectName::new(Area::Upload, instance, media);
        let deadline = Instant::now() + self.patience;
        loop {
            let whole = stream::iter([Ok::<_, Infallible>(bytes.clone())]);
            let put = self
                .bucket
                .put(&object, whole, Length::Exactly(size as u64))
                .await;
            let Err(error) = put else {
                return id;
            };
            assert!(Instant::now() < deadline, "{name} is not taken: {error}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A file that is too large to travel in its job.
fn document() -> Vec<u8> {
    (0..=u8::MAX).cycle().take(20_000).collect()
}

/// A video's head, with a track of pictures and no picture.
fn video() -> Vec<u8> {
    let handler = [&[0; 8][..], b"vide", &[0; 12]].concat();
    let track = boxed(*b"trak", &boxed(*b"mdia", &boxed(*b"hdlr", &handler)));
    [boxed(*b"ftyp", b"isom\0\0\x02\0isom"), boxed(*b"moov", &track)].concat()
}

/// A box of MP4 (ISO 14496-12).
fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + body.len()).expect("small");
    [&length.to_be_bytes()[..], &kind, body].concat()
}

/// A second of AMR (RFC 4867, 5).
fn audio() -> Vec<u8> {
    [&b"#!AMR\n"[..], &[0x3c; 32 * 50]].concat()
}

/// The first page of Opus in Ogg (RFC 3533, RFC 7845), and no sound.
fn voice() -> Vec<u8> {
    let head = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";
    let length = u8::try_from(head.len()).expect("small");
    [&b"OggS\0\x02"[..], &[0; 20], &[1, length], head].concat()
}
