//! What webhooks get: a schema for each type of event, from one list, in the document's section `webhooks`.
//!
//! The values themselves are made in `shared/src/domain/event/`. Tests compare them with what is told here.

mod parts;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::json;
use shared::domain::event::{EventType, TEST_WORDS};
use shared::domain::instance::{InstanceName, Status};
use shared::domain::message::{Failure, Kind, State};
use shared::ids::{EventId, InstanceId, MediaId, MessageId};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, Required, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use self::parts::{
    Part, degrees, flag, list, list_or_none, members, named, none_of_text, number, number_or_none, object,
    one_of, or_none, reference, text, text_or_none, time, time_or_none,
};
use super::{Schemas, Tag, example};

/// The types of events as webhooks of the document, by name.
pub fn webhooks(schemas: &Schemas) -> BTreeMap<&'static str, PathItem> {
    let webhook = |kind: &EventType| {
        let schema: Part = Ref::from_schema_name(name(*kind)).into();
        let content = ContentBuilder::new()
            .example(Some(example(&schema, schemas)))
            .schema(Some(schema));
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/json", content.build());
        let taken = ResponseBuilder::new()
            .description("The event is taken. Any other status, and none within 15 s, brings it again");
        let operation = OperationBuilder::new()
            .tag(Tag::Webhooks.name())
            .operation_id(Some(format!("on{}", pascal(*kind))))
            .summary(Some(about(*kind)))
            .securities(Some([]))
            .request_body(Some(body.build()))
            .response("2XX", taken.build());
        (kind.as_str(), PathItem::new(HttpMethod::Post, operation.build()))
    };
    EventType::ALL.iter().map(webhook).collect()
}

/// The schemas of all types, by name.
pub fn schemas() -> Vec<(String, Part)> {
    let mut all: Vec<_> = EventType::ALL
        .iter()
        .map(|kind| (name(*kind), event(*kind)))
        .collect();
    all.push(("Person".to_owned(), person()));
    all.push(("EventChat".to_owned(), chat()));
    all.extend([
        (InstanceName::name().into_owned(), InstanceName::schema()),
        (InstanceId::name().into_owned(), InstanceId::schema()),
        (EventId::name().into_owned(), EventId::schema()),
        (MessageId::name().into_owned(), MessageId::schema()),
        (MediaId::name().into_owned(), MediaId::schema()),
        (Status::name().into_owned(), Status::schema()),
        (State::name().into_owned(), State::schema()),
        (Kind::name().into_owned(), Kind::schema()),
    ]);
    all
}

/// `MessageReceived` of `message.received`.
fn pascal(kind: EventType) -> String {
    let mut name = String::new();
    for word in kind.as_str().split(['.', '_']) {
        name.push_str(&word[..1].to_ascii_uppercase());
        name.push_str(&word[1..]);
    }
    name
}

/// What a type's schema is called.
pub fn name(kind: EventType) -> String {
    format!("{}Event", pascal(kind))
}

const fn about(kind: EventType) -> &'static str {
    match kind {
        EventType::MessageReceived => "A message came in",
        EventType::MessageStatus => "A message that was accepted has come further",
        EventType::SessionConnected => "An instance is connected",
        EventType::SessionDisconnected => "An instance's connection is lost, or was ended",
        EventType::SessionQr => "A QR code waits to be scanned",
        EventType::SessionLoggedOut => "An instance is not linked to its phone any more",
        EventType::SessionBanned => "WhatsApp has closed an instance's account",
        EventType::MessageEdited => "A message says something else now",
        EventType::MessageRevoked => "A message was taken back",
        EventType::MessageReaction => "Somebody has reacted to a message, or taken a reaction back",
        EventType::PollVote => "Somebody votes on a poll",
        EventType::GroupUpdated => "Something about a group is changed",
        EventType::GroupParticipants => "People come into a group, go, become its admins or are that no more",
        EventType::ContactUpdated => "Something about a contact is changed",
        EventType::PresenceUpdated => "Somebody is there or not, or writes",
        EventType::CallReceived => "Somebody calls",
        EventType::WebhookTest => "Somebody tries the webhook",
    }
}

fn event(kind: EventType) -> Part {
    object([
        ("id", named::<EventId>()),
        (
            "type",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some([kind.as_str()]))
                .into(),
        ),
        ("timestamp", time()),
        (
            "instance",
            object([
                ("id", named::<InstanceId>()),
                ("name", named::<InstanceName>()),
                (
                    "metadata",
                    ObjectBuilder::new()
                        .schema_type(Type::Object)
                        .additional_properties(Some(ObjectBuilder::new().schema_type(Type::String)))
                        .examples([json!({"team": "sales"})])
                        .into(),
                ),
            ]),
        ),
        ("data", data(kind)),
    ])
}

/// What an event of a type tells.
pub fn data(kind: EventType) -> Part {
    match kind {
        EventType::MessageReceived | EventType::MessageEdited => message(),
        EventType::MessageStatus => object([
            ("id", named::<MessageId>()),
            ("status", named::<State>()),
            ("to", reference("EventChat")),
            ("reference", text_or_none("order 7")),
            ("error", or_none(named::<Failure>())),
            (
                "receipts",
                or_none(object([
                    ("delivered", number()),
                    ("read", number()),
                    ("of", number()),
                ])),
            ),
            ("at", time()),
        ]),
        EventType::MessageRevoked => object([
            ("messageId", named::<MessageId>()),
            ("chat", reference("EventChat")),
            ("from", reference("Person")),
        ]),
        EventType::MessageReaction => object([
            ("messageId", named::<MessageId>()),
            ("from", reference("Person")),
            ("emoji", text_or_none("👍")),
        ]),
        EventType::PollVote => object([
            ("messageId", named::<MessageId>()),
            ("from", reference("Person")),
            ("options", list_or_none(text("Soup"))),
            (
                "tally",
                list_or_none(object([("option", text("Soup")), ("votes", number())])),
            ),
        ]),
        EventType::SessionConnected
        | EventType::SessionDisconnected
        | EventType::SessionLoggedOut
        | EventType::SessionBanned => object(session()),
        EventType::SessionQr => object(
            session()
                .into_iter()
                .chain([("attempt", number()), ("expiresAt", time())]),
        ),
        EventType::GroupUpdated => group_updated(),
        EventType::GroupParticipants => group_participants(),
        EventType::ContactUpdated => contact_updated(),
        EventType::PresenceUpdated => object([
            ("chat", reference("EventChat")),
            ("from", reference("Person")),
            (
                "state",
                one_of(["available", "unavailable", "typing", "recording", "paused"]),
            ),
            ("lastSeen", time_or_none()),
        ]),
        EventType::CallReceived => object([
            ("id", text("5C3F0A9D8E7B4C21A0F6D1E2B3C4D5E6")),
            ("from", reference("Person")),
            ("pushName", text_or_none("Ada")),
            ("group", text_or_none("120363021033254949@g.us")),
            ("isGroup", flag()),
            ("isVideo", flag()),
            ("missed", flag()),
            ("timestamp", time()),
        ]),
        EventType::WebhookTest => object([("message", text(TEST_WORDS))]),
    }
}

/// What is changed of a group.
fn group_updated() -> Part {
    object([
        ("group", text("120363021033254949@g.us")),
        ("by", or_none(reference("Person"))),
        (
            "changes",
            members([
                ("subject", text_or_none("Engines")),
                ("description", text_or_none("All about engines")),
                ("announce", flag()),
                ("locked", flag()),
                ("ephemeralSeconds", number()),
                ("joinApproval", flag()),
                ("membersAdd", flag()),
                ("picture", one_of(["changed", "removed"])),
                ("inviteLink", one_of(["revoked"])),
            ]),
        ),
        ("truncated", flag()),
    ])
}

/// Who comes, goes, or is an admin.
fn group_participants() -> Part {
    object([
        ("group", text("120363021033254949@g.us")),
        (
            "action",
            one_of(["joined", "added", "left", "removed", "promoted", "demoted"]),
        ),
        ("reason", text_or_none("invite_link")),
        ("by", or_none(reference("Person"))),
        ("participants", list(reference("Person"))),
        ("truncated", flag()),
    ])
}

/// What is changed of a contact.
fn contact_updated() -> Part {
    object([
        ("contact", reference("Person")),
        (
            "changes",
            members([
                ("name", text_or_none("Ada Lovelace")),
                ("firstName", text_or_none("Ada")),
                ("pushName", text_or_none("Ada")),
                ("about", text_or_none("Gone fishing")),
                ("picture", one_of(["changed", "removed"])),
                ("blocked", flag()),
                (
                    "number",
                    object([("from", reference("Person")), ("to", reference("Person"))]),
                ),
            ]),
        ),
        ("truncated", flag()),
    ])
}

fn message() -> Part {
    let from = AllOfBuilder::new()
        .item(reference("Person"))
        .item(object([("name", text_or_none("Ada"))]));
    object([
        ("id", named::<MessageId>()),
        ("chat", reference("EventChat")),
        ("from", from.into()),
        ("fromMe", flag()),
        ("kind", named::<Kind>()),
        ("text", text_or_none("See you at eight")),
        ("timestamp", time()),
        ("receivedAt", time_or_none()),
        (
            "quoted",
            or_none(object([
                ("id", or_none(named::<MessageId>())),
                ("from", reference("Person")),
                ("kind", named::<Kind>()),
                ("text", text_or_none("When?")),
            ])),
        ),
        ("mentions", list(reference("Person"))),
        ("forwarded", flag()),
        ("viewOnce", flag()),
        ("ephemeralSeconds", number_or_none()),
        (
            "media",
            or_none(object([
                ("id", or_none(named::<MediaId>())),
                ("mimeType", text_or_none("image/jpeg")),
                ("size", number_or_none()),
                ("fileName", text_or_none("photo.jpg")),
                ("sha256", text_or_none("9f86d081884c7d65")),
                ("seconds", number_or_none()),
                ("width", number_or_none()),
                ("height", number_or_none()),
                ("voice", flag()),
                ("animated", flag()),
            ])),
        ),
        (
            "location",
            or_none(object([
                ("latitude", degrees(52.5163)),
                ("longitude", degrees(13.3777)),
                ("name", text_or_none("Brandenburg Gate")),
                ("address", text_or_none("Pariser Platz, Berlin")),
                ("live", flag()),
            ])),
        ),
        (
            "contacts",
            list_or_none(object([
                ("name", text("Ada Lovelace")),
                ("phones", list(text("15550100003"))),
                ("vcard", text_or_none("BEGIN:VCARD")),
            ])),
        ),
        (
            "poll",
            or_none(object([
                ("question", text("Lunch?")),
                ("options", list(text("Soup"))),
                ("selectable", number()),
            ])),
        ),
        ("truncated", flag()),
        ("truncationReason", or_none(one_of(["too_large", "refused"]))),
    ])
}

fn session() -> Vec<(&'static str, Part)> {
    vec![
        ("status", named::<Status>()),
        ("reason", text_or_none("DISCONNECT_REQUESTED")),
        ("phone", text_or_none("15550100001")),
        ("lid", text_or_none("100000000000001")),
    ]
}

fn person() -> Part {
    let mut members = ObjectBuilder::new().schema_type(Type::Object).description(Some(
        "Somebody, by both names that WhatsApp has of them: `null` where one is not known",
    ));
    for (name, part) in [
        ("phone", text_or_none("15550100001")),
        ("lid", text_or_none("100000000000001")),
    ] {
        members = members.property(name, part).required(name);
    }
    members.into()
}

fn chat() -> Part {
    object([
        ("phone", text_or_none("15550100001")),
        ("lid", text_or_none("100000000000001")),
        ("group", none_of_text()),
    ])
}
