//! `POST /api/messages/poll`.

use serde::Deserialize;
use shared::domain::content::{Ballot, Content, MAX_OPTION, MAX_OPTIONS, MAX_QUESTION, MIN_OPTIONS, Poll};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

use crate::endpoint::Endpoint;
use crate::http::{ApiError, Fields, Whole};
use crate::messaging::MessagingState;
use crate::messaging::messages::accept::Accepted;
use crate::messaging::messages::legible;
use crate::messaging::messages::sending::{self, Sending};

/// How many options may be chosen where the request does not say.
const SELECTABLE: u32 = 1;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"question": "Lunch?", "options": ["Soup", "Salad"], "selectable": 1}))]
pub struct Request {
    #[schema(schema_with = question_schema)]
    question: String,
    #[schema(schema_with = options_schema)]
    options: Vec<String>,
    #[schema(schema_with = selectable_schema, required = false)]
    selectable: Option<Whole>,
}

fn question_schema() -> Object {
    words_schema(MAX_QUESTION, "Lunch?")
}

fn options_schema() -> Array {
    ArrayBuilder::new()
        .items(words_schema(MAX_OPTION, "Soup"))
        .min_items(Some(MIN_OPTIONS))
        .max_items(Some(MAX_OPTIONS))
        .unique_items(true)
        .description(Some("What can be chosen; no two are alike to the letter"))
        .build()
}

fn words_schema(most: usize, example: &str) -> Object {
    legible::schema(most).examples([example]).build()
}

fn selectable_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(MAX_OPTIONS))
        .default(Some(SELECTABLE.into()))
        .description(Some(
            "How many options may be chosen, at most as many as there are; 0 for any number",
        ))
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    sending::endpoint("/api/messages/poll", "sendPoll", "Sends a poll", handler)
}

pub async fn handler(sending: Sending<Request>) -> Result<Accepted, ApiError> {
    sending.accept(content).await
}

fn content(own: Request, fields: &mut Fields) -> Content {
    let Request {
        question,
        options,
        selectable,
    } = own;
    let selectable = selectable.map_or(SELECTABLE, |Whole(most)| most);
    legible::require(fields, "question", &question, MAX_QUESTION);
    if (MIN_OPTIONS..=MAX_OPTIONS).contains(&options.len()) {
        check_options(&options, fields);
        if usize::try_from(selectable).map_or(true, |most| most > options.len()) {
            let most = options.len();
            fields.fault(
                "selectable",
                format!("must be a whole number from 0 to {most}, the number of options"),
            );
        }
    } else {
        fields.fault(
            "options",
            format!("must have {MIN_OPTIONS} to {MAX_OPTIONS} entries"),
        );
    }
    Content::Poll(Poll {
        poll: Ballot {
            question,
            options,
            selectable,
        },
    })
}

/// A vote names an option by a hash of its text, so that of two alike nobody could tell which is meant.
fn check_options(options: &[String], fields: &mut Fields) {
    for (index, option) in options.iter().enumerate() {
        let name = format!("options[{index}]");
        legible::require(fields, &name, option, MAX_OPTION);
        if let Some(twin) = options[..index].iter().position(|other| other == option) {
            fields.fault(name, format!("must not be the same as options[{twin}]"));
        }
    }
}
