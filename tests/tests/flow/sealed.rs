//! What messages say rests in no file and no log in the clear: neither what is sent nor what comes in, nor what waits.

use std::fs::File;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::{Config, Sandbox};
use serde_json::{Value, json};
use testbed::caller::{Bases, http};
use testbed::wait::until;
use tests::flow::{pair, unique};
use tests::phones::Phones;
use tests::process::Process;
use tests::routes::{request, sends};

use crate::STACK;

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
fn mark() -> String {
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
fn has_mark(bytes: &[u8]) -> bool {
    let encoded = (0..3).any(|shift| {
        let shifted = [&b"xx"[..shift], MARK.as_bytes()].concat();
        let text = STANDARD.encode(shifted);
        // Without the characters that depend on what stands before and after.
        has(bytes, &text.as_bytes()[4..text.len() - 4])
    });
    encoded || has(bytes, MARK.as_bytes())
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Every file below a directory, with its name.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            // A journal may go between the list and the look.
            found.push((path.display().to_string(), bytes));
        }
    }
    found
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "each kind says a word of its own, and all are looked for at once"
)]
async fn no_word_of_a_message_rests_in_the_clear() {
    let address = "127.0.0.1:0".parse().expect("an address");
    let sandbox = Sandbox::start(Config::new(address)).await.expect("a sandbox");
    let phones = Phones::new(&sandbox.admin_url());
    let data = tempfile::tempdir().expect("a directory");
    let ca = data.path().join("ca.pem");
    std::fs::write(&ca, sandbox.ca_pem()).expect("written");
    let log = File::create(data.path().join("stack.log")).expect("a log");
    let stack = Process::start_with_log(
        STACK,
        data.path(),
        &[
            "--sandbox-url",
            &sandbox.ws_url(),
            "--sandbox-ca",
            ca.to_str().expect("a path"),
        ],
        &[("WAXWING_LOG", "debug")],
        log,
    )
    .await;
    let paired = pair(&Bases::one(&stack.api), &phones).await;

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
    for message in &messages {
        let record = paired
            .key
            .get(&format!("/api/messages/{message}"))
            .await
            .data(200);
        // The phone has no contacts who would see the status.
        let state = if record["kind"] == "status" {
            "sent"
        } else {
            "delivered"
        };
        paired.key.until_state(message, state).await;
    }
    let shown = serde_json::to_string(&phones.inbox(&paired.other).await).expect("plain data");
    assert!(has_mark(shown.as_bytes()), "the phone shows them");

    // What an instance keeps, and a file that is fetched, rest no other way.
    let path = format!("/api/instances/{}", paired.instance);
    paired.user.put(&path, json!({"contentDays": 14})).await.data(200);
    until("a content that is kept", async || {
        let sent = paired.key.send_text(&paired.other, &mark()).await;
        paired.key.until_state(&sent, "delivered").await;
        let body = json!({"to": paired.other, "messageId": sent});
        (paired.key.send("forward", body).await.status == 202).then_some(())
    })
    .await;
    let file = json!({
        "to": paired.own, "kind": "document", "base64": STANDARD.encode(mark().repeat(1_000)),
        "caption": mark(), "fileName": mark(),
    });
    phones
        .post(&format!("/admin/phones/{}/send", paired.other), &file)
        .await;
    let file = until("the file's message", async || {
        let log = paired
            .key
            .get("/api/messages?kind=document&direction=incoming")
            .await;
        let message = log.data(200).as_array().expect("a list").first()?.clone();
        Some(message["id"].as_str().expect("an id").replace("msg_", "med_"))
    })
    .await;
    let led = paired.key.get(&format!("/api/media/{file}")).await.data(303);
    let got = http().get(led["url"].as_str().expect("a URL")).send().await;
    let got = got.expect("an answer").bytes().await.expect("whole");
    assert!(has_mark(&got), "the caller has it");

    let incoming = mark();
    phones.send(&paired.other, &paired.own, &incoming).await;
    let log_path = format!("/api/instances/{}/messages", paired.instance);
    until("the text that came in", async || {
        let log = paired.user.get(&log_path).await.data(200);
        let mut log = log.as_array().expect("a list").iter();
        log.any(|message| message["direction"] == "incoming" && message["kind"] == "text")
            .then_some(())
    })
    .await;

    // One that waits for its phone's network.
    sandbox.shutdown().await;
    let waiting = json!({"to": paired.other, "text": mark()});
    let waiting = paired.key.send("text", waiting).await.data(202);
    let waiting = waiting["id"].as_str().expect("an id").to_owned();

    let look = |when: &str| {
        let files = files(data.path());
        // What is looked for would be found.
        let has_id = files.iter().any(|(_, bytes)| has(bytes, waiting.as_bytes()));
        assert!(has_id, "the files are those of the stack");
        let in_the_clear: Vec<_> = files.iter().filter(|(_, bytes)| has_mark(bytes)).collect();
        let names: Vec<_> = in_the_clear.iter().map(|(name, _)| name).collect();
        assert!(names.is_empty(), "{when}: {names:?}");
    };
    look("while it runs");
    stack.stop().await;
    look("after its end");
}
