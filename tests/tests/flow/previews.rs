//! Links in texts, and what the recipient's phone shows of their pages.

use serde_json::{Value, json};
use testbed::caller::Bases;
use tests::flow::pair;
use tests::host::{Host, ok, picture, status};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

fn host(path: &str, _times: usize) -> Vec<u8> {
    match path {
        "/sea?key=hush" => ok(concat!(
            "<html><head><title>no</title>",
            "<meta property=og:title content='The &quot;sea&quot;'>",
            "<meta property=og:description content='wide and blue'>",
            "<meta property=og:image content=/sea.png>",
            "</head></html>",
        )
        .as_bytes()),
        "/sea.png" => ok(&picture()),
        _ => status("404 Not Found"),
    }
}

#[tokio::test]
async fn a_text_shows_the_page_that_it_leads_to() {
    let data = tempfile::tempdir().expect("a directory");
    let arguments = ["--sandbox-port", "0", "--private-addresses"];
    let stack = Process::start(STACK, data.path(), &arguments, &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (key, to, host) = (&paired.key, &paired.other, Host::new(host).await);
    let (sea, nothing) = (
        format!("{}/sea?key=hush", host.url),
        format!("{}/nothing", host.url),
    );
    for (body, previewed) in [
        (
            json!({"to": to, "text": format!("look ({sea})"), "reference": "1"}),
            true,
        ),
        (
            json!({"to": to, "text": format!("again: {sea}"), "linkPreview": true}),
            true,
        ),
        (
            json!({"to": to, "text": format!("plain: {sea}"), "linkPreview": false}),
            false,
        ),
        (json!({"to": to, "text": format!("gone: {nothing}")}), false),
    ] {
        let sent = key.send("text", &body).await.data(202);
        key.until_state(sent["id"].as_str().expect("an id"), "delivered")
            .await;
        let shown = phones
            .until_shown(to, body["text"].as_str().expect("a text"))
            .await;
        assert_eq!((&shown["kind"], &shown["copies"]), (&json!("text"), &json!(1)));
        let preview = &shown["preview"];
        if previewed {
            assert_eq!(preview["url"], json!(sea));
            assert_eq!(
                (&preview["title"], &preview["description"]),
                (&json!("The \"sea\""), &json!("wide and blue"))
            );
            assert!(
                preview["thumbnail"]
                    .as_str()
                    .is_some_and(|jpeg| jpeg.starts_with("/9j/"))
            );
        } else {
            assert_eq!(*preview, Value::Null, "{shown}");
        }
    }
    assert_eq!(
        (
            host.asked("/sea?key=hush"),
            host.asked("/sea.png"),
            host.asked("/nothing")
        ),
        (1, 1, 1)
    );
    stack.stop().await;
}
