//! What webhooks get: a schema for each type of event, from one list, in the document's section `webhooks`.
//!
//! The values themselves are made in `shared/src/domain/event/`. Tests compare them with what is told here.

use std::collections::BTreeMap;

use serde_json::json;
use shared::domain::event::{EventType, TEST_WORDS};
use shared::domain::instance::{InstanceName, Status};
use shared::domain::message::{Failure, Kind, State};
use shared::ids::{EventId, InstanceId, MediaId, MessageId};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AllOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{ContentBuilder, KnownFormat, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::{Schemas, Tag, example};

/// A schema that stands where it is used.
type Part = RefOr<Schema>;

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

/// An object with all of these members.
fn object(parts: impl IntoIterator<Item = (&'static str, Part)>) -> Part {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    let members = parts.into_iter().fold(object, |object, (name, part)| {
        object.property(name, part).required(name)
    });
    members.into()
}

/// An object with any of these members.
fn members(parts: impl IntoIterator<Item = (&'static str, Part)>) -> Part {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    let members = parts
        .into_iter()
        .fold(object, |object, (name, part)| object.property(name, part));
    members.into()
}

fn reference(name: &str) -> Part {
    Ref::from_schema_name(name).into()
}

fn named<T: ToSchema>() -> Part {
    reference(&T::name())
}

fn or_none(part: Part) -> Part {
    OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .item(part)
        .into()
}

fn list(part: Part) -> Part {
    ArrayBuilder::new().items(part).into()
}

fn list_or_none(part: Part) -> Part {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(part)
        .into()
}

fn text(example: &str) -> Part {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .examples([example])
        .into()
}

fn text_or_none(example: &str) -> Part {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .examples([example])
        .into()
}

fn none_of_text() -> Part {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .examples([serde_json::Value::Null])
        .into()
}

fn one_of<const N: usize>(words: [&'static str; N]) -> Part {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .into()
}

fn flag() -> Part {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .examples([false])
        .into()
}

fn number() -> Part {
    ObjectBuilder::new().schema_type(Type::Integer).into()
}

fn number_or_none() -> Part {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .examples([serde_json::Value::Null])
        .into()
}

fn degrees(example: f64) -> Part {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .examples([example])
        .into()
}

fn time() -> Part {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2026-01-01T10:00:00Z"])
        .into()
}

fn time_or_none() -> Part {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2026-01-01T10:00:00.412Z"])
        .into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;
    use shared::domain::event::Data;
    use utoipa::openapi::schema::ArrayItems;

    use super::*;
    use crate::http::json::faults;
    use crate::openapi::Schemas;

    fn all() -> Schemas {
        let mut all: Schemas = schemas().into_iter().collect();
        all.insert(Failure::name().into_owned(), Failure::schema());
        all
    }

    /// What an event of this type is told as, of data as it rests.
    fn told(kind: EventType, rests: &Value) -> Value {
        let data = Data::read(kind, rests.clone()).unwrap_or_else(|error| panic!("{kind}: {error}: {rests}"));
        serde_json::to_value(data.told()).expect("plain data")
    }

    /// What is told of an object: the schemas of its members, those of all its parts.
    fn members_of(schema: &Part, all: &Schemas) -> Vec<(String, Part)> {
        match schema {
            RefOr::Ref(reference) => {
                let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
                members_of(&all[name], all)
            }
            RefOr::T(Schema::Object(object)) => object.properties.clone().into_iter().collect(),
            RefOr::T(Schema::AllOf(parts)) => parts
                .items
                .iter()
                .flat_map(|part| members_of(part, all))
                .collect(),
            RefOr::T(Schema::OneOf(choice)) => choice
                .items
                .iter()
                .flat_map(|part| members_of(part, all))
                .collect(),
            RefOr::T(_) => Vec::new(),
        }
    }

    /// Members of a value that its schema does not know.
    fn untold(schema: &Part, value: &Value, all: &Schemas, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                let known = members_of(schema, all);
                for (name, value) in members {
                    match known.iter().find(|(of, _)| of == name) {
                        Some((_, schema)) => untold(schema, value, all, found),
                        None => found.push(name.clone()),
                    }
                }
            }
            Value::Array(items) => {
                if let RefOr::T(Schema::Array(array)) = schema
                    && let ArrayItems::RefOrSchema(item) = &array.items
                {
                    for value in items {
                        untold(item, value, all, found);
                    }
                }
            }
            _ => {}
        }
    }

    fn wrong(kind: EventType, told: &Value) -> Vec<String> {
        let (schema, all) = (data(kind), all());
        let mut wrong = faults(&schema, told, &all);
        untold(&schema, told, &all, &mut wrong);
        wrong
    }

    #[track_caller]
    fn fits(kind: EventType, told: &Value) {
        let wrong = wrong(kind, told);
        assert!(wrong.is_empty(), "{kind}: {wrong:?}: {told}");
    }

    /// The examples are what the code writes: a test of `shared` sees to that.
    #[test]
    fn each_type_is_told_as_its_schema_says() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
        let document = std::fs::read_to_string(document).expect("docs/events.md");
        for kind in EventType::ALL {
            let heading = format!("### `{kind}`\n");
            let (_, below) = document
                .split_once(&heading)
                .unwrap_or_else(|| panic!("{heading}"));
            let (_, example) = below.split_once("```json\n").expect("an example");
            let (example, _) = example.split_once("```").expect("its end");
            let example: Value = serde_json::from_str(example).expect("JSON");
            fits(*kind, &example);
        }
    }

    /// And with every member that may be there.
    #[test]
    fn what_is_seldom_told_fits_as_well() {
        let id = "msg_01040G2081040G2081040G2081";
        let person = json!({"phone": "15550100001", "lid": null});
        let message = |more: Value| {
            let mut message = json!({
                "id": id, "chat": "120363021033254949@g.us", "from": person, "fromMe": true, "pushName": null,
                "timestamp": "2026-01-01T10:00:00Z", "receivedAt": "2026-01-01T10:00:00.412Z",
                "truncated": true, "truncationReason": "too_large", "forwarded": true, "ephemeralSeconds": 60,
                "mentions": [person],
                "quoted": {"id": null, "whatsappId": "3EB0AA", "from": person, "kind": "text", "text": "When?"},
            });
            let more = more.as_object().expect("members").clone();
            message.as_object_mut().expect("members").extend(more);
            message
        };
        let file = json!({
            "id": "med_01040G2081040G2081040G2081", "mimeType": "image/jpeg", "size": 845_861, "fileName": "a.jpg",
            "sha256": "9f86", "seconds": 3, "width": 1, "height": 2, "voice": false, "animated": true,
        });
        let place =
            json!({"latitude": 52.5, "longitude": 13.4, "name": "Gate", "address": null, "live": true});
        let card = json!({"name": "Ada", "phones": ["15550100003"], "vcard": null});
        let ballot = json!({"question": "Lunch?", "options": ["Soup", "Salad"], "selectable": 1});
        for (more, member) in [
            (
                json!({"kind": "image", "text": "look", "media": file, "viewOnce": true}),
                "media",
            ),
            (
                json!({"kind": "location", "text": null, "location": place}),
                "location",
            ),
            (json!({"kind": "contact", "contacts": [card]}), "contacts"),
            (json!({"kind": "poll", "poll": ballot}), "poll"),
            (json!({"kind": "text", "text": "hello"}), "text"),
        ] {
            let told = told(EventType::MessageReceived, &message(more));
            assert!(!told[member].is_null(), "{member}: {told}");
            fits(EventType::MessageReceived, &told);
        }
        let receipts = json!({"delivered": 1, "read": 0, "of": 3});
        let error = json!({"code": "EXPIRED", "message": "x", "retryable": true, "retryAfter": "2026-01-01T10:00:00.000Z"});
        let changes = json!({
            "subject": null, "description": "", "announce": true, "locked": false, "ephemeralSeconds": 0,
            "joinApproval": true, "membersAdd": false, "picture": "removed", "inviteLink": "revoked",
        });
        let contact = json!({
            "name": "Ada Lovelace", "firstName": "Ada", "pushName": null, "about": "", "picture": "changed",
            "blocked": true, "number": {"from": person, "to": person},
        });
        for (kind, rests) in [
            (
                EventType::MessageStatus,
                json!({
                    "id": id, "status": "failed", "to": {"phone": null, "lid": null, "group": "1@g.us"},
                    "reference": null, "error": error, "receipts": receipts, "at": "2026-01-01T10:00:00.000Z",
                }),
            ),
            (
                EventType::MessageReaction,
                json!({"messageId": id, "from": person, "emoji": null}),
            ),
            (
                EventType::PollVote,
                json!({"messageId": id, "from": person, "options": null, "tally": null}),
            ),
            (
                EventType::GroupUpdated,
                json!({"group": "1@g.us", "by": null, "changes": changes, "truncated": true}),
            ),
            (
                EventType::GroupParticipants,
                json!({"group": "1@g.us", "action": "left", "reason": null, "by": null, "participants": [], "truncated": true}),
            ),
            (
                EventType::ContactUpdated,
                json!({"contact": person, "changes": contact, "truncated": false}),
            ),
            (
                EventType::SessionDisconnected,
                json!({"status": "RECONNECTING", "reason": null, "phone": null, "lid": null}),
            ),
        ] {
            let told = told(kind, &rests);
            for (member, value) in rests.as_object().expect("members") {
                assert!(told[member] == *value, "{kind}: {member} is lost: {told}");
            }
            fits(kind, &told);
        }
    }

    #[test]
    fn what_is_not_told_is_noticed() {
        let kind = EventType::WebhookTest;
        for told in [
            json!({}),
            json!({"message": 1}),
            json!({"message": "x", "more": 1}),
        ] {
            assert_eq!(wrong(kind, &told).len(), 1, "{told}");
        }
    }
}
