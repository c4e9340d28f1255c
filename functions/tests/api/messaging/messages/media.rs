//! The kinds with a file: `POST /api/messages/image`, `video`, `audio`, `voice`, `document`, `sticker`.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::bucket::{Area, Length, ObjectName};
use shared::domain::content::{Bytes as Inline, Content, File, MAX_INLINE, MAX_PART, Media, Source};
use shared::domain::job::Job;
use shared::domain::payload;
use shared::sealed;

use crate::support::World;

const KINDS: [&str; 6] = ["image", "video", "audio", "voice", "document", "sticker"];

#[tokio::test]
async fn a_file_is_a_job_that_says_where_it_is_and_says_it_sealed() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let url = "https://example.com/a b%2Bc.pdf?token=hush";
    let by_url = json!({
        "to": "15550100002", "url": url, "mimeType": "application/pdf", "fileName": "invoice.pdf", "caption": "due today",
    });
    let inline =
        json!({"to": "15550100002", "base64": STANDARD.encode("hello"), "caption": null, "url": null});
    let wanted = [
        Media {
            media: File {
                mime_type: Some("application/pdf".to_owned()),
                file_name: Some("invoice.pdf".to_owned()),
                ..File::default()
            },
            text: Some("due today".to_owned()),
            source: Some(Source::Url(
                "https://example.com/a%20b%2Bc.pdf?token=hush".to_owned(),
            )),
            ..Media::default()
        },
        Media {
            source: Some(Source::Inline(Inline(b"hello".to_vec()))),
            ..Media::default()
        },
    ];
    let mut ids = Vec::new();
    for body in [by_url, inline] {
        let accepted = key.send("document", body).await.data(202);
        assert_eq!(accepted["kind"], "document");
        ids.push(accepted["id"].as_str().expect("an id").to_owned());
    }
    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    for ((job, id), wanted) in jobs.iter().zip(ids).zip(wanted) {
        assert!(
            !job.body.contains("example.com") && !job.body.contains("invoice") && !job.body.contains("hush")
        );
        let Job::Send(job) = payload::decode(&job.body).expect("ours");
        let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
        let content: Content = opening.await.expect("opens");
        assert_eq!(content, Content::Document(wanted));
    }
}

#[tokio::test]
async fn each_kind_takes_a_file_in_each_way() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let largest = STANDARD.encode(vec![0; MAX_INLINE]);
    for kind in KINDS {
        for body in [
            json!({"to": "15550100002", "url": "HTTP://example.com/x"}),
            json!({"to": "15550100002", "base64": largest}),
        ] {
            key.send(kind, body).await.data(202);
        }
        let file = json!({"fileName": "a", "mimeType": "application/octet-stream", "size": 1});
        let id = key.post("/api/media", file).await.data(201)["id"].clone();
        let name = ObjectName::new(Area::Upload, instance, id.as_str().expect("an id"));
        let piece = futures::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"x"))]);
        let bucket = &world.states.messaging.bucket;
        bucket.put(&name, piece, Length::Exactly(1)).await.expect("put");
        let body = json!({"to": "15550100002", "mediaId": id});
        key.send(kind, body).await.data(202);
    }
    for kind in ["image", "video"] {
        let body =
            json!({"to": "15550100002", "url": "https://example.com/x", "viewOnce": true, "caption": "look"});
        key.send(kind, body).await.data(202);
    }
}

#[tokio::test]
async fn every_fault_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let over = STANDARD.encode(vec![0; MAX_INLINE + 1]);
    let exactly_one = "url must be there, or `mediaId` or `base64` in its place, and one of them alone";
    for (kind, body, told) in [
        ("image", json!({"to": "15550100002"}), vec![exactly_one]),
        (
            "image",
            json!({"to": "15550100002", "url": "https://example.com/x", "base64": "AAAA"}),
            vec![exactly_one],
        ),
        (
            "image",
            json!({"to": "15550100002", "url": "file:///etc/passwd"}),
            vec!["url must begin with https:// or http://"],
        ),
        (
            "image",
            json!({"to": "15550100002", "url": "cat.jpg"}),
            vec!["url must be a whole URL, such as https://example.com/cat.jpg"],
        ),
        (
            "image",
            json!({"to": "15550100002", "url": format!("https://example.com/{}", "x".repeat(2_048))}),
            vec!["url must have at most 2048 bytes"],
        ),
        (
            "voice",
            json!({"to": "15550100002", "base64": "A"}),
            vec!["base64 must be base64 (RFC 4648, 4), with its padding, and nothing else"],
        ),
        (
            "image",
            json!({"to": "15550100002", "mediaId": "msg_01JD0000000000000000000000"}),
            vec!["mediaId must be an id that starts with `med_` and goes on with 26 letters and digits"],
        ),
        (
            "voice",
            json!({"to": "15550100002", "base64": ""}),
            vec!["base64 must not be empty"],
        ),
        (
            "voice",
            json!({"to": "15550100002", "base64": over}),
            vec!["base64 must be at most 256 KiB; upload larger files, or use `url`"],
        ),
        (
            "document",
            json!({"to": "15550100002", "url": "https://example.com/x", "mimeType": "pdf", "fileName": "", "caption": " "}),
            vec![
                "mimeType must be a media type, such as image/jpeg",
                "caption must show something: white space and invisible characters alone do not",
                "fileName must have 1 to 255 characters",
            ],
        ),
        (
            "sticker",
            json!({"to": "15550100002", "url": "https://example.com/x", "caption": "look", "viewOnce": true}),
            vec!["caption is unknown", "viewOnce is unknown"],
        ),
        (
            "image",
            json!({"to": "15550100002", "url": 7, "viewOnce": "yes"}),
            vec!["url must be a string", "viewOnce must be true or false"],
        ),
    ] {
        let answer = key.send(kind, body).await;
        assert_eq!(answer.status, 400, "{told:?}");
        assert_eq!(answer.faults(), told);
    }
}

#[tokio::test]
async fn a_type_that_the_kind_does_not_take_is_told() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    for (kind, mime_type, is_taken) in [
        ("image", "application/pdf", false),
        ("video", "video/webm", false),
        ("voice", "audio/flac", false),
        ("sticker", "video/mp4", false),
        ("image", "image/jpg", true),
        ("voice", "audio/ogg; codecs=opus", true),
        ("document", "application/x-anything", true),
    ] {
        let body = json!({"to": "15550100002", "url": "https://example.com/x", "mimeType": mime_type});
        let answer = key.send(kind, body).await;
        if is_taken {
            answer.data(202);
        } else {
            let told = answer.error();
            assert!(told.starts_with("415 UNSUPPORTED_MEDIA_TYPE: "), "{told}");
        }
    }
}

/// A retry that names the same file is the same request; one that names another is not.
#[tokio::test]
async fn an_idempotency_key_stands_for_one_file() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let key = key.with_header("idempotency-key", "order-42");
    let body = |url: &str| json!({"to": "15550100002", "url": url});
    let first = key
        .send("image", body("https://example.com/a b.jpg"))
        .await
        .data(202);
    let again: Value = key
        .send("image", body("https://EXAMPLE.com/a%20b.jpg"))
        .await
        .data(202);
    assert_eq!(again, first);
    assert_eq!(
        key.send("image", body("https://example.com/c.jpg")).await.error(),
        "409 IDEMPOTENCY_CONFLICT: The idempotency key came with another request before"
    );
}

/// A form of these parts: each has its name, what else its head says, and its bytes.
pub fn form(parts: &[(&str, &str, &[u8])]) -> Bytes {
    let mut body = Vec::new();
    for (name, more, bytes) in parts {
        let head = format!("--frontier\r\ncontent-disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--frontier--\r\n");
    body.into()
}

#[tokio::test]
async fn a_form_says_the_same_as_json() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let key = key.with_header("content-type", "multipart/form-data; boundary=frontier");
    let parts: [(&str, &str, &[u8]); 4] = [
        ("to", "", b"+15550100002"),
        ("caption", "", b"123"),
        ("reference", "", b"order-42"),
        (
            "file",
            "; filename=\"invoice.pdf\"\r\ncontent-type: application/pdf",
            b"%PDF-1.7 \r\n--",
        ),
    ];
    let accepted = key.send("document", form(&parts)).await.data(202);
    let id = accepted["id"].as_str().expect("an id").to_owned();
    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    let Job::Send(job) = payload::decode(&jobs[0].body).expect("ours");
    assert_eq!(job.reference.as_deref(), Some("order-42"));
    let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
    let content: Content = opening.await.expect("opens");
    let wanted = Media {
        media: File {
            mime_type: Some("application/pdf".to_owned()),
            file_name: Some("invoice.pdf".to_owned()),
            ..File::default()
        },
        text: Some("123".to_owned()),
        source: Some(Source::Inline(Inline(b"%PDF-1.7 \r\n--".to_vec()))),
        ..Media::default()
    };
    assert_eq!(content, Content::Document(wanted));

    let parts: [(&str, &str, &[u8]); 3] = [
        ("to", "", b"15550100002"),
        ("viewOnce", "", b"true"),
        ("file", "", b"x"),
    ];
    key.send("image", form(&parts)).await.data(202);
}

#[tokio::test]
async fn a_form_is_held_to_the_same_rules() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let key = key.with_header("content-type", "multipart/form-data; boundary=frontier");
    let (to, file): (_, (&str, &str, &[u8])) = (("to", "", &b"15550100002"[..]), ("file", "", b"x"));
    let over = vec![0; MAX_PART + 1];
    for (parts, told) in [
        (vec![to, file, file], "400 VALIDATION_ERROR"),
        (
            vec![to, file, ("url", "", b"https://example.com/x")],
            "400 VALIDATION_ERROR",
        ),
        (vec![to, file, ("viewOnce", "", b"yes")], "400 VALIDATION_ERROR"),
        (vec![to, file, ("captoin", "", b"look")], "400 VALIDATION_ERROR"),
        (vec![to, file, ("caption", "", b"\xff")], "400 VALIDATION_ERROR"),
        (vec![to, ("file", "", b"")], "400 VALIDATION_ERROR"),
        (vec![to], "400 VALIDATION_ERROR"),
        (vec![to, ("file", "", &over[..])], "413 PAYLOAD_TOO_LARGE"),
    ] {
        let answer = key.send("image", form(&parts)).await;
        assert_eq!(answer.code(), told, "{}", answer.json());
    }
    for body in ["", "--frontier\r\n", "no form at all"] {
        assert_eq!(
            key.send("image", body).await.code(),
            "400 VALIDATION_ERROR",
            "{body}"
        );
    }
    // Only kinds with a file are sent by forms.
    assert_eq!(
        key.send("text", form(&[to])).await.code(),
        "415 UNSUPPORTED_MEDIA_TYPE"
    );
    let key = key.with_header("content-type", "multipart/form-data");
    assert_eq!(
        key.send("image", form(&[to, file])).await.code(),
        "415 UNSUPPORTED_MEDIA_TYPE"
    );
}
