//! `GET /docs/errors` and `GET /docs/errors/{code}`: what each code means, whether to try again, and how to bring it about in the
//! sandbox. `docUrl` of every error leads here. The pages are text alone: their policy lets a browser load nothing.

mod advice;
mod failures;

use std::fmt::Write as _;
use std::str::FromStr;

use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use shared::domain::message::FailureCode;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::endpoint::Endpoint;
use crate::http::{Code, ERROR_PAGES, Path};
use crate::openapi::Tag;

/// Nothing is loaded, nothing is sent, and no other page is around it. The style is in the page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none';style-src 'unsafe-inline';base-uri 'none';form-action 'none';frame-ancestors 'none'",
);

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}\
    code{font-family:ui-monospace,monospace}td,th{text-align:left;vertical-align:top;padding:.25rem 1rem .25rem 0}";

/// A code that has a page: of an error, of a message's failure, or of both.
#[derive(Debug, Clone, Copy)]
pub struct Explained {
    error: Option<Code>,
    failure: Option<FailureCode>,
}

impl Explained {
    /// All of them, each name once.
    fn names() -> Vec<&'static str> {
        let errors = Code::ALL.iter().map(|code| code.as_str());
        let failures = FailureCode::ALL.iter().map(|code| code.as_str());
        let failures = failures.filter(|name| error(name).is_none());
        errors.chain(failures).collect()
    }
}

fn error(name: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.as_str() == name)
}

impl FromStr for Explained {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (error, failure) = (error(text), text.parse().ok());
        if error.is_none() && failure.is_none() {
            return Err(());
        }
        Ok(Self { error, failure })
    }
}

impl PartialSchema for Explained {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Self::names()))
            .into()
    }
}

impl ToSchema for Explained {}

pub fn index_endpoint<S: Clone + Send + Sync + 'static>() -> Endpoint<S> {
    Endpoint::new(Method::GET, ERROR_PAGES, "getErrorsPage", index)
        .about(Tag::Operations, "All codes of errors as a page")
        .answers_plain("text/html")
}

pub async fn index() -> Response {
    let mut errors =
        "<h1>Errors</h1>\n<p>The codes of <code>error.code</code> in answers of the API.</p>\n".to_owned();
    errors.push_str("<table>\n<tr><th>Code</th><th>Status</th><th>Meaning</th></tr>\n");
    for code in Code::ALL {
        let (name, status) = (code.as_str(), code.status().as_u16());
        row(&mut errors, name, &status.to_string(), code.meaning());
    }
    errors.push_str("</table>\n<h2>Failures of messages</h2>\n");
    errors.push_str("<p>The codes of <code>error.code</code> of a message that is <code>failed</code> or <code>expired</code>.</p>\n");
    errors.push_str("<table>\n<tr><th>Code</th><th>Retryable</th><th>Meaning</th></tr>\n");
    for code in FailureCode::ALL {
        let again = if code.is_retryable() { "yes" } else { "no" };
        row(&mut errors, code.as_str(), again, code.meaning());
    }
    errors.push_str("</table>\n");
    page("Errors", &errors)
}

fn row(html: &mut String, name: &str, second: &str, meaning: &str) {
    // Writing to a text does not fail.
    let _ = writeln!(
        html,
        "<tr><td><a href=\"{ERROR_PAGES}/{name}\"><code>{name}</code></a></td><td>{second}</td><td>{}</td></tr>",
        text(meaning)
    );
}

pub fn endpoint<S: Clone + Send + Sync + 'static>() -> Endpoint<S> {
    Endpoint::new(Method::GET, "/docs/errors/{code}", "getErrorPage", handler)
        .about(Tag::Operations, "A code of errors as a page")
        .details("`error.docUrl` of every error leads to the page of its code. Failures of messages have pages too.")
        .answers_plain("text/html")
}

pub async fn handler(Path(Explained { error, failure }): Path<Explained>) -> Response {
    let mut html = String::new();
    let mut name = "";
    if let Some(code) = error {
        name = code.as_str();
        let advice = advice::of(code);
        let _ = writeln!(
            html,
            "<h1><code>{name}</code></h1>\n<p>HTTP status {}.</p>",
            code.status().as_u16()
        );
        section(&mut html, "What it means", code.meaning());
        section(&mut html, "Whether to try again", advice.again);
        section(&mut html, "How to provoke it in the sandbox", advice.provoke);
    }
    if let Some(code) = failure {
        if name.is_empty() {
            let _ = writeln!(html, "<h1><code>{code}</code></h1>");
        }
        name = code.as_str();
        html.push_str("<p>The <code>error.code</code> of a message that is <code>failed</code> or <code>expired</code>.</p>\n");
        section(&mut html, "What it means for a message", code.meaning());
        let again = if code.is_retryable() {
            "The same message, sent again as a new one, may succeed, and cannot be shown twice."
        } else {
            "Not by itself: something else has to happen first, or the message may have arrived."
        };
        section(&mut html, "Whether to send it again", again);
        section(&mut html, "What to do", code.remedy());
        section(
            &mut html,
            "How to provoke it in the sandbox",
            failures::provoke(code),
        );
    }
    let _ = writeln!(
        html,
        "<p><a href=\"{ERROR_PAGES}\">All codes</a> · <a href=\"/api/docs\">The API</a></p>"
    );
    page(name, &html)
}

fn section(html: &mut String, title: &str, words: &str) {
    let _ = writeln!(html, "<h2>{title}</h2>\n<p>{}</p>", text(words));
}

/// Words of ours as HTML: what stands between backticks is code.
fn text(words: &str) -> String {
    let mut html = String::with_capacity(words.len());
    for (n, part) in words.split('`').enumerate() {
        let part = part
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        if n % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(&part);
        }
    }
    html
}

fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} · Waxwing</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    );
    let mut response = html.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}
