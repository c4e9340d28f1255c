//! `GET /pair/{token}`: the page, with a script and a style of its own. It is the same for every token: a program that opens
//! links to show what is behind them learns nothing and changes nothing. What there is to show the script asks for.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use shared::auth::pairing_link::PairingToken;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::language::{self, ALL, COUNT, TEXTS, Texts};
use crate::endpoint::Endpoint;
use crate::http::Path;
use crate::management::ManagementState;
use crate::openapi::Tag;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// The page loads its own files and asks its own address, and nobody else. No other page is around it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none';script-src 'self';style-src 'self';img-src data:;connect-src 'self';base-uri 'none';\
     form-action 'none';frame-ancestors 'none'",
);

/// The page in each language.
static PAGES: LazyLock<[String; COUNT]> = LazyLock::new(|| std::array::from_fn(page));

/// The script, behind the texts of all languages.
static SCRIPT_WITH_TEXTS: LazyLock<String> = LazyLock::new(|| {
    let languages = ALL.iter().zip(TEXTS.iter());
    let texts: Map<String, Value> = languages
        .map(|(language, texts)| (language.tag.to_owned(), json!(texts)))
        .collect();
    format!("const TEXTS = {};\n{SCRIPT}", Value::Object(texts))
});

/// The token of a link, or what was left of it on its way: the page tells its reader what is wrong with it.
#[derive(Debug)]
pub struct AnyToken;

impl FromStr for AnyToken {
    type Err = Infallible;

    fn from_str(_: &str) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

impl PartialSchema for AnyToken {
    fn schema() -> RefOr<Schema> {
        PairingToken::schema()
    }
}

impl ToSchema for AnyToken {
    fn name() -> std::borrow::Cow<'static, str> {
        PairingToken::name()
    }
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/pair/{token}", "getPairingPage", handler)
        .about(
            Tag::Pairing,
            "The page on which whoever holds the phone pairs an instance",
        )
        .details(
            "In the language that `Accept-Language` prefers: English, Portuguese, Spanish or Indonesian.",
        )
        .answers_plain("text/html")
}

pub async fn handler(Path(AnyToken): Path<AnyToken>, headers: HeaderMap) -> Response {
    let page = &PAGES[language::preferred(&headers)];
    let mut response = answer("text/html; charset=utf-8", page.clone());
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    response
}

pub fn script_endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/pair/page.js", "getPairingScript", script)
        .about(Tag::Pairing, "The page's script")
        .answers_plain("text/javascript")
}

pub async fn script() -> Response {
    answer("text/javascript; charset=utf-8", SCRIPT_WITH_TEXTS.clone())
}

pub fn style_endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/pair/page.css", "getPairingStyle", style)
        .about(Tag::Pairing, "The page's style")
        .answers_plain("text/css")
}

pub async fn style() -> Response {
    answer("text/css; charset=utf-8", STYLE.to_owned())
}

fn answer(media_type: &'static str, text: String) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// The page in the language of this place. A text stands where its name does, in double braces.
fn page(place: usize) -> String {
    let mut languages = String::new();
    for (at, language) in ALL.iter().enumerate() {
        let selected = if at == place { " selected" } else { "" };
        // Writing to a text does not fail.
        let _ = write!(
            languages,
            "<option value=\"{tag}\" lang=\"{tag}\"{selected}>{name}</option>",
            tag = language.tag,
            name = language.name
        );
    }
    let filled = PAGE
        .replace("{{language}}", ALL[place].tag)
        .replace("{{languages}}", &languages);
    fill(&filled, &TEXTS[place])
}

fn fill(page: &str, texts: &Texts) -> String {
    let mut parts = page.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((name, rest)) = part.split_once("}}") else {
            unreachable!("what opens in page.html is closed")
        };
        let Some(text) = texts.get(name) else {
            unreachable!("page.html names a text that is not there: {name}")
        };
        let text = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        filled.push_str(&text);
        filled.push_str(rest);
    }
    filled
}
