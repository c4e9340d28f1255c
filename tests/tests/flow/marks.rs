//! Marks in what messages say, to be looked for where nothing of it may rest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testbed::wait::until;
use tests::flow::{Paired, unique};
use tests::phones::Phones;
use tests::routes::{request, sends};

/// Members of sends that are no words of their sender, or would not be accepted with a mark in them.
const NO_WORDS: [&str; 12] = [
    "to",
    "reference",
    "kind",
    "url",
    "base64",
    "mediaId",
    "mimeType",
    "messageId",
    "phone",
    "emoji",
    "expiresAt",
    "scheduledAt",
];

/// What each mark begins with.
const MARK: &str = "WaxwingMark";

/// A word to look for later.
pub fn mark() -> String {
    format!("{MARK}{}", unique())
}

/// Puts a mark into each word of a message.
fn put_marks_into(body: &mut Value) {
    match body {
        Value::Object(members) => {
            let words = members
                .iter_mut()
                .filter(|(name, _)| !NO_WORDS.contains(&name.as_str()));
            words.for_each(|(_, value)| put_marks_into(value));
        }
        Value::Array(values) => values.iter_mut().for_each(put_marks_into),
        Value::String(word) => *word = mark(),
        _ => {}
    }
}

/// Whether a mark is in these bytes, as it is or in base64.
pub fn has_mark(bytes: &[u8]) -> bool {
    let encoded = (0..3).any(|shift| {
        let shifted = [&b"xx"[..shift], MARK.as_bytes()].concat();
        let text = STANDARD.encode(shifted);
        // Without the characters that depend on what stands before and after.
        has(bytes, &text.as_bytes()[4..text.len() - 4])
    });
    encoded || has(bytes, MARK.as_bytes())
}

/// Whether these bytes have this part.
pub fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Sends a message of each kind to the other person, with a mark in each of its words; answers their ids.
pub async fn say_everything(paired: &Paired) -> Vec<String> {
    let mut messages = Vec::new();
    for kind in sends() {
        let mut body = kind.to(&paired.other);
        let members = body.as_object_mut().expect("an object");
        let sources = ["url", "mediaId", "base64"];
        if sources.iter().any(|source| members.remove(*source).is_some()) {
            // Of the kinds with a file, one for all: a document's file may be anything.
            if !kind.route.ends_with("/document") {
                continue;
            }
            members.insert("base64".to_owned(), json!(STANDARD.encode(mark())));
        }
        put_marks_into(&mut body);
        let (_, path) = request(&kind.route, &[]);
        let sent = paired.key.post(&path, &body).await.data(202);
        messages.push(sent["id"].as_str().expect("an id").to_owned());
    }
    messages
}

/// Waits until these messages are where they are to go.
pub async fn until_out(paired: &Paired, messages: &[String]) {
    for message in messages {
        let path = format!("/api/messages/{message}");
        let record = paired.key.get(&path).await.data(200);
        // The phone has no contacts who would see the status.
        let state = if record["kind"] == "status" {
            "sent"
        } else {
            "delivered"
        };
        paired.key.until_state(message, state).await;
    }
}

/// Has the instance keep what its messages say for so many days, and waits until it does.
pub async fn keep_contents(paired: &Paired, days: u8) {
    let path = format!("/api/instances/{}", paired.instance);
    let body = json!({"contentDays": days});
    paired.user.put(&path, body).await.data(200);
    // The daemon hears of it by a nudge.
    until("a content that is kept", async || {
        let sent = paired.key.send_text(&paired.other, &mark()).await;
        paired.key.until_state(&sent, "delivered").await;
        let body = json!({"to": paired.other, "messageId": sent});
        (paired.key.send("forward", body).await.status == 202).then_some(())
    })
    .await;
}

/// Where the file with this id is had, once it was fetched.
pub async fn fetched(paired: &Paired, file: &str) -> Value {
    let path = format!("/api/media/{file}");
    until("the file", async || {
        let answer = paired.key.get(&path).await;
        (answer.status != 504).then(|| answer.data(303))
    })
    .await
}

/// The other person sends a file full of marks: the id by which it is fetched.
pub async fn comes_with_file(paired: &Paired, phones: &Phones) -> String {
    let file = json!({
        "to": paired.own, "kind": "document", "base64": STANDARD.encode(mark().repeat(1_000)),
        "caption": mark(), "fileName": mark(),
    });
    let path = format!("/admin/phones/{}/send", paired.other);
    phones.post(&path, &file).await;
    until("the file's message", async || {
        let log = paired
            .key
            .get("/api/messages?kind=document&direction=incoming")
            .await;
        let message = log.data(200).as_array().expect("a list").first()?.clone();
        Some(message["id"].as_str().expect("an id").replace("msg_", "med_"))
    })
    .await
}
