//! `POST /api/contacts/check`: who of these is on WhatsApp.
//!
//! What was looked up within a day (in vain: within a quarter of an hour) is answered from the directory of people. Only the
//! rest is asked of WhatsApp, which counts what an account asks. A request with an idempotency key is asked as a whole, so that
//! its answer is one thing that can be given again.

use std::collections::HashMap;

use axum::http::Method;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use shared::domain::person::{Acquaintance, Person};
use shared::domain::question::{Found, LookUp};
use shared::domain::recipient::Recipient;
use shared::ids::InstanceId;
use utoipa::ToSchema;
use utoipa::openapi::schema::Array;

use super::contact::{self, Contact, LONGEST};
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Fields, JsonBody, Replayable, Reply, log};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::openapi::Tag;

/// Most contacts of a request.
const MOST: usize = 50;

/// How many contacts are looked for in the directory at once.
const FOUND_AT_ONCE: usize = 10;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(schema_with = contacts_schema)]
    contacts: Vec<String>,
}

fn contacts_schema() -> Array {
    contact::list_schema(
        MOST,
        "A phone number, `lid:` and digits, or a person's WhatsApp JID. One that names nobody has its own `error`",
    )
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    /// One for each contact, in the order asked.
    results: Vec<CheckedContact>,
}

/// What is known of one contact.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckedContact {
    /// As it was asked.
    #[schema(example = "+15550100001")]
    input: String,
    /// Whether the contact is on WhatsApp; `null` where that is not known.
    exists: Option<bool>,
    /// The number as WhatsApp spells it; `null` where it gives none.
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
    /// The name that WhatsApp has verified, of a business.
    #[schema(example = json!(null))]
    business_name: Option<String>,
    /// Why it is not known whether the contact exists; `null` where it is.
    #[schema(example = json!(null))]
    error: Option<CheckError>,
}

/// Why nothing is known of one contact.
#[derive(Serialize, ToSchema)]
pub struct CheckError {
    /// `VALIDATION_ERROR` where the text names no contact, `UPSTREAM_ERROR` where WhatsApp does not say.
    #[schema(example = "VALIDATION_ERROR")]
    code: &'static str,
    #[schema(example = "must name a person, not a group")]
    message: String,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/contacts/check", "checkContacts", handler)
        .about(Tag::Contacts, "Tells who is on WhatsApp")
        .details(
            "What was looked up within a day (in vain: within 15 minutes) is answered from memory, unless the request has an idempotency key; the rest \
             needs the instance to be connected.",
        )
}

pub async fn handler(
    asking: OnceSocket<permission::ContactsRead>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Replayable<Response>, ApiError> {
    let contacts = parse(&request)?;
    let mut open: Vec<Recipient> = Vec::new();
    for contact in contacts.iter().flatten() {
        if !open.contains(&contact.0) {
            open.push(contact.0.clone());
        }
    }
    let mut known = HashMap::new();
    if asking.idempotency_key.is_none() {
        let (state, instance) = (&asking.socket.state, asking.socket.caller.grant.instance);
        known = remembered(state, instance, &open, state.clock.now()).await?;
        open.retain(|contact| !known.contains_key(contact));
    }
    let is_replay;
    if open.is_empty() {
        // Nobody is named. The key stands for the request all the same.
        is_replay = asking.claim(&request.contacts).await?;
    } else {
        let contacts = open.clone();
        let told = asking.ask(&request.contacts, Ok(LookUp { contacts })).await?;
        is_replay = told.is_replay;
        let found: HashMap<_, _> = open.into_iter().zip(told.answer.found).collect();
        if !is_replay {
            let (state, instance) = (&asking.socket.state, asking.socket.caller.grant.instance);
            hear(state, instance, &found).await;
        }
        known.extend(found);
    }
    let results = request.contacts.into_iter().zip(contacts);
    let results = results.map(|(input, contact)| checked(input, contact, &known));
    Ok(Replayable {
        reply: Reply::ok(Response {
            results: results.collect(),
        }),
        is_replay,
    })
}

/// What each text names. A list or a text that is too long is refused as a whole.
fn parse(request: &Request) -> Result<Vec<Result<Contact, String>>, ApiError> {
    let mut fields = Fields::default();
    if !(1..=MOST).contains(&request.contacts.len()) {
        fields.fault("contacts", format!("must have 1 to {MOST} items"));
        return Err(fields.error());
    }
    for (n, contact) in request.contacts.iter().enumerate() {
        if !(1..=LONGEST).contains(&contact.chars().count()) {
            fields.fault(
                format!("contacts[{n}]"),
                format!("must have 1 to {LONGEST} characters"),
            );
        }
    }
    fields.finish()?;
    let texts = request.contacts.iter();
    Ok(texts
        .map(|text| text.parse::<Contact>().map_err(|error| error.to_string()))
        .collect())
}

/// What the directory knows of these contacts, where that is still believed.
async fn remembered(
    state: &MessagingState,
    instance: InstanceId,
    contacts: &[Recipient],
    now: DateTime<Utc>,
) -> Result<HashMap<Recipient, Found>, ApiError> {
    let finding = futures::stream::iter(contacts.to_vec()).map(|contact| async move {
        let met = state.people.get(instance, &contact, now).await?;
        Ok::<_, ApiError>(believed(met, now).map(|found| (contact, found)))
    });
    let found: Vec<_> = finding.buffer_unordered(FOUND_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// What was answered counts for the next message at once. Without it the answer is still good.
async fn hear(state: &MessagingState, instance: InstanceId, found: &HashMap<Recipient, Found>) {
    let now = state.clock.now();
    let hearing = futures::stream::iter(found.clone())
        .map(|(contact, found)| async move { state.people.hear(instance, &contact, &found, now).await });
    let mut heard = hearing.buffer_unordered(FOUND_AT_ONCE);
    while let Some(result) = heard.next().await {
        if let Err(error) = result {
            log::went_wrong(
                &error.into(),
                "what was answered of a contact counts a moment later",
            );
        }
    }
}

fn believed(met: Acquaintance, now: DateTime<Utc>) -> Option<Found> {
    if met.is_known_to_be_absent(now) {
        return Some(Found::Absent);
    }
    let business_name = met.is_known_as(now)?.business_name.clone();
    Some(Found::There {
        person: met.person,
        business_name,
    })
}

fn checked(
    input: String,
    contact: Result<Contact, String>,
    known: &HashMap<Recipient, Found>,
) -> CheckedContact {
    let fault = |code: Code, message: String| {
        Some(CheckError {
            code: code.as_str(),
            message,
        })
    };
    let (exists, person, business_name, error) = match contact.map(|contact| known.get(&contact.0)) {
        Ok(Some(Found::There {
            person,
            business_name,
        })) => (Some(true), person.clone(), business_name.clone(), None),
        Ok(Some(Found::Absent)) => (Some(false), Person::default(), None, None),
        Ok(Some(Found::Unsaid) | None) => {
            let message = "WhatsApp does not say whether the contact is there; ask again later";
            (
                None,
                Person::default(),
                None,
                fault(Code::UpstreamError, message.to_owned()),
            )
        }
        Err(message) => (
            None,
            Person::default(),
            None,
            fault(Code::ValidationError, message),
        ),
    };
    CheckedContact {
        input,
        exists,
        phone: person.phone,
        lid: person.lid,
        business_name,
        error,
    }
}
