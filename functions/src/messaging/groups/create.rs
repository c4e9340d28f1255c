//! `POST /api/groups`.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use shared::domain::question::CreateGroup;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{Array, ObjectBuilder, SchemaType, Type};

use super::people::{self, People, ResultView};
use super::view::GroupView;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Fields, JsonBody, Replayable};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::messaging::messages::legible;
use crate::openapi::Tag;

/// Most people besides the account.
const OTHERS: usize = people::MOST - 1;

/// Most characters of a subject, as WhatsApp counts them.
const SUBJECT: usize = 100;

/// Characters of a line, for [`legible::PATTERN`]: a control character in a subject ends the connection.
const ONE_LINE: &str = r"[^\u0000-\u001F\u007F-\u009F]*";

/// Most characters of a description.
const DESCRIPTION: usize = 2_048;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = CreateGroup)]
pub struct Request {
    #[schema(schema_with = subject_schema)]
    subject: String,
    #[schema(schema_with = participants_schema)]
    participants: Vec<String>,
    #[schema(schema_with = description_schema)]
    description: Option<String>,
}

fn participants_schema() -> Array {
    people::up_to(OTHERS)
}

/// What a group is called.
pub fn subject_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(SUBJECT))
        .pattern(Some(legible::PATTERN.replace(r"[^\u0000]*", ONE_LINE)))
        .examples(["Engines"])
        .build()
}

/// What a group is about.
pub fn description_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .max_length(Some(DESCRIPTION))
        .pattern(Some(r"^[^\u0000-\u0008\u000B-\u001F\u007F-\u009F]*$"))
        .description(Some(
            "What the group is about; `null` or an empty text for nothing",
        ))
        .examples(["All about engines"])
        .build()
}

/// Notes what is wrong with a subject.
pub fn check_subject(fields: &mut Fields, subject: &str) {
    legible::require(fields, "subject", subject, SUBJECT);
    if subject.chars().any(char::is_control) {
        fields.fault("subject", "must have no line breaks and no control characters");
    }
}

/// Notes what is wrong with a description.
pub fn check_description(fields: &mut Fields, text: &str) {
    if text.chars().count() > DESCRIPTION {
        fields.fault(
            "description",
            format!("must have {DESCRIPTION} characters at most"),
        );
    } else if text
        .chars()
        .any(|one| one.is_control() && !matches!(one, '\n' | '\t'))
    {
        fields.fault(
            "description",
            "must have no control characters but line breaks and tabs",
        );
    }
}

/// A new group, and what became of those who were to be in it.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedGroup)]
pub struct Response {
    #[serde(flatten)]
    group: GroupView,
    /// One for each participant, in the order asked.
    results: Vec<ResultView>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/groups", "createGroup", handler)
        .about(Tag::Groups, "Makes a group")
        .details(
            "The instance's account is its owner. Whoever cannot be added is named in `results` with the reason; the others are in. \
             Done once at most: where there is no answer in time, `details.outcome` of the error says whether it was done, and the \
             same request under the same idempotency key finds the answer that came later.",
        )
        .status(StatusCode::CREATED)
}

pub async fn handler(
    socket: OnceSocket<permission::GroupsWrite>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Replayable<Response>, ApiError> {
    let mut fields = Fields::default();
    check_subject(&mut fields, &request.subject);
    let description = request.description.filter(|text| !text.is_empty());
    if let Some(text) = &description {
        check_description(&mut fields, text);
    }
    let people = People::parse(request.participants, OTHERS, &mut fields);
    fields.finish()?;
    let making = CreateGroup {
        subject: request.subject,
        description,
        participants: people.names.clone(),
    };
    let said = (&making.subject, &making.description, people.named());
    let said = serde_json::to_value(said).map_err(|error| ApiError::internal().caused_by(error))?;
    let told = socket.ask(&said, Ok(making)).await?;
    Ok(told.created(|made| Response {
        group: made.group.into(),
        results: people.results(&made.results),
    }))
}
