//! Errors as the document tells them: a schema for each code, with the shape of its `details`, and a response for each set
//! of codes that share a status.

use serde_json::json;
use shared::auth::api_key::Scope;
use shared::domain::account::Tier;
use shared::domain::instance::Status;
use utoipa::PartialSchema;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::envelope::{self, boolean};
use super::example::{Schemas, example};
use super::header;
use crate::http::{Code, ERROR_PAGES, Timestamp};

/// The members of a code's `details`, if it has more than a code and a message.
fn details(code: Code) -> Option<Vec<(&'static str, RefOr<Schema>)>> {
    let of = |members: Vec<(&'static str, RefOr<Schema>)>| Some(members);
    match code {
        Code::ValidationError => {
            let field = ObjectBuilder::new()
                .schema_type(Type::Object)
                .property("field", text("to"))
                .property("message", text("is missing"))
                .required("field")
                .required("message");
            of(vec![("fields", ArrayBuilder::new().items(field).into())])
        }
        Code::InsufficientScope => of(vec![("requiredScope", Scope::schema())]),
        Code::QuotaExceeded => of(vec![("limit", count(10_000)), ("renewsAt", Timestamp::schema())]),
        Code::InstanceLimitReached => of(vec![("tier", Tier::schema()), ("limit", count(5))]),
        Code::InstanceNotConnected => of(vec![("status", Status::schema())]),
        Code::RateLimited => of(vec![("limit", count(1_000))]),
        Code::QueueFull => of(vec![("limit", count(5_000)), ("waiting", count(5_000))]),
        Code::AccountLocked => of(vec![("until", Timestamp::schema())]),
        Code::UpstreamTimeout => {
            let outcome = ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(["not_started", "unknown"]))
                .description(Some("Whether the request may have taken effect"));
            of(vec![("outcome", outcome.into())])
        }
        _ => None,
    }
}

fn text(example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).examples([example])
}

fn count(example: u32) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .examples([example])
        .into()
}

/// Where a code is explained, on the deployment that answers it.
fn page(code: Code) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .description(Some("The page that explains the code"))
        .examples([format!("https://api.example.com{ERROR_PAGES}/{}", code.as_str())])
}

/// The schema of an error with this code.
pub fn schema(code: Code) -> RefOr<Schema> {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([code.as_str()]));
    let mut error = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(code.meaning()))
        .property("code", name)
        .property(
            "message",
            text(code.meaning()).description(Some("For people; may change")),
        )
        .property("docUrl", page(code))
        .required("code")
        .required("message")
        .required("docUrl");
    if let Some(members) = details(code) {
        let mut details = ObjectBuilder::new().schema_type(Type::Object);
        for (name, schema) in members {
            details = details.property(name, schema).required(name);
        }
        error = error.property("details", details).required("details");
    } else if matches!(code, Code::Conflict | Code::UpstreamError) {
        let details = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("What stands in the way, where there is more to tell"));
        error = error.property("details", details);
    }
    error.into()
}

/// The name of the response for these codes, which have one status.
pub fn response_name(codes: &[Code]) -> String {
    let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
    names.join("-")
}

/// The response for these codes.
pub fn response(codes: &[Code], schemas: &Schemas) -> Response {
    let lines = codes
        .iter()
        .map(|code| format!("- `{}`: {}", code.as_str(), code.meaning()));
    let reference = |code: &Code| Ref::from_schema_name(code.as_str());
    let error: RefOr<Schema> = if let [code] = codes {
        reference(code).into()
    } else {
        let choices = codes.iter().map(reference);
        choices.fold(OneOfBuilder::new(), OneOfBuilder::item).into()
    };
    let body = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property("success", boolean(false))
        .property("error", error)
        .property("meta", Ref::from_schema_name(envelope::META))
        .required("success")
        .required("error")
        .required("meta");
    let examples = codes.iter().map(|code| {
        let value = json!({
            "success": false,
            "error": example(&Ref::from_schema_name(code.as_str()).into(), schemas),
            "meta": example(&Ref::from_schema_name(envelope::META).into(), schemas),
        });
        (
            code.as_str(),
            ExampleBuilder::new()
                .summary(code.meaning())
                .value(Some(value))
                .build(),
        )
    });
    let content = ContentBuilder::new()
        .schema(Some(body))
        .examples_from_iter(examples);
    let status = codes.first().map_or(500, |code| code.status().as_u16());
    let mut response = ResponseBuilder::new()
        .description(lines.collect::<Vec<_>>().join("\n"))
        .content("application/json", content.build());
    let of_counted = if status == 401 { &[] } else { header::OF_COUNTED };
    let of_status: &[_] = match status {
        401 => &["WWW-Authenticate"],
        429 | 503 => &["Retry-After"],
        409 if codes.contains(&Code::InstanceNotConnected) => &["Retry-After"],
        _ => &[],
    };
    for name in header::OF_ALL.iter().chain(of_counted).chain(of_status) {
        response = response.header_ref(*name, header::reference(name));
    }
    response.build()
}
