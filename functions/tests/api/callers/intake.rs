//! What no route takes, sent to every route: the shell refuses it, whoever wrote the handler.

use axum::body::Body;
use serde_json::json;

use super::cast::Cast;
use super::table::{Route, Takes, table};
use crate::support::{Answer, request};

/// The one fault that an answer names.
#[track_caller]
fn only_fault(answer: &Answer, what: &str) -> (String, String) {
    assert_eq!(answer.status, 400, "{what}: {answer:?}");
    let faults = answer.faults();
    assert_eq!(faults.len(), 1, "{what}: {faults:?}");
    let (field, message) = faults[0].split_once(' ').expect("both");
    (field.to_owned(), message.to_owned())
}

/// What an answer to a key says beside its refusal.
#[track_caller]
fn tells_of_the_key(route: &Route, answer: &Answer) {
    if matches!(route.takes, Takes::Key(_)) {
        assert_eq!(answer.header("x-ratelimit-limit"), "1000");
        assert_eq!(answer.json()["meta"]["instanceName"], json!("sales"));
    }
}

#[tokio::test]
async fn no_route_takes_a_parameter_that_it_does_not_know() {
    let cast = Cast::new().await;
    for route in table() {
        let what = format!("{} {}", route.method, route.path);
        let path = format!("{}?dryRun=true", cast.fill(route.path).await);
        let answer = cast.send_to(&route, &path, &cast.token_for(&route).await).await;
        let unknown = ("dryRun".to_owned(), "is unknown".to_owned());
        assert_eq!(only_fault(&answer, &what), unknown, "{what}");
        tells_of_the_key(&route, &answer);
        if route.takes != Takes::Anyone {
            let answer = cast.send_to(&route, &path, "").await;
            assert_eq!(answer.status, 401, "{what}: who may not call learns that first");
        }
    }
}

#[tokio::test]
async fn a_route_that_takes_no_body_takes_none_at_all() {
    let cast = Cast::new().await;
    let large = format!("\"{}\"", "x".repeat(1_100_000));
    for route in table() {
        if !route.body.is_empty() {
            continue;
        }
        let what = format!("{} {}", route.method, route.path);
        let path = cast.fill(route.path).await;
        let token = cast.token_for(&route).await;
        for body in ["{}", "{\"broken", &large] {
            // One piece of known length, and pieces of which nobody knows how many there are.
            let pieces = futures::stream::iter([Ok::<_, std::io::Error>(body.to_owned())]);
            for body in [Body::from(body.to_owned()), Body::from_stream(pieces)] {
                let answer = cast.world.send(request(route.method, &token, &path, body)).await;
                let (field, message) = only_fault(&answer, &what);
                assert_eq!(field, "body", "{what}");
                assert_eq!(message, "must be empty: this route takes none");
                tells_of_the_key(&route, &answer);
            }
        }
    }
}

#[tokio::test]
async fn a_stream_without_anything_in_it_is_no_body() {
    let cast = Cast::new().await;
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>(String::new())]);
    let request = request(
        "GET",
        &cast.ada.token,
        "/api/instances",
        Body::from_stream(pieces),
    );
    cast.world.send(request).await.data(200);
}

#[tokio::test]
async fn no_body_is_taken_that_is_packed_or_too_large() {
    let cast = Cast::new().await;
    for route in table() {
        if route.body.is_empty() {
            continue;
        }
        let what = format!("{} {}", route.method, route.path);
        let path = cast.fill(route.path).await;
        let token = cast.token_for(&route).await;
        let mut packed = request(route.method, &token, &path, Body::from("packed"));
        let gzip = "gzip".parse().expect("a value");
        packed.headers_mut().insert("content-encoding", gzip);
        assert_eq!(
            cast.world.send(packed).await.error(),
            "415 UNSUPPORTED_MEDIA_TYPE: The body must come as it is: `Content-Encoding` is not taken",
            "{what}"
        );
        let large = "x".repeat(1024 * 1024 + 1);
        let pieces = futures::stream::iter([Ok::<_, std::io::Error>(large.clone())]);
        for body in [Body::from(large), Body::from_stream(pieces)] {
            let answer = cast.world.send(request(route.method, &token, &path, body)).await;
            assert_eq!(
                answer.error(),
                "413 PAYLOAD_TOO_LARGE: The body is larger than 1048576 bytes",
                "{what}"
            );
            tells_of_the_key(&route, &answer);
        }
    }
}
