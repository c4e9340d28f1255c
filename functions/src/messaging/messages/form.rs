//! A send as a form (`multipart/form-data`, RFC 7578): its part `file` is the file, and each other part one member of the body
//! that JSON would have. It is made into that body, so all rules are the same.

use std::collections::BTreeSet;

use axum::body::{Body, Bytes};
use axum::extract::multipart::MultipartError;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use shared::domain::content::MAX_PART;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Schema, SchemaType, Type};

use super::members;
use crate::http::{ApiError, Code, Fields, body};

/// The part that is a file.
const FILE: &str = "file";

/// The types that browsers and `curl` write where they know none.
const NO_TYPE: &str = "application/octet-stream";

/// The body that a form stands for, as JSON, and its file beside it.
pub async fn read<T: ToSchema>(request: Request) -> Result<(Bytes, Option<Bytes>), ApiError> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let whole = body::collect(Request::from_parts(parts, body)).await?;
    let mut request = Request::new(Body::from(whole));
    *request.headers_mut() = headers;
    // It has come, and is no longer than it may be.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| malformed())?;
    let schema = members::object::<T>();
    let (mut members, mut fields, mut seen) = (Map::new(), Fields::default(), BTreeSet::new());
    let mut file = None;
    while let Some(part) = form.next_field().await.map_err(unreadable)? {
        let name = part.name().unwrap_or_default().to_owned();
        if !seen.insert(name.clone()) {
            fields.fault(name, "is there twice");
            continue;
        }
        if name != FILE {
            let (member, is_file) = (schema.properties.get(&name), part.file_name().is_some());
            let text = String::from_utf8(part.bytes().await.map_err(unreadable)?.into());
            match text {
                Ok(text) if member.is_some() || !is_file => {
                    let value = value(member, text);
                    members.insert(name, value);
                }
                Err(_) if member.is_some() => fields.fault(name, "must be UTF-8"),
                // Whoever sends a file under a name that is no member's means `file`.
                _ => fields.fault(name, "is unknown: the file is the part `file`"),
            }
            continue;
        }
        let called = part.file_name().map(str::to_owned);
        let mime_type = part
            .content_type()
            .filter(|given| *given != NO_TYPE)
            .map(str::to_owned);
        let bytes = part.bytes().await.map_err(unreadable)?;
        if bytes.len() > MAX_PART {
            let most = MAX_PART / (1_024 * 1_024);
            let message = format!("The part `file` is larger than {most} MiB: upload it, or name its URL");
            return Err(ApiError::new(Code::PayloadTooLarge, message));
        }
        file = Some(bytes);
        for (name, told) in [("fileName", called), ("mimeType", mime_type)] {
            let told = told.filter(|told| !told.is_empty() && schema.properties.contains_key(name));
            if let Some(told) = told {
                members.entry(name).or_insert(told.into());
            }
        }
    }
    let has_file = seen.contains(FILE);
    for name in ["base64", "url", "mediaId"] {
        if has_file && seen.contains(name) {
            fields.fault(name, "must not be there beside the part `file`");
        }
    }
    fields.finish()?;
    let json = serde_json::to_vec(&members).map_err(|error| ApiError::internal().caused_by(error))?;
    Ok((json.into(), file))
}

/// What a request asks: another file makes another request.
pub fn asked(body: Bytes, file: Option<&Bytes>) -> Bytes {
    match file {
        Some(file) => [&*body, b"\n", &*Sha256::digest(file)].concat().into(),
        None => body,
    }
}

/// The value of a part: a text where the member is one, and JSON where it is something else.
fn value(schema: Option<&RefOr<Schema>>, text: String) -> Value {
    let is_text = match schema {
        // Types with a name of their own are texts.
        None | Some(RefOr::Ref(_)) => true,
        Some(RefOr::T(Schema::Object(object))) => match &object.schema_type {
            SchemaType::Type(kind) => *kind == Type::String,
            SchemaType::Array(kinds) => kinds.contains(&Type::String),
            SchemaType::AnyValue => false,
        },
        Some(RefOr::T(_)) => false,
    };
    let parsed = if is_text {
        None
    } else {
        serde_json::from_str(&text).ok()
    };
    parsed.unwrap_or(Value::String(text))
}

fn malformed() -> ApiError {
    ApiError::new(
        Code::UnsupportedMediaType,
        "The form names no boundary: send `Content-Type: multipart/form-data; boundary=…`",
    )
}

fn unreadable(error: MultipartError) -> ApiError {
    ApiError::field(
        "body",
        "must be a form (RFC 7578) whose parts are texts in UTF-8, but for `file`",
    )
    .caused_by(error)
}
