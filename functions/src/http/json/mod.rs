//! Strict JSON bodies: a typo in a member must not send a message without it, and one answer names all that is wrong.
//!
//! A body is checked against its schema in the document, so both say the same. What a schema cannot tell the handler
//! checks.

mod check;
mod given;
mod known;
mod strict;
mod texts;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;

#[cfg(test)]
pub(crate) use self::check::faults;
pub(crate) use self::check::parameter;
pub use self::given::Given;
use super::body::{self, is_of_type};
use super::error::{ApiError, Code};
use super::fields::Fields;

/// The type of a body that is JSON.
const JSON: &str = "application/json";

/// A body that is JSON of type `T`. `T` denies unknown fields.
#[derive(Debug)]
pub struct JsonBody<T> {
    /// What it says.
    pub value: T,
    /// Its bytes, which tell a repetition from another request.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned + ToSchema + 'static> JsonBody<T> {
    /// Reads a body that has come.
    pub fn parse(bytes: Bytes) -> Result<Self, ApiError> {
        let value = parse(&bytes)?;
        Ok(Self { value, bytes })
    }
}

impl<T: DeserializeOwned + ToSchema + 'static, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_of_type(request.headers(), JSON) {
            return Err(not_json());
        }
        Self::parse(body::collect(request).await?)
    }
}

/// The same for routes that can do without a body: no body counts as an empty object.
#[derive(Debug)]
pub struct OptionalJsonBody<T>(pub T);

impl<T: DeserializeOwned + Default + ToSchema + 'static, S: Send + Sync> FromRequest<S>
    for OptionalJsonBody<T>
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let typed = is_of_type(request.headers(), JSON);
        let bytes = body::collect(request).await?;
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

fn parse<T: DeserializeOwned + ToSchema + 'static>(bytes: &[u8]) -> Result<T, ApiError> {
    let read = strict::read(bytes).map_err(|error| syntax(&error))?;
    let mut fields = Fields::default();
    for path in read.doubled {
        fields.fault(path, "is there twice");
    }
    check::body::<T>(&read.value, &mut fields);
    fields.finish()?;
    serde_path_to_error::deserialize(read.value).map_err(|error| {
        // The schema accepts it and the type does not. The type's own words are not for callers.
        let path = error.path().to_string();
        let field = if matches!(&*path, "." | "") { "body" } else { &path };
        ApiError::field(field, "is not valid")
    })
}

/// Whether `T` knows a member of this name, whatever its value.
pub fn knows<T: DeserializeOwned>(name: &str) -> bool {
    let alone = Value::Object([(name.to_owned(), Value::Null)].into_iter().collect());
    // Members are checked in turn, and missing ones come last.
    T::deserialize(alone).err().is_none_or(|error| {
        let words = error.to_string();
        !words.starts_with("unknown field")
    })
}

fn syntax(error: &serde_json::Error) -> ApiError {
    let place = format!("line {}, column {}", error.line(), error.column());
    ApiError::new(
        Code::InvalidJson,
        format!("The body is not well-formed JSON ({place})"),
    )
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::IgnoredAny;
    use shared::domain::account::{EmailAddress, PersonName};

    use super::*;
    use crate::http::Whole;

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Outer {
        #[expect(dead_code, reason = "only its presence matters")]
        #[schema(value_type = EmailAddress)]
        to: String,
        #[expect(dead_code, reason = "only its presence matters")]
        #[schema(value_type = PersonName, required = false)]
        full_name: Option<String>,
        #[expect(dead_code, reason = "only its presence matters")]
        quote: Option<Inner>,
        #[expect(dead_code, reason = "only its presence matters")]
        #[schema(value_type = Vec<String>, required = false)]
        tags: Option<Vec<String>>,
        #[schema(ignore)]
        #[expect(dead_code, reason = "only its presence matters")]
        later: Option<IgnoredAny>,
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its presence matters")]
        #[schema(value_type = u32, maximum = 9)]
        id: Whole,
    }

    fn told(body: &str) -> String {
        let error = parse::<Outer>(body.as_bytes()).expect_err("not valid");
        let fields = error.details.as_ref().map(|details| &details["fields"]);
        let fields: Vec<_> = fields
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|fault| {
                let text = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
                format!("{} {}", text("field"), text("message"))
            })
            .collect();
        format!("{}: {}", error.code.as_str(), fields.join("; "))
    }

    #[test]
    fn every_member_that_is_wrong_is_named_with_its_path() {
        for (body, faults) in [
            (r#"{"quote":null}"#, "to is missing"),
            (
                r#"{"to":"a@b.example","tto":"2","x":null}"#,
                "tto is unknown; x is unknown",
            ),
            (r#"{"to":"a@b.example","to":"c@d.example"}"#, "to is there twice"),
            (
                r#"{"to":"a@b.example","quote":{"id":1,"x":2}}"#,
                "quote.x is unknown",
            ),
            (r#"{"to":"a@b.example","quote":{}}"#, "quote.id is missing"),
            (r#"{"to":7}"#, "to must be a string"),
            (
                r#"{"to":null,"fullName":null}"#,
                "to must not be null; fullName must not be null",
            ),
            (
                r#"{"to":"a@b.example","quote":{"id":"x"}}"#,
                "quote.id must be a whole number from 0 to 9",
            ),
            (
                r#"{"quote":{"id":10}}"#,
                "to is missing; quote.id must be a whole number from 0 to 9",
            ),
            (
                r#"{"to":"a@b.example","tags":["x",1,{}],"fullName":true}"#,
                "fullName must be a string; tags[1] must be a string; tags[2] must be a string",
            ),
            (r#"["1", null]"#, "body must be an object"),
            (r#"{"to":"a@b.example","later":null}"#, "later must not be null"),
            ("7", "body must be an object"),
            ("null", "body must be an object"),
        ] {
            assert_eq!(told(body), format!("VALIDATION_ERROR: {faults}"), "{body}");
        }
    }

    #[test]
    fn beside_what_is_missing_the_texts_that_do_not_parse_are_named() {
        let told = told(r#"{"to":"nobody","fullName":7,"later":1}"#);
        assert!(told.starts_with("VALIDATION_ERROR: to must be"), "{told}");
        assert!(
            told.ends_with("; fullName must be a string; later is not served by this version"),
            "{told}"
        );
        // A handler tells these by itself where nothing else is wrong.
        assert!(parse::<Outer>(br#"{"to":"nobody","later":1}"#).is_ok());
    }

    #[test]
    fn what_is_no_json_is_told_apart() {
        for body in ["", "{", r#"{"to":"1"} {}"#, r#"{"to":"1",}"#] {
            assert!(told(body).starts_with("INVALID_JSON"), "{body}: {}", told(body));
        }
        let not_utf8 = parse::<Outer>(b"{\"to\":\"\xff\"}").expect_err("no UTF-8");
        assert_eq!(not_utf8.code, Code::InvalidJson);
    }

    #[test]
    fn none_is_told_from_a_member_that_is_not_there() {
        #[derive(Deserialize, ToSchema)]
        struct Change {
            #[serde(default)]
            #[schema(value_type = Option<String>)]
            end: Given<String>,
        }
        let end = |body: &str| parse::<Change>(body.as_bytes()).expect("valid").end;
        assert_eq!(end("{}"), Given::Absent);
        assert_eq!(end(r#"{"end":null}"#), Given::Null);
        assert_eq!(end(r#"{"end":"x"}"#), Given::Value("x".to_owned()));
    }
}
