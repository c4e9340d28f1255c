//! What a webhook's owner decides of it, checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::event::{EventType, Wants};
use shared::domain::webhook::{
    Headers, InvalidHeader, MAX_HEADER_NAME, MAX_HEADER_VALUE, MAX_HEADERS, WebhookUrl,
};
use shared::reach::{MAX_URL, Reach};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaFormat, Type};

use crate::http::{ApiError, Fields, Given};
use crate::openapi::MapOfTexts;

/// The most types that a webhook names. There are fewer; a name that is there twice counts once.
const MAX_EVENTS: usize = 100;

/// A webhook's settings as they come.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = WebhookSettings, example = json!({
    "url": "https://example.com/waxwing",
    "events": ["message.received", "message.status"],
    "headers": {"authorization": "Bearer 6xLk"},
    "enabled": true,
}))]
pub struct Request {
    #[schema(schema_with = url_schema)]
    url: String,
    #[schema(schema_with = events_schema)]
    events: Vec<String>,
    #[serde(default)]
    #[schema(schema_with = headers_schema)]
    headers: Given<BTreeMap<String, String>>,
    #[schema(schema_with = enabled_schema, required = false)]
    enabled: Option<bool>,
}

/// A webhook's settings.
#[derive(Debug)]
pub struct Settings {
    /// Where events are sent.
    pub url: WebhookUrl,
    /// Which ones.
    pub events: Wants,
    /// The headers that are sent along; `None` where they stay as they are.
    pub headers: Option<Headers>,
    /// Whether events are sent.
    pub enabled: bool,
}

impl Settings {
    /// What they say, for the comparison of two requests.
    pub fn said(&self) -> Value {
        json!([
            self.url.as_str(),
            self.events.names().collect::<Vec<_>>(),
            self.headers,
            self.enabled
        ])
    }
}

fn url_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .max_length(Some(MAX_URL))
        .pattern(Some("^[^#]*$"))
        .description(Some(
            "Where events are posted: an `https` URL of the internet, without a user name, a password and a fragment",
        ))
        .examples(["https://example.com/waxwing"])
        .build()
}

/// What the document tells of `events`.
pub fn events_schema() -> Array {
    let names = EventType::ALL.iter().map(|kind| kind.as_str());
    let names = names.chain([Wants::EVERYTHING]);
    ArrayBuilder::new()
        .items(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(names)),
        )
        .min_items(Some(1))
        .max_items(Some(MAX_EVENTS))
        .description(Some(
            "The types of events that are wanted, or `*` alone for all of them, those of later versions too",
        ))
        .build()
}

fn headers_schema() -> Object {
    let map = MapOfTexts {
        texts: MAX_HEADERS,
        name: MAX_HEADER_NAME,
        text: MAX_HEADER_VALUE,
    };
    map.schema()
        .description(Some(
            "Headers that are sent along, such as a token of your own. They are shown to nobody. Where they are not there they \
             stay as they are; `null` takes them away",
        ))
        .examples([json!({"authorization": "Bearer 6xLk"})])
        .build()
}

fn enabled_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .default(Some(true.into()))
        .description(Some(
            "Whether events are sent. What happens while they are not is not sent later",
        ))
        .build()
}

/// Checks settings.
pub fn parse(request: Request, reach: Reach) -> Result<Settings, ApiError> {
    let mut fields = Fields::default();
    let url = fields.check("url", WebhookUrl::parse(&request.url, reach));
    let events = events(&mut fields, &request.events);
    let headers = match request.headers {
        Given::Absent => None,
        Given::Null => Some(Headers::default()),
        Given::Value(given) => Some(headers(&mut fields, &given)),
    };
    fields.finish()?;
    let Some(url) = url else {
        return Err(fields.error());
    };
    Ok(Settings {
        url,
        events,
        headers,
        enabled: request.enabled.unwrap_or(true),
    })
}

fn events(fields: &mut Fields, names: &[String]) -> Wants {
    if names.is_empty() || names.len() > MAX_EVENTS {
        fields.fault("events", format!("must name 1 to {MAX_EVENTS} types"));
    }
    let has_all = names.iter().any(|name| name == Wants::EVERYTHING);
    if has_all && names.len() > 1 {
        fields.fault("events", "must be `*` alone where it is `*`");
    }
    for (index, name) in names.iter().enumerate() {
        if name != Wants::EVERYTHING {
            fields.parse::<EventType>(format!("events[{index}]"), name);
        }
    }
    Wants::named(names)
}

fn headers(fields: &mut Fields, given: &BTreeMap<String, String>) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in given {
        match headers.add(name, value) {
            Ok(()) => {}
            Err(error @ InvalidHeader::TooMany) => {
                fields.fault("headers", error);
                break;
            }
            Err(error @ InvalidHeader::Name) => fields.fault("headers", error),
            Err(error) => fields.fault(format!("headers.{name}"), error),
        }
    }
    headers
}
