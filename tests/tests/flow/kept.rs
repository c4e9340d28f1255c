//! What came in, had later and used again: files on demand, and forwards.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testbed::caller::{Bases, Caller, http};
use testbed::wait::until;
use tests::flow::{Paired, pair};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;
use crate::marks::keep_contents;

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Bytes that do not repeat within a block.
fn file(length: usize, seed: u8) -> Vec<u8> {
    let numbers = (0_u32..).map(|number| number.wrapping_mul(2_654_435_761) ^ u32::from(seed));
    numbers.flat_map(u32::to_le_bytes).take(length).collect()
}

struct Stack {
    process: Process,
    phones: Phones,
    paired: Paired,
}

impl Stack {
    async fn new(data: &Path) -> Self {
        let process = Process::start(STACK, data, &["--sandbox-port", "0"], &[]).await;
        let phones = Phones::new(process.admin.as_deref().expect("a sandbox"));
        let paired = pair(&Bases::one(&process.api), &phones).await;
        Self {
            process,
            phones,
            paired,
        }
    }

    /// The same with contents kept for so many days.
    async fn keeping(data: &Path, days: u8) -> Self {
        let stack = Self::new(data).await;
        keep_contents(&stack.paired, days).await;
        stack
    }

    /// The other phone's person sends this. Answers the message's id at WhatsApp, and ours.
    async fn comes(&self, mut body: Value) -> (String, String) {
        body["to"] = json!(self.paired.own);
        let kind = body["kind"].clone();
        let before = self.incoming(&kind).await.len();
        let path = format!("/admin/phones/{}/send", self.paired.other);
        let sent = self.phones.post(&path, &body).await;
        let id = until("the message that came in", async || {
            let incoming = self.incoming(&kind).await;
            (incoming.len() > before).then(|| incoming[0].clone())
        })
        .await;
        (sent["id"].as_str().expect("an id").to_owned(), id)
    }

    /// The messages of this kind that came in, newest first.
    async fn incoming(&self, kind: &Value) -> Vec<String> {
        let log = format!("/api/instances/{}/messages", self.paired.instance);
        let log = self.paired.user.get(&log).await.data(200);
        let log = log.as_array().expect("a list").iter();
        let incoming = log.filter(|message| message["direction"] == "incoming" && message["kind"] == *kind);
        incoming
            .map(|message| message["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    /// The instance's own phone, once it holds the file of this message.
    async fn until_held(&self, id: &str) {
        until("the file on the own phone", async || {
            let inbox = self.phones.inbox(&self.paired.own).await;
            let mut inbox = inbox.iter();
            inbox
                .any(|shown| shown["id"] == id && shown["mediaSha256"].is_string())
                .then_some(())
        })
        .await;
    }

    async fn expire(&self) {
        self.phones.post("/admin/media/expire", &json!({})).await;
    }

    /// The last of what a phone shows, once its file has this hash.
    async fn until_shown_file(&self, phone: &str, hash: &str, count: usize) -> Value {
        until("the file on the phone", async || {
            let inbox = self.phones.inbox(phone).await;
            let with: Vec<_> = inbox
                .iter()
                .filter(|shown| shown["mediaSha256"] == hash)
                .collect();
            (with.len() >= count).then(|| (*with[count - 1]).clone())
        })
        .await
    }
}

/// The path of a message's file: its id has the same text behind its prefix.
fn media_of(message: &str) -> String {
    format!("/api/media/{}", message.replace("msg_", "med_"))
}

/// Follows an answer's link without a key.
async fn followed(key: &Caller, path: &str) -> reqwest::Response {
    let url = until("the file", async || {
        let answer = key.get(path).await;
        if answer.status == 504 {
            return None;
        }
        let data = answer.data(303);
        assert_eq!(answer.header("location"), data["url"]);
        Some(answer.header("location").to_owned())
    })
    .await;
    http().get(url).send().await.expect("an answer")
}

#[tokio::test]
async fn a_file_that_came_in_is_had_on_demand() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Stack::new(data.path()).await;
    let key = &stack.paired.key;
    for (kind, length, more) in [
        ("image", 700_000, json!({"mimeType": "image/jpeg"})),
        (
            "document",
            // More than a client takes into memory at once.
            17 * 1_024 * 1_024,
            json!({"mimeType": "text/html", "fileName": "Größe <1>.html"}),
        ),
        ("voice", 845_861, json!({"mimeType": "audio/ogg; codecs=opus"})),
        ("sticker", 1, json!({"mimeType": "image/webp"})),
    ] {
        let bytes = file(length, 1);
        let mut body = more.clone();
        body["kind"] = json!(kind);
        body["base64"] = json!(STANDARD.encode(&bytes));
        let (_, message) = stack.comes(body).await;
        for _ in 0..2 {
            let got = followed(key, &media_of(&message)).await;
            assert_eq!(got.status(), StatusCode::OK);
            let header = |name: &str| got.headers()[name].to_str().expect("a text").to_owned();
            assert_eq!(json!(header("content-type")), more["mimeType"]);
            assert!(header("content-disposition").starts_with("attachment"), "{kind}");
            assert_eq!(header("x-content-type-options"), "nosniff");
            if kind == "document" {
                let named = "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%3C1%3E.html";
                assert_eq!(header("content-disposition"), named);
            }
            let got = got.bytes().await.expect("whole");
            assert_eq!(sha256(&got), sha256(&bytes), "{kind}");
            // From then on nobody needs WhatsApp.
            stack.expire().await;
        }
    }
    stack.process.stop().await;
}

#[tokio::test]
async fn a_file_that_whatsapp_has_lost_is_asked_of_the_phone() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Stack::new(data.path()).await;
    let key = &stack.paired.key;
    let bytes = file(200_000, 2);
    let body = json!({"kind": "image", "base64": STANDARD.encode(&bytes)});
    let (id, message) = stack.comes(body.clone()).await;
    stack.until_held(&id).await;
    stack.expire().await;
    let got = followed(key, &media_of(&message)).await;
    assert_eq!(sha256(&got.bytes().await.expect("whole")), sha256(&bytes));

    // The phone does not have the next one either.
    let (id, message) = stack.comes(body).await;
    stack.until_held(&id).await;
    let path = format!("/admin/phones/{}/inbox/{id}/media", stack.paired.own);
    stack.phones.delete(&path).await;
    stack.expire().await;
    let gone = until("an answer", async || {
        let answer = key.get(&media_of(&message)).await;
        (answer.status != 504).then_some(answer)
    })
    .await;
    assert_eq!(gone.code(), "410 MEDIA_GONE");
    // Lists and states do not fail for it.
    key.get("/api/messages").await.data(200);
    key.get(&format!("/api/messages/{message}")).await.data(200);
    let unknown = key.get("/api/media/med_01JD0000000000000000000000").await;
    assert_eq!(unknown.code(), "404 NOT_FOUND");
    stack.process.stop().await;
}

#[tokio::test]
async fn what_came_and_what_was_sent_is_forwarded() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Stack::keeping(data.path(), 7).await;
    let (key, phones) = (&stack.paired.key, &stack.phones);
    let third = phones.create("Third").await;
    let forward = async |message: &str| {
        let body = json!({"to": third, "messageId": message});
        let sent = key.send("forward", body).await.data(202);
        let id = sent["id"].as_str().expect("an id").to_owned();
        key.until_state(&id, "delivered").await;
        (id, sent["kind"].clone())
    };

    // A text that came, and that forward once more.
    let (_, text) = stack.comes(json!({"kind": "text", "text": "the news"})).await;
    let (first, kind) = forward(&text).await;
    assert_eq!(kind, "text");
    let shown = phones.until_shown(&third, "the news").await;
    assert_eq!(shown["forwarded"], true);
    forward(&first).await;

    // What its sender wrote later counts, and what was taken back is not kept.
    let (id, edited) = stack.comes(json!({"kind": "text", "text": "befor"})).await;
    let path = format!("/admin/phones/{}/send", stack.paired.other);
    let change = json!({"kind": "edit", "to": stack.paired.own, "messageId": id, "text": "before noon"});
    phones.post(&path, &change).await;
    until("the edit", async || {
        let log = stack.incoming(&json!("edit")).await;
        (!log.is_empty()).then_some(())
    })
    .await;
    until("the edited text", async || {
        forward(&edited).await;
        let inbox = phones.inbox(&third).await;
        inbox
            .iter()
            .any(|shown| shown["text"] == "before noon")
            .then_some(())
    })
    .await;
    let revoke = json!({"kind": "revoke", "to": stack.paired.own, "messageId": id});
    phones.post(&path, &revoke).await;
    until("the end of what was kept", async || {
        let body = json!({"to": third, "messageId": edited});
        let answer = key.send("forward", body).await;
        let is_gone = answer.status == 409 && answer.code() == "409 CONTENT_NOT_KEPT";
        is_gone.then_some(())
    })
    .await;

    // Files by where they are at WhatsApp: what came, and what was sent.
    let bytes = file(300_000, 3);
    let body = json!({"kind": "image", "base64": STANDARD.encode(&bytes), "caption": "look"});
    let (_, came) = stack.comes(body).await;
    let (_, kind) = forward(&came).await;
    assert_eq!(kind, "image");
    let shown = stack.until_shown_file(&third, &sha256(&bytes), 1).await;
    assert_eq!(
        (&shown["text"], &shown["forwarded"], &shown["kind"]),
        (&json!("look"), &json!(true), &json!("image"))
    );
    let own = file(100_000, 4);
    let body = json!({"to": stack.paired.other, "base64": STANDARD.encode(&own), "fileName": "a.bin"});
    let sent = key.send("document", body).await.data(202);
    let sent = sent["id"].as_str().expect("an id").to_owned();
    key.until_state(&sent, "delivered").await;
    forward(&sent).await;
    let shown = stack.until_shown_file(&third, &sha256(&own), 1).await;
    assert_eq!(
        (&shown["fileName"], &shown["forwarded"]),
        (&json!("a.bin"), &json!(true))
    );

    // A poll is a new poll.
    let poll = json!({"kind": "poll", "question": "Lunch?", "options": ["Soup", "Salad"]});
    let (_, poll) = stack.comes(poll).await;
    forward(&poll).await;
    let shown = phones.until_shown(&third, "Lunch?").await;
    assert_eq!(
        (&shown["kind"], &shown["forwarded"]),
        (&json!("poll"), &json!(true))
    );
    stack.process.stop().await;
}

#[tokio::test]
async fn a_forwarded_file_that_whatsapp_has_lost_is_asked_of_the_phone() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Stack::keeping(data.path(), 7).await;
    let (key, third) = (&stack.paired.key, stack.phones.create("Third").await);
    let bytes = file(50_000, 5);
    let body = json!({"kind": "image", "base64": STANDARD.encode(&bytes)});
    let (id, message) = stack.comes(body).await;
    stack.until_held(&id).await;
    stack.expire().await;
    let body = json!({"to": third, "messageId": message});
    let sent = key.send("forward", body.clone()).await.data(202);
    key.until_state(sent["id"].as_str().expect("an id"), "delivered")
        .await;
    stack.until_shown_file(&third, &sha256(&bytes), 1).await;

    let path = format!("/admin/phones/{}/inbox/{id}/media", stack.paired.own);
    stack.phones.delete(&path).await;
    stack.expire().await;
    let sent = key.send("forward", body).await.data(202);
    let failed = key
        .until_state(sent["id"].as_str().expect("an id"), "failed")
        .await;
    assert_eq!(failed["error"]["code"], "MEDIA_GONE", "{failed}");
    stack.process.stop().await;
}
