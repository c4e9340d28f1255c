//! `GET /api/docs`: the document as a page from which one can call the API. All of its files are in the binary, and
//! the page's policy lets a browser ask nobody else.

use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use utoipa_swagger_ui::Config;

use crate::endpoint::Endpoint;
use crate::http::{ApiError, Code, ERROR_PAGES, PAGE_POLICY, Path};
use crate::openapi::Tag;

/// The page, which names the files below. Swagger UI shows the groups of operations; the table of errors comes after them.
static PAGE: LazyLock<String> = LazyLock::new(|| include_str!("page.html").replace("{{errors}}", &errors()));

/// Starts Swagger UI with our settings.
const START: &str = include_str!("start.js");

const START_NAME: &str = "start.js";

/// A file that the page loads. Swagger UI brings more of them, for pages that are built in other ways.
pub struct File(&'static str);

impl File {
    const ALL: [&str; 4] = [
        START_NAME,
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "favicon-32x32.png",
    ];
}

impl FromStr for File {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let name = Self::ALL.into_iter().find(|name| *name == text);
        name.map(Self).ok_or(())
    }
}

impl PartialSchema for File {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Self::ALL))
            .into()
    }
}

impl ToSchema for File {}

pub fn endpoint<S: Clone + Send + Sync + 'static>() -> Endpoint<S> {
    Endpoint::new(Method::GET, "/api/docs", "getDocs", handler)
        .about(Tag::Operations, "This documentation as a page")
        .answers_plain("text/html")
}

pub async fn handler() -> Response {
    answer("text/html; charset=utf-8", PAGE.as_bytes().to_vec())
}

/// Every code with its status and its meaning, as rows in HTML. Meanings are plain text of ours.
fn errors() -> String {
    let rows = Code::ALL.iter().map(|code| {
        let (name, status, meaning) = (code.as_str(), code.status().as_u16(), code.meaning());
        format!("<tr id=\"{name}\"><td><a href=\"{ERROR_PAGES}/{name}\"><code>{name}</code></a></td><td>{status}</td><td>{meaning}</td></tr>\n")
    });
    rows.collect()
}

pub fn file_endpoint<S: Clone + Send + Sync + 'static>() -> Endpoint<S> {
    Endpoint::new(Method::GET, "/api/docs/{file}", "getDocsFile", file)
        .about(Tag::Operations, "A file of the page")
        .answers_plain("text/javascript")
        .answers_plain("text/css")
        .answers_plain("image/png")
}

pub async fn file(Path(File(name)): Path<File>) -> Result<Response, ApiError> {
    if name == START_NAME {
        return Ok(answer("text/javascript", START.as_bytes().to_vec()));
    }
    let found = utoipa_swagger_ui::serve(name, Arc::new(Config::default()));
    let Some(file) = found.ok().flatten() else {
        return Err(ApiError::not_found("file"));
    };
    let mut response = answer(&file.content_type, file.bytes.into_owned());
    if file.gzpipped {
        // As it is in the binary: every browser takes it.
        set(response.headers_mut(), header::CONTENT_ENCODING, "gzip");
    }
    Ok(response)
}

fn answer(media_type: &str, bytes: Vec<u8>) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    set(headers, header::CONTENT_TYPE, media_type);
    set(headers, header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
