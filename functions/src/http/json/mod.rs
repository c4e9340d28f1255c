//! Strict JSON bodies: a typo in a member must not send a message without it.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::error::{ApiError, Code};

/// The largest JSON body.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A body that is JSON of type `T`. `T` denies unknown fields.
#[derive(Debug)]
pub struct JsonBody<T> {
    /// What it says.
    pub value: T,
    /// What it is to the byte, by which a repetition is told from another request.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unreadable(&rejection))?;
        let value = parse(&bytes)?;
        Ok(Self { value, bytes })
    }
}

/// The same for routes that can do without a body: none is an empty object.
#[derive(Debug)]
pub struct OptionalJsonBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let typed = is_json(request.headers());
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unreadable(&rejection))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !typed {
            return Err(not_json());
        }
        parse(&bytes).map(Self)
    }
}

fn not_json() -> ApiError {
    ApiError::new(
        Code::UnsupportedMediaType,
        "The body must be JSON: send `Content-Type: application/json`",
    )
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn unreadable(rejection: &BytesRejection) -> ApiError {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => ApiError::new(
            Code::PayloadTooLarge,
            format!("The body is larger than {MAX_BODY_BYTES} bytes"),
        ),
        _ => ApiError::new(Code::InvalidJson, "The body could not be read"),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // Derived structs would take their members from an array as well, by position.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::field("body", "must be an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() {
            fault(&path, &inner.to_string())
        } else {
            syntax(&inner)
        }
    })?;
    deserializer.end().map_err(|error| syntax(&error))?;
    Ok(value)
}

fn syntax(error: &serde_json::Error) -> ApiError {
    let place = format!("line {}, column {}", error.line(), error.column());
    ApiError::new(
        Code::InvalidJson,
        format!("The body is not well-formed JSON ({place})"),
    )
}

/// Names the field. The deserializer's own words name a member that is missing or unknown
/// in backticks, and its path leads to the object around it.
fn fault(path: &str, words: &str) -> ApiError {
    // The place in the text is of no use to someone who has the field.
    let words = words.rsplit_once(" at line ").map_or(words, |(words, _)| words);
    let member = |what: &str| {
        let rest = words.strip_prefix(what)?;
        let name = rest.strip_prefix('`')?.split_once('`')?.0;
        let is_in_path = path == name || path.ends_with(&format!(".{name}"));
        Some(match path {
            "." | "" => name.to_owned(),
            _ if is_in_path => path.to_owned(),
            _ => format!("{path}.{name}"),
        })
    };
    if let Some(field) = member("missing field ") {
        return ApiError::field(field, "is missing");
    }
    if let Some(field) = member("unknown field ") {
        return ApiError::field(field, "is unknown");
    }
    if let Some(field) = member("duplicate field ") {
        return ApiError::field(field, "is there twice");
    }
    let field = if matches!(path, "." | "") { "body" } else { path };
    ApiError::field(field, format!("is not valid: {words}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its presence matters")]
        to: String,
        #[expect(dead_code, reason = "only its presence matters")]
        quote: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its presence matters")]
        id: u32,
    }

    fn told(body: &str) -> String {
        let error = parse::<Outer>(body.as_bytes()).expect_err("not valid");
        format!("{} {}", error.code.as_str(), error.message)
    }

    #[test]
    fn a_member_is_named_with_its_path() {
        assert_eq!(told(r#"{"quote":null}"#), "VALIDATION_ERROR `to` is missing");
        assert_eq!(
            told(r#"{"to":"1","tto":"2"}"#),
            "VALIDATION_ERROR `tto` is unknown"
        );
        assert_eq!(
            told(r#"{"to":"1","to":"2"}"#),
            "VALIDATION_ERROR `to` is there twice"
        );
        assert_eq!(
            told(r#"{"to":"1","quote":{"id":1,"x":2}}"#),
            "VALIDATION_ERROR `quote.x` is unknown"
        );
        assert_eq!(
            told(r#"{"to":"1","quote":{}}"#),
            "VALIDATION_ERROR `quote.id` is missing"
        );
        assert_eq!(
            told(r#"{"to":7}"#),
            "VALIDATION_ERROR `to` is not valid: invalid type: integer `7`, expected a string"
        );
        assert_eq!(
            told(r#"{"to":"1","quote":{"id":"x"}}"#),
            "VALIDATION_ERROR `quote.id` is not valid: invalid type: string \"x\", expected u32"
        );
        assert_eq!(
            told(r#"["1", null]"#),
            "VALIDATION_ERROR `body` must be an object"
        );
        assert_eq!(
            told("7"),
            "VALIDATION_ERROR `body` is not valid: invalid type: integer `7`, expected struct Outer"
        );
    }

    #[test]
    fn what_is_no_json_is_told_apart() {
        for body in ["", "{", r#"{"to":"1"} {}"#, r#"{"to":"1",}"#] {
            assert!(told(body).starts_with("INVALID_JSON"), "{body}: {}", told(body));
        }
        let not_utf8 = parse::<Outer>(b"{\"to\":\"\xff\"}").expect_err("no UTF-8");
        assert_eq!(not_utf8.code, Code::InvalidJson);
    }
}
