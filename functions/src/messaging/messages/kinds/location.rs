//! `POST /api/messages/location`.

use serde::Deserialize;
use shared::domain::content::{Content, Location, MAX_LIVE, MAX_WORDS, MIN_LIVE, Place};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use crate::endpoint::Endpoint;
use crate::http::{ApiError, Fields, Whole};
use crate::messaging::MessagingState;
use crate::messaging::messages::accept::Accepted;
use crate::messaging::messages::legible;
use crate::messaging::messages::sending::{self, Sending};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({
    "latitude": 52.5163,
    "longitude": 13.3777,
    "name": "Brandenburg Gate",
    "address": "Pariser Platz, 10117 Berlin",
}))]
pub struct Request {
    #[schema(schema_with = latitude_schema)]
    latitude: f64,
    #[schema(schema_with = longitude_schema)]
    longitude: f64,
    #[schema(schema_with = name_schema)]
    name: Option<String>,
    #[schema(schema_with = address_schema)]
    address: Option<String>,
    #[schema(schema_with = live_schema)]
    live_seconds: Option<Whole>,
}

fn live_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .minimum(Some(MIN_LIVE))
        .maximum(Some(MAX_LIVE))
        .description(Some(
            "For how many seconds the place is shared as a live one. Apps offer 900, 3600 and 28800. `name` and `address` do not \
             stand beside it",
        ))
        .examples([900])
        .build()
}

fn latitude_schema() -> Object {
    degrees_schema(Place::MAX_LATITUDE, "Degrees to the north", 52.5163)
}

fn longitude_schema() -> Object {
    degrees_schema(Place::MAX_LONGITUDE, "Degrees to the east", 13.3777)
}

fn degrees_schema(most: f64, about: &str, example: f64) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(-most))
        .maximum(Some(most))
        .description(Some(about))
        .examples([example])
        .build()
}

fn name_schema() -> Object {
    words_schema("What the place is called", "Brandenburg Gate")
}

fn address_schema() -> Object {
    words_schema("Where it is, in words", "Pariser Platz, 10117 Berlin")
}

fn words_schema(about: &str, example: &str) -> Object {
    legible::nullable(MAX_WORDS)
        .description(Some(about))
        .examples([example])
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    sending::endpoint("/api/messages/location", "sendLocation", "Sends a place", handler).details(
        "With `liveSeconds` it is a live place, as apps share it: where somebody is now. It stays where it is, since later places \
         cannot be sent, and apps may show it as one that is not shared any more.",
    )
}

pub async fn handler(sending: Sending<Request>) -> Result<Accepted, ApiError> {
    sending.accept(content).await
}

fn content(own: Request, fields: &mut Fields) -> Content {
    for (name, degrees, most) in [
        ("latitude", own.latitude, Place::MAX_LATITUDE),
        ("longitude", own.longitude, Place::MAX_LONGITUDE),
    ] {
        if !(-most..=most).contains(&degrees) {
            fields.fault(name, format!("must be a number from -{most} to {most}"));
        }
    }
    for (name, words) in [("name", &own.name), ("address", &own.address)] {
        if let Some(words) = words {
            legible::require(fields, name, words, MAX_WORDS);
        }
    }
    let live_seconds = own.live_seconds.map(|Whole(seconds)| seconds);
    if let Some(seconds) = live_seconds {
        if !(MIN_LIVE..=MAX_LIVE).contains(&seconds) {
            let message = format!("must be a whole number from {MIN_LIVE} to {MAX_LIVE}");
            fields.fault("liveSeconds", message);
        }
        for (name, words) in [("name", &own.name), ("address", &own.address)] {
            if words.is_some() {
                fields.fault(
                    name,
                    "must not be there beside `liveSeconds`: a live place has none",
                );
            }
        }
    }
    Content::Location(Location {
        location: Place {
            latitude: own.latitude,
            longitude: own.longitude,
            name: own.name,
            address: own.address,
            live: live_seconds.is_some(),
        },
        text: None,
        live_seconds,
    })
}
