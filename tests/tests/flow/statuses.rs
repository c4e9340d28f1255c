//! Statuses: from the API to the phones of the account's contacts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use testbed::caller::Bases;
use testbed::wait::until;
use tests::flow::{pair, save_contact};
use tests::host::picture;
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

#[tokio::test]
async fn a_status_is_seen_by_contacts_until_it_is_taken_back() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (key, other) = (&paired.key, &paired.other);
    let stranger = phones.create("Stranger").await;
    save_contact(&paired, &phones, other).await;

    let sent = key
        .send("status", json!({"kind": "text", "text": "Open until eight"}))
        .await
        .data(202);
    assert_eq!(sent["to"], json!({"phone": null, "lid": null, "group": null}));
    let message = sent["id"].as_str().expect("an id");
    let shown = phones.until_shown(other, "Open until eight").await;
    assert_eq!(
        (&shown["chat"], &shown["from"], &shown["kind"], &shown["copies"]),
        (
            &json!("status@broadcast"),
            &json!(paired.own),
            &json!("text"),
            &json!(1)
        )
    );
    key.until_state(message, "delivered").await;
    phones.read_all(other).await;
    let read = key.until_state(message, "read").await;
    assert_eq!(read["kind"], "status");
    assert_eq!(read["receipts"], json!({"delivered": 1, "read": 1, "of": 1}));

    let image = json!({"kind": "image", "base64": STANDARD.encode(picture()), "caption": "Our menu"});
    let image = key.send("status", image).await.data(202);
    let image = image["id"].as_str().expect("an id");
    key.until_state(image, "delivered").await;
    let shown = until("the picture", async || {
        let shown = phones.until_shown(other, "Our menu").await;
        shown["mediaSha256"].is_string().then_some(shown)
    })
    .await;
    assert_eq!(
        (&shown["chat"], &shown["kind"], &shown["mediaSha256"]),
        (
            &json!("status@broadcast"),
            &json!("image"),
            &json!(hex::encode(Sha256::digest(picture())))
        )
    );

    key.delete(&format!("/api/messages/{message}")).await.data(200);
    until("the end of the status", async || {
        let inbox = phones.inbox(other).await;
        inbox.iter().any(|shown| shown["kind"] == "revoked").then_some(())
    })
    .await;
    assert!(phones.inbox(&stranger).await.is_empty());

    // What a contact shows is not told of: what comes after it is.
    let path = format!("/admin/phones/{other}/send");
    phones
        .post(&path, &json!({"to": "status", "kind": "text", "text": "theirs"}))
        .await;
    phones.send(other, &paired.own, "a message").await;
    let incoming = until("the message", async || {
        let log = key.get("/api/messages?direction=incoming").await.data(200);
        let log = log.as_array().expect("a list").clone();
        (!log.is_empty()).then_some(log)
    })
    .await;
    assert_eq!((incoming.len(), &incoming[0]["kind"]), (1, &json!("text")));
    stack.stop().await;
}
