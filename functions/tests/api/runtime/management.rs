//! `management`: queries as they were written, stages, headers with several values, answers that are no text.

use std::fmt::Write as _;

use serde_json::{Value, json};
use shared::config::Function;
use shared::ids::InstanceId;
use testbed::lambda;
use testbed::wait::until;

use super::{Deployed, Reply, call, event, event_of, registered};

/// A user with two instances: the function, the user's token, and the instance that is called `sales`.
async fn with_instances(deployed: &Deployed) -> (lambda::Function, String, Value) {
    let auth = deployed.function(Function::Auth).await;
    let management = deployed.function(Function::Management).await;
    let token = registered(&auth).await;
    let mut create = event_of(&token, "create-instance");
    let sales = call(&management, &create).await.data(201);
    create["body"] = json!(json!({"name": "support"}).to_string());
    call(&management, &create).await.data(201);
    (management, token, sales)
}

/// Each byte of a text as a query may spell it.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        // Writing to a text does not fail.
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}

#[tokio::test]
async fn a_query_is_read_as_it_was_written() {
    let deployed = Deployed::new().await;
    let (management, token, _) = with_instances(&deployed).await;
    let mut list = event_of(&token, "query-encoded");
    list["rawQueryString"] = json!("limit=1");
    let first = call(&management, &list).await;
    let cursor = first.json()["meta"]["pagination"]["nextCursor"].clone();
    let cursor = cursor
        .as_str()
        .unwrap_or_else(|| panic!("a cursor: {}", first.json()));
    list["rawQueryString"] = json!(format!("limit=1&cursor={}", encoded(cursor)));
    let second = call(&management, &list).await;
    let names = [&first, &second].map(|page| page.data(200)[0]["name"].clone());
    let mut names = names.map(|name| name.as_str().expect("a name").to_owned());
    names.sort();
    assert_eq!(names, ["sales", "support"]);

    let repeated = call(&management, &event_of(&token, "query-repeated")).await;
    assert_eq!(repeated.code(), "400 VALIDATION_ERROR");
    let fields = repeated.json()["error"]["details"]["fields"].clone();
    let faults: Vec<_> = fields
        .as_array()
        .expect("a list")
        .iter()
        .map(|fault| format!("{} {}", fault["field"], fault["message"]))
        .collect();
    assert_eq!(faults, [r#""limit" "is there twice""#, r#""färbe" "is unknown""#]);
}

#[tokio::test]
async fn a_stage_is_no_part_of_a_path() {
    let deployed = Deployed::new().await;
    let (management, token, _) = with_instances(&deployed).await;
    let listed = |reply: Reply| reply.data(200).as_array().map(Vec::len);
    let stage = event_of(&token, "stage");
    assert_eq!(listed(call(&management, &stage).await), Some(1));
    // A domain of one's own leads to a stage, and does not name it.
    let mut mapped = stage.clone();
    mapped["rawPath"] = json!("/api/instances");
    assert_eq!(listed(call(&management, &mapped).await), Some(1));
    let mut elsewhere = stage;
    elsewhere["rawPath"] = json!("/prod/prod/api/instances");
    assert_eq!(call(&management, &elsewhere).await.code(), "404 NOT_FOUND");
}

#[tokio::test]
async fn a_picture_goes_as_base64_and_a_header_may_ask_for_several() {
    let deployed = Deployed::new().await;
    let (management, token, sales) = with_instances(&deployed).await;
    let instance = sales["id"].as_str().expect("an id");
    let instance: InstanceId = instance.parse().expect("an id");
    let asked = event_of(&token, "accept-joined");
    let picture = until("the picture of a code", async || {
        deployed.daemon.lives().await;
        deployed.daemon.show_qr(instance, "2@code", 1).await;
        let reply = call(&management, &asked).await;
        // On a busy machine the code or the daemon is over by now.
        (reply.status == 200).then_some(reply)
    })
    .await;
    assert_eq!(picture.header("content-type"), "image/png");
    assert!(picture.is_base64 && picture.body.starts_with(b"\x89PNG\r\n\x1a\n"));

    let mut drawn = asked;
    drawn["headers"]["accept"] = json!("image/svg+xml");
    let drawing = until("the drawing of a code", async || {
        deployed.daemon.lives().await;
        deployed.daemon.show_qr(instance, "2@code", 1).await;
        let reply = call(&management, &drawn).await;
        (reply.status == 200).then_some(reply)
    })
    .await;
    assert!(!drawing.is_base64, "a drawing is text");
    assert!(drawing.body.starts_with(b"<"));
}

/// What is compressed is no text any more. The headers of an answer have one line each, with all that belongs into it.
#[tokio::test]
async fn a_compressed_answer_goes_as_base64_and_says_what_it_varies_by() {
    let deployed = Deployed::new().await;
    let management = deployed.function(Function::Management).await;
    let document = call(&management, &event("compressed")).await;
    assert_eq!(
        (document.status, document.header("content-encoding")),
        (200, "gzip")
    );
    assert!(document.is_base64 && document.body.starts_with(b"\x1f\x8b"));
    let vary = document.header("vary");
    for part in ["origin", "accept-encoding"] {
        assert!(
            vary.split(',').any(|name| name.trim().eq_ignore_ascii_case(part)),
            "{vary}"
        );
    }
}
