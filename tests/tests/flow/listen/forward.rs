//! What happens on phones arrives at a local address as it would at a webhook.

use std::collections::BTreeSet;

use axum::http::HeaderName;
use serde_json::{Value, json};
use testbed::caller::Bases;
use testbed::wait::until;
use tests::flow::pair;
use tests::hook::{Heard, Hook};
use tests::listening::Listening;
use tests::phones::Phones;
use tests::process::Process;

use super::Ground;
use crate::STACK;

fn names(heard: &Heard) -> BTreeSet<&str> {
    heard.headers.keys().map(HeaderName::as_str).collect()
}

fn text_of(event: &Value) -> Option<&str> {
    event["data"]["text"].as_str()
}

fn is_line(event: &Value) -> bool {
    text_of(event).is_some_and(|text| text.starts_with("line "))
}

#[tokio::test]
async fn texts_arrive_signed_in_order_and_as_a_webhook_has_them() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (hook, local) = (Hook::start().await, Hook::start().await);
    let path = format!("/api/instances/{}", paired.instance);
    let webhook = json!({"url": hook.url(), "events": ["*"]});
    paired
        .user
        .put(&format!("{path}/webhook"), webhook)
        .await
        .data(200);
    paired
        .user
        .put(&path, json!({"contentInRealtime": true}))
        .await
        .data(200);
    let (key, to) = (paired.key.token(), local.url());
    let listening = Listening::start(&["--key", key, "--url", &stack.api, "--forward-to", &to]).await;

    // The daemon learns of both settings soon.
    let mut tries = 0;
    until("the first texts", async || {
        tries += 1;
        phones
            .send(&paired.other, &paired.own, &format!("are you there {tries}"))
            .await;
        let has_text = |event: &Value| text_of(event).is_some();
        (!hook.events(has_text).is_empty() && !local.events(has_text).is_empty()).then_some(())
    })
    .await;
    let texts: Vec<_> = (0..10).map(|n| format!("line {n}")).collect();
    for text in &texts {
        phones.send(&paired.other, &paired.own, text).await;
    }
    let told = local.until(texts.len(), is_line).await;
    assert_eq!(told.iter().filter_map(text_of).collect::<Vec<_>>(), texts);
    hook.until(texts.len(), is_line).await;

    let secret = listening.secret();
    for here in local.heard() {
        assert!(here.is_genuine(&secret));
        let event = here.event();
        assert_eq!(here.headers["webhook-id"], event["id"].as_str().expect("an id"));
        if !is_line(&event) {
            continue;
        }
        let there = hook
            .heard()
            .into_iter()
            .find(|there| there.event()["id"] == event["id"]);
        let there = there.expect("the webhook has it");
        assert!(!there.is_genuine(&secret), "each has a secret of its own");
        assert_eq!(there.event(), event);
        assert_eq!(names(&there), names(&here));
        for same in ["content-type", "user-agent", "webhook-id", "accept"] {
            assert_eq!(there.headers[same], here.headers[same], "{same}");
        }
    }
    let seen = listening.interrupt().await.expect("it ends in order");
    let lines = seen.lines().join("\n");
    assert!(
        lines.contains("message.received") && lines.contains("→ 204"),
        "{lines}"
    );
    assert!(
        !lines.contains("line 0") && !lines.contains(&paired.other),
        "no content"
    );
    let said = seen.notes().join("\n") + &lines;
    assert!(!said.contains(key), "the key is shown nowhere");
    stack.stop().await;
}

#[tokio::test]
async fn a_pairing_arrives_and_only_what_is_wanted() {
    let ground = Ground::new().await;
    let phones = Phones::new(ground.stack.admin.as_deref().expect("a sandbox"));
    let local = Hook::start().await;
    let to = local.url();
    let more = ["--forward-to", &*to, "--events", "session.qr,session.connected"];
    let arguments: Vec<_> = ground.arguments().into_iter().chain(more).collect();
    let listening = Listening::start(&arguments).await;
    ground.trigger("message.received").await;
    ground
        .user
        .post("/api/instances/main/connect", ())
        .await
        .data(202);
    let own = phones.create("Owner").await;
    let qr = until("a QR code", async || {
        let answer = ground.user.get("/api/instances/main/qr").await;
        (answer.status == 200).then(|| answer.data(200))
    })
    .await;
    phones.scan(&own, qr["code"].as_str().expect("a code")).await;
    let is_connected = |event: &Value| event["type"] == "session.connected";
    let told = local.until(1, is_connected).await;
    assert_eq!(told[0]["data"]["phone"], json!(own));
    let types: BTreeSet<_> = local
        .events(|_| true)
        .iter()
        .map(|event| event["type"].as_str().expect("a type").to_owned())
        .collect();
    let wanted = ["session.connected", "session.qr"].map(str::to_owned);
    assert_eq!(types, BTreeSet::from(wanted));
    let line = listening.until_line(&["session.connected", "→ 204"]).await;
    assert!(line.contains("main  CONNECTED") && !line.contains(&own), "{line}");
    listening.interrupt().await.expect("it ends in order");
    ground.stack.stop().await;
}

#[tokio::test]
async fn what_is_printed_is_json_alone() {
    let ground = Ground::new().await;
    let arguments: Vec<_> = ground.arguments().into_iter().chain(["--print"]).collect();
    let listening = Listening::start(&arguments).await;
    let event = ground.trigger("message.reaction").await;
    listening.until_line(&[&event]).await;
    listening.until_note("Connected to").await;
    let seen = listening.interrupt().await.expect("it ends in order");
    let lines = seen.lines();
    let printed: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(printed.len(), 1);
    assert_eq!(printed[0]["id"], json!(event));
    assert_eq!(printed[0]["instance"]["name"], json!("main"));
    assert!(
        seen.notes().iter().any(|note| note.contains(&event)),
        "its line is beside it"
    );
    assert!(
        !seen.notes().iter().any(|note| note.contains("whsec_")),
        "nothing is signed"
    );
    ground.stack.stop().await;
}
