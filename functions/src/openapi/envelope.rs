//! The envelope of answers, as the document tells of it.

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::PartialSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, Object, Ref, RefOr, Response, ResponseBuilder};

use super::example::{Schemas, example};
use super::header;
use super::operation::{Caller, Operation};
use crate::http::{Pagination, Timestamp};

/// The schema of `meta`.
pub const META: &str = "Meta";

/// The schema of `meta` that names an API key's instance.
const KEY_META: &str = "KeyMeta";

/// The schema of `meta` of a list.
const LIST_META: &str = "ListMeta";

/// The envelope's own schemas.
pub fn schemas() -> [(String, RefOr<Schema>); 3] {
    let meta = || {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("timestamp", Timestamp::schema())
            .property("request_id", request_id())
            .required("timestamp")
            .required("request_id")
    };
    let key = || {
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The instance that the API key is for"))
            .examples(["customer-service"]);
        meta().property("instanceName", name)
    };
    let mut pagination = Pagination::schema();
    super::operation::require_all(&mut pagination);
    let list = meta().property("pagination", pagination).required("pagination");
    [
        (META.to_owned(), key().into()),
        (KEY_META.to_owned(), key().required("instanceName").into()),
        (LIST_META.to_owned(), list.into()),
    ]
}

fn request_id() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(
            "As in `X-Request-Id`: the caller's own, or one of the service's",
        ))
        .examples(["req_01JD0000000000000000000000"])
        .build()
}

/// A flag that has this value.
pub fn boolean(value: bool) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .enum_values(Some([value]))
        .build()
}

/// The successful answer of an operation. `data` is the schema of what the envelope carries.
pub fn response(operation: &Operation, data: Option<RefOr<Schema>>, schemas: &Schemas) -> Response {
    let mut response = ResponseBuilder::new().description(meaning(operation.status));
    if let Some(data) = data {
        let is_list = operation.answer.as_ref().is_some_and(|answer| answer.is_list);
        let data = if is_list {
            ArrayBuilder::new().items(data).into()
        } else {
            data
        };
        let meta = match operation.caller {
            _ if is_list => LIST_META,
            Caller::Key(_) => KEY_META,
            Caller::User(_) | Caller::Anyone => META,
        };
        let meta: RefOr<Schema> = Ref::from_schema_name(meta).into();
        let value = json!({
            "success": true,
            "data": example(&data, schemas),
            "meta": meta_example(operation.caller, example(&meta, schemas)),
        });
        let body = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("success", boolean(true))
            .property("data", data)
            .property("meta", meta)
            .required("success")
            .required("data")
            .required("meta");
        let content = ContentBuilder::new().schema(Some(body)).example(Some(value));
        response = response.content("application/json", content.build());
    }
    for media_type in &operation.plain {
        response = response.content(*media_type, ContentBuilder::new().build());
    }
    let of_counted = if operation.is_counted {
        header::OF_COUNTED
    } else {
        &[]
    };
    let of_replays: &[_] = if operation.is_replayed {
        &["Idempotency-Replayed"]
    } else {
        &[]
    };
    let of_leading = if operation.status == StatusCode::SEE_OTHER {
        header::OF_LEADING
    } else {
        &[]
    };
    let of_all = header::OF_ALL.iter().chain(of_leading);
    for name in of_all.chain(of_counted).chain(of_replays) {
        response = response.header_ref(*name, header::reference(name));
    }
    response.build()
}

fn meta_example(caller: Caller, mut meta: Value) -> Value {
    if let (Caller::User(_) | Caller::Anyone, Some(members)) = (caller, meta.as_object_mut()) {
        members.remove("instanceName");
    }
    meta
}

fn meaning(status: StatusCode) -> &'static str {
    match status {
        StatusCode::CREATED => "It was made",
        StatusCode::ACCEPTED => "It will be done",
        StatusCode::SEE_OTHER => "It is elsewhere, where `Location` says",
        _ => "Done",
    }
}
