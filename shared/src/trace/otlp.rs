//! Records as OTLP has them, in JSON: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>. Ids are hexadecimal, and
//! numbers of 64 bits are texts.

use serde_json::{Value as Json, json};

use super::span::{Kind, Record, Value};

/// The body of a request that exports these records of a service.
pub fn request(service: &str, records: &[Record]) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let spans: Vec<Json> = records.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": {
                "attributes": [
                    attribute("service.name", &Value::Text(service.to_owned().into())),
                    attribute("service.version", &Value::Text(version.into())),
                ],
            },
            "scopeSpans": [{"scope": {"name": "waxwing", "version": version}, "spans": spans}],
        }],
    })
}

fn span(record: &Record) -> Json {
    let began = record.began_at.timestamp_nanos_opt().unwrap_or_default();
    let took = i64::try_from(record.took.as_nanos()).unwrap_or_default();
    let attributes: Vec<Json> = record
        .attributes
        .iter()
        .map(|(name, value)| attribute(name, value))
        .collect();
    let mut span = json!({
        "traceId": hex::encode(record.context.trace()),
        "spanId": hex::encode(record.context.span()),
        "name": record.name,
        "kind": kind(record.kind),
        "startTimeUnixNano": began.to_string(),
        "endTimeUnixNano": began.saturating_add(took).to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = record.parent {
        span["parentSpanId"] = hex::encode(parent).into();
    }
    if let Some(failure) = &record.failure {
        // STATUS_CODE_ERROR.
        span["status"] = json!({"code": 2, "message": failure});
    }
    span
}

fn attribute(name: &str, value: &Value) -> Json {
    let value = match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
    };
    json!({"key": name, "value": value})
}

/// The numbers of `Span.SpanKind`.
const fn kind(kind: Kind) -> u8 {
    match kind {
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    }
}
