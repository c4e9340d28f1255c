//! Files from a caller's host to a recipient's phone, through the whole stack.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testbed::caller::{Bases, Caller};
use testbed::wait::until;
use tests::flow::pair;
use tests::host::{Host, ok, picture, status};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

fn large() -> Vec<u8> {
    (0..=u8::MAX).cycle().take(6 * 1_024 * 1_024).collect()
}

fn host(path: &str, times: usize) -> Vec<u8> {
    match path {
        "/large.bin?key=%2B" => ok(&large()),
        "/moved" => {
            b"HTTP/1.1 302 Found\r\nlocation: /cat%20one.png\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec()
        }
        "/astray" => {
            b"HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec()
        }
        // It recovers.
        "/tired" if times < 2 => status("503 Service Unavailable"),
        "/cat%20one.png" | "/tired" => ok(&picture()),
        "/page.png" => ok(b"<!DOCTYPE html><html></html>"),
        "/empty" => ok(b""),
        "/huge.png" => b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 17000000\r\n\r\n".to_vec(),
        _ => status("404 Not Found"),
    }
}

async fn sent(key: &Caller, kind: &str, body: Value) -> String {
    let accepted = key.send(kind, body).await.data(202);
    accepted["id"].as_str().expect("an id").to_owned()
}

async fn until_fetched(phones: &Phones, phone: &str, count: usize) -> Vec<Value> {
    until("files in the inbox", async || {
        let inbox = phones.inbox(phone).await;
        let fetched = inbox
            .iter()
            .filter(|shown| shown["mediaSha256"].is_string())
            .count();
        (fetched >= count).then_some(inbox)
    })
    .await
}

#[tokio::test]
async fn files_go_from_a_callers_host_to_a_phone() {
    let data = tempfile::tempdir().expect("a directory");
    let arguments = ["--sandbox-port", "0", "--private-addresses"];
    let stack = Process::start(STACK, data.path(), &arguments, &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (key, to, host) = (&paired.key, &paired.other, Host::new(host).await);
    let url = |path: &str| format!("{}{path}", host.url);

    let sends = [
        (
            "document",
            json!({"to": to, "url": url("/large.bin?key=%2B"), "caption": "all of it"}),
            large(),
        ),
        (
            "image",
            json!({"to": to, "url": url("/cat one.png"), "caption": "a cat"}),
            picture(),
        ),
        (
            "image",
            json!({"to": to, "url": url("/moved"), "viewOnce": true}),
            picture(),
        ),
        ("image", json!({"to": to, "url": url("/tired")}), picture()),
        (
            "document",
            json!({"to": to, "base64": STANDARD.encode("a,b\n"), "mimeType": "text/csv", "fileName": "a.csv"}),
            b"a,b\n".to_vec(),
        ),
    ];
    let mut messages = Vec::new();
    for (kind, body, _) in &sends {
        messages.push(sent(key, kind, body.clone()).await);
    }
    let inbox = until_fetched(&phones, to, sends.len()).await;
    for (shown, (kind, body, bytes)) in inbox.iter().zip(&sends) {
        assert_eq!(
            shown["mediaSha256"],
            json!(hex::encode(Sha256::digest(bytes))),
            "{body}"
        );
        assert_eq!(
            (&shown["kind"], &shown["text"]),
            (&json!(kind), &body["caption"]),
            "in order"
        );
        assert_eq!(shown["copies"], 1);
    }
    assert_eq!(inbox[0]["fileName"], "large.bin", "named after its URL");
    assert_eq!(inbox[4]["fileName"], "a.csv");
    assert_eq!(host.asked("/tired"), 2);
    for message in &messages {
        key.until_state(message, "delivered").await;
    }

    // A sticker becomes another file; it is one all the same.
    sent(
        key,
        "sticker",
        json!({"to": to, "base64": STANDARD.encode(picture())}),
    )
    .await;
    let inbox = until_fetched(&phones, to, sends.len() + 1).await;
    let sticker = inbox.last().expect("one");
    assert_eq!(sticker["kind"], "sticker");

    for (kind, body, code) in [
        (
            "image",
            json!({"to": to, "url": url("/nothing")}),
            "MEDIA_UNREACHABLE",
        ),
        ("image", json!({"to": to, "url": url("/page.png")}), "MEDIA_TYPE"),
        (
            "image",
            json!({"to": to, "url": url("/huge.png")}),
            "MEDIA_TOO_LARGE",
        ),
        ("document", json!({"to": to, "url": url("/empty")}), "MEDIA_TYPE"),
        (
            "voice",
            json!({"to": to, "base64": STANDARD.encode("hello")}),
            "MEDIA_TYPE",
        ),
    ] {
        let message = sent(key, kind, body).await;
        let failed = key.until_state(&message, "failed").await;
        assert_eq!(failed["error"]["code"], code, "{failed}");
    }
    stack.stop().await;
}

/// The local stack has its own machine in reach, and private networks only where it is told so.
#[tokio::test]
async fn a_file_of_this_machine_goes_out_and_one_of_a_private_network_does_not() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let host = Host::new(host).await;
    let key = &paired.key;
    let at = |url: &str| json!({"to": paired.other, "url": url});
    let ours = |path: &str| at(&format!("{}{path}", host.url));
    let message = sent(key, "image", ours("/cat%20one.png")).await;
    key.until_state(&message, "delivered").await;
    assert_eq!(
        key.send("image", at("http://10.0.0.1/cat.png")).await.error(),
        "400 VALIDATION_ERROR: `url` must lead to an address of the internet"
    );
    for (path, reason) in [
        (
            "/astray",
            "the URL, or one that it redirects to, must lead to an address of the internet",
        ),
        ("/nothing", "the host answered with the status 404 Not Found"),
    ] {
        let message = sent(key, "image", ours(path)).await;
        let failed = key.until_state(&message, "failed").await;
        let told = format!("The message's file could not be fetched: {reason}");
        assert_eq!(failed["error"]["code"], "MEDIA_UNREACHABLE", "{failed}");
        assert_eq!(failed["error"]["message"], told);
    }
    stack.stop().await;
}
