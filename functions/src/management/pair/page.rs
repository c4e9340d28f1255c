//! `GET /pair/{token}`: the page, with a script and a style of its own. It is the same for every token: a program that opens
//! links to show what is behind them learns nothing and changes nothing. What there is to show the script asks for.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use shared::auth::pairing_link::PairingToken;
use shared::config::FeedAddress;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::language::{self, ALL, COUNT, TEXTS, Texts};
use crate::endpoint::{Argument, Endpoint};
use crate::http::Path;
use crate::management::ManagementState;
use crate::openapi::{Operation, Tag};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// The page loads its own files. It asks its own address, with the realtime feed where that is on another host, and nobody else. No
/// other page is around it.
fn policy(feed: Option<&FeedAddress>) -> String {
    let feed = match feed {
        Some(feed @ FeedAddress::Host(_)) => format!(" {}", feed.url()),
        Some(FeedAddress::OwnHost) | None => String::new(),
    };
    format!(
        "default-src 'none';script-src 'self';style-src 'self';img-src data:;connect-src 'self'{feed};base-uri 'none';\
         form-action 'none';frame-ancestors 'none'"
    )
}

/// Where the page says where the realtime feed is.
const FEED: &str = "{feed}";

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

/// Where the realtime feed is. That is known without the stores, so the page is there while they are not.
#[derive(Debug)]
pub struct Feed(Option<FeedAddress>);

impl FromRequestParts<ManagementState> for Feed {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &ManagementState) -> Result<Self, Infallible> {
        Ok(Self(state.feed.clone()))
    }
}

impl Argument<ManagementState> for Feed {
    fn describe(_: &mut Operation) {}
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

pub async fn handler(Feed(feed): Feed, Path(AnyToken): Path<AnyToken>, headers: HeaderMap) -> Response {
    let feed = feed.as_ref();
    let page = &PAGES[language::preferred(&headers)];
    let page = page.replace(FEED, &feed.map(FeedAddress::url).unwrap_or_default());
    let mut response = answer("text/html; charset=utf-8", page, feed);
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
    answer("text/javascript; charset=utf-8", SCRIPT_WITH_TEXTS.clone(), None)
}

pub fn style_endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/pair/page.css", "getPairingStyle", style)
        .about(Tag::Pairing, "The page's style")
        .answers_plain("text/css")
}

pub async fn style() -> Response {
    answer("text/css; charset=utf-8", STYLE.to_owned(), None)
}

fn answer(media_type: &'static str, text: String, feed: Option<&FeedAddress>) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    let policy = HeaderValue::try_from(policy(feed)).expect("a parsed URL is visible ASCII");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
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
        .replace("{{feed}}", FEED)
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
