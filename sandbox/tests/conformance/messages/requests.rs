//! What the admin API takes of a message, and how it refuses the rest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buffa::Message as _;
use serde_json::json;
use waproto::whatsapp as wa;

use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "one entry a rule")]
async fn a_request_that_is_wrong_is_told_where_and_why() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (one, other) = (admin.phone().await, admin.phone().await);
    let path = format!("/admin/phones/{one}/send");
    let sent = admin
        .ok(
            "POST",
            &path,
            &json!({"to": other, "kind": "text", "text": "hi"}).to_string(),
        )
        .await;
    let id = sent["id"].as_str().expect("an id");
    admin.inbox(&other, 1).await;
    for (body, status, named) in [
        (json!({"to": other, "kind": "text"}), 400, "`text`"),
        (json!({"to": other, "kind": "text", "text": ""}), 400, "`text`"),
        (
            json!({"to": other, "kind": "text", "text": "a", "colour": "red"}),
            400,
            "`colour`",
        ),
        (json!({"to": other, "kind": "smell"}), 400, "`kind`"),
        (
            json!({"to": "155509999999", "kind": "text", "text": "a"}),
            404,
            "`to`",
        ),
        (json!({"to": "a@b@c", "kind": "text", "text": "a"}), 400, "`to`"),
        (
            json!({"to": other, "kind": "text", "text": "a", "id": "a b"}),
            400,
            "`id`",
        ),
        (
            json!({"to": other, "kind": "text", "text": "a", "replyTo": "NONE"}),
            404,
            "`replyTo`",
        ),
        (
            json!({"to": other, "kind": "text", "text": "a", "mentions": ["155509999999"]}),
            404,
            "`mentions`",
        ),
        (
            json!({"to": other, "kind": "image", "base64": "%"}),
            400,
            "`base64`",
        ),
        (
            json!({"to": other, "kind": "voice", "base64": "YQ==", "caption": "a"}),
            400,
            "`caption`",
        ),
        (
            json!({"to": other, "kind": "location", "latitude": 91, "longitude": 0}),
            400,
            "`latitude`",
        ),
        (
            json!({"to": other, "kind": "contact", "name": "A"}),
            400,
            "`vcard`",
        ),
        (
            json!({"to": other, "kind": "poll", "question": "?", "options": ["a"]}),
            400,
            "`options`",
        ),
        (
            json!({"to": other, "kind": "poll", "question": "?", "options": ["a", "a"]}),
            400,
            "`options`",
        ),
        (
            json!({"to": other, "kind": "poll", "question": "?", "options": ["a", "b"], "selectable": 3}),
            400,
            "`selectable`",
        ),
        (
            json!({"to": other, "kind": "poll-vote", "messageId": id, "options": []}),
            400,
            "`messageId`",
        ),
        (
            json!({"to": other, "kind": "reaction", "messageId": "NONE", "emoji": "x"}),
            404,
            "`messageId`",
        ),
        (
            json!({"to": other, "kind": "reaction", "messageId": id, "emoji": "x", "replyTo": id}),
            400,
            "`replyTo`",
        ),
        (
            json!({"to": other, "kind": "pin", "messageId": id, "seconds": 5}),
            400,
            "`seconds`",
        ),
        (
            json!({"to": other, "kind": "disappearing", "seconds": 5}),
            400,
            "`seconds`",
        ),
        (
            json!({"to": other, "kind": "raw", "protobuf": "/w=="}),
            400,
            "`protobuf`",
        ),
    ] {
        let (got, error) = admin.call("POST", &path, &body.to_string()).await;
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(got == status && message.contains(named), "{body}: {got} {error}");
    }
    // Only the author edits and revokes.
    let theirs = format!("/admin/phones/{other}/send");
    for kind in [json!({"kind": "edit", "text": "b"}), json!({"kind": "revoke"})] {
        let mut body = kind.clone();
        body["to"] = json!(one);
        body["messageId"] = json!(id);
        let (status, error) = admin.call("POST", &theirs, &body.to_string()).await;
        assert_eq!(
            (status, error["error"]["code"].as_str()),
            (409, Some("CONFLICT")),
            "{kind}"
        );
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inbox_shows_what_arrived_and_on_request_what_was_sent() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (one, other) = (admin.phone().await, admin.phone().await);
    let body = json!({"to": other, "kind": "text", "text": "hi", "id": "CHOSEN"});
    let sent = admin
        .ok("POST", &format!("/admin/phones/{one}/send"), &body.to_string())
        .await;
    assert_eq!(sent, json!({"id": "CHOSEN", "to": other}));
    let entry = admin.inbox(&other, 1).await.remove(0);
    let mut members: Vec<&str> = entry
        .as_object()
        .expect("an entry")
        .keys()
        .map(String::as_str)
        .collect();
    members.sort_unstable();
    let named = [
        "chat",
        "copies",
        "fileName",
        "from",
        "fromLid",
        "id",
        "kind",
        "latitude",
        "longitude",
        "mediaSha256",
        "quoted",
        "receivedAt",
        "text",
    ];
    assert_eq!(members, named);
    let inbox = format!("/admin/phones/{one}/inbox");
    assert_eq!(admin.ok("GET", &inbox, "").await, json!([]));
    let with_sent = admin.ok("GET", &format!("{inbox}?sent=true"), "").await;
    assert_eq!(
        (
            with_sent[0]["id"].as_str(),
            with_sent[0]["from"].as_str(),
            with_sent[0]["chat"].as_str()
        ),
        (Some("CHOSEN"), Some(one.as_str()), Some(other.as_str()))
    );
    let decrypted = admin
        .ok("GET", &format!("/admin/phones/{other}/inbox/CHOSEN"), "")
        .await;
    let bytes = STANDARD
        .decode(decrypted["protobuf"].as_str().expect("a protobuf"))
        .expect("base64");
    let message = wa::Message::decode_from_slice(&bytes).expect("a message");
    assert_eq!(message.conversation.as_deref(), Some("hi"));
    let (status, _) = admin
        .call("GET", &format!("/admin/phones/{other}/inbox/NONE"), "")
        .await;
    assert_eq!(status, 404);
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_is_set_shown_and_ended() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let path = format!("/admin/phones/{}/auto-reply", admin.phone().await);
    let null = serde_json::Value::Null;
    assert_eq!(admin.ok("GET", &path, "").await, null);
    for (body, named) in [("{}", "`text`"), (r#"{"echo": true, "pace": 1}"#, "`pace`")] {
        let (status, error) = admin.call("POST", &path, body).await;
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(
            status == 400 && message.contains(named),
            "{body}: {status} {error}"
        );
    }
    let rule = admin
        .ok("POST", &path, r#"{"text": "later", "delayMs": 5}"#)
        .await;
    let whole = json!({"text": "later", "echo": false, "delayMs": 5, "read": false, "typing": false});
    assert_eq!(rule, whole);
    assert_eq!(admin.ok("GET", &path, "").await, whole);
    assert_eq!(admin.ok("POST", &path, "null").await, null);
    assert_eq!(admin.ok("GET", &path, "").await, null);
    admin.ok("POST", &path, r#"{"echo": true}"#).await;
    admin.ok("DELETE", &path, "").await;
    assert_eq!(admin.ok("GET", &path, "").await, null);
    sandbox.shutdown().await;
}
