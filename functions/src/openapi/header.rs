//! The headers of answers, each told once.

use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Header, Ref};

/// What every answer has.
pub const OF_ALL: &[&str] = &["X-Request-Id"];

/// What an answer has besides, if its request was counted against its caller's limit.
pub const OF_COUNTED: &[&str] = &["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];

/// What an answer has that leads elsewhere.
pub const OF_LEADING: &[&str] = &["Location"];

/// All of them by name.
pub fn all() -> [(&'static str, Header); 8] {
    [
        (
            "X-Request-Id",
            header(
                "The request's id, which the logs name it by",
                json!("req_01JD0000000000000000000000"),
            ),
        ),
        (
            "X-RateLimit-Limit",
            header("Requests that the caller may make in the window", json!(1_000)),
        ),
        (
            "X-RateLimit-Remaining",
            header("Requests that are left of them", json!(999)),
        ),
        (
            "X-RateLimit-Reset",
            header("When the window ends, in Unix seconds", json!(1_767_229_200)),
        ),
        (
            "Retry-After",
            header("After how many seconds another attempt may succeed", json!(2)),
        ),
        (
            "Location",
            header(
                "Where what was asked for is",
                json!("https://bucket.example/file"),
            ),
        ),
        ("WWW-Authenticate", header("Always `Bearer`", json!("Bearer"))),
        (
            "Idempotency-Replayed",
            header(
                "`true` where the answer is that of an earlier request; else it is not there",
                json!("true"),
            ),
        ),
    ]
}

/// A reference to one of them.
pub fn reference(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

fn header(about: &str, example: Value) -> Header {
    let kind = if example.is_number() {
        Type::Integer
    } else {
        Type::String
    };
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(kind)))
        .description(Some(about))
        .example(Some(example))
        .build()
}
