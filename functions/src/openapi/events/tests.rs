//! What is told is compared with its schemas.

use std::path::Path;

use serde_json::Value;
use shared::domain::event::Data;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayItems, Schema};

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
            "timestamp": "2026-01-01T10:00:00.000Z", "receivedAt": "2026-01-01T10:00:00.412Z",
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
    let place = json!({"latitude": 52.5, "longitude": 13.4, "name": "Gate", "address": null, "live": true});
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
