//! `POST /api/messages/forward`.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::bucket::{Area, ObjectName};
use shared::clock::Clock;
use shared::domain::content::{
    Ballot, Bytes, Content, Context, Kind, Media, Poll, Quoted, Reaction, Said, Source, Target,
};
use shared::domain::job::Job;
use shared::domain::message::{Direction, MessageRecord};
use shared::domain::payload;
use shared::domain::person::Person;
use shared::ids::{InstanceId, MessageId};
use shared::sealed;

use crate::support::{Caller, World};

const ALICE: &str = "15550100002";
const BOB: &str = "15550100003";

/// A world whose instance keeps contents for so many days.
async fn keeping(days: u8) -> (World, Caller, InstanceId, Caller) {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let path = format!("/api/instances/{instance}");
    let data = user.put(&path, json!({"contentDays": days})).await.data(200);
    assert_eq!(data["contentDays"], json!(days));
    (world, user.into(), instance, key)
}

/// A message of Alice's, as the daemon records it.
async fn recorded(world: &World, instance: InstanceId, kind: Kind, at: DateTime<Utc>) -> MessageId {
    let id = MessageId::new(at);
    let chat = ALICE.parse().expect("a number");
    let alice = Person {
        phone: Some(ALICE.to_owned()),
        lid: None,
    };
    let mut record = MessageRecord::new(id, instance, Direction::Incoming, kind, chat, alice, at);
    record.whatsapp_id = Some("3AFF01".to_owned());
    record.received_at = Some(at);
    world.state.messages.put(&record).await.expect("stored");
    id
}

/// The same with its content, kept for so many days.
async fn kept(world: &World, instance: InstanceId, said: &Said, days: u8) -> MessageId {
    let at = world.clock.now();
    let id = recorded(world, instance, said.content.kind(), at).await;
    let stores = (&world.state.table, &*world.state.sealer);
    testbed::kept::content(stores, (instance, id), said, at, days).await;
    id
}

/// What the last job says, and the version that it needs.
async fn said(world: &World, instance: InstanceId) -> (u64, Said) {
    let sends = world.queue_names().sends(0);
    let jobs = world.waiting(&sends).await;
    for job in &jobs {
        let deleted = world.state.queue.delete(&sends, &job.receipt).await;
        deleted.expect("deleted");
    }
    let body = &jobs.last().expect("a job").body;
    let v = serde_json::from_str::<Value>(body).expect("JSON")["v"].as_u64();
    let Job::Send(job) = payload::decode(body).expect("ours");
    let opening = sealed::open(&world.state.sealer, instance, &job.message, &job.content);
    (v.expect("a version"), opening.await.expect("opens"))
}

fn poll() -> Content {
    Content::Poll(Poll {
        poll: Ballot {
            question: "Lunch?".to_owned(),
            options: ["Soup", "Salad"].map(str::to_owned).into(),
            selectable: 1,
        },
    })
}

#[tokio::test]
async fn what_is_kept_goes_out_again_marked_as_forwarded() {
    let (world, _, instance, key) = keeping(7).await;
    let beside = Context {
        forwarded: true,
        forwarding_score: Some(4),
        mentions: vec![Person {
            phone: Some(BOB.to_owned()),
            lid: None,
        }],
        quoted: Some(Box::new(Quoted {
            id: None,
            whatsapp_id: "3AFF00".to_owned(),
            from: Person::default(),
            from_me: true,
            kind: Kind::Text,
            text: Some("a question".to_owned()),
        })),
        ephemeral_seconds: Some(86_400),
    };
    for (content, context, score) in [
        (Content::text("hello"), Context::default(), 1),
        (Content::text("hello again"), beside, 5),
        (poll(), Context::default(), 1),
    ] {
        let before = Said {
            content: content.clone(),
            context,
        };
        let id = kept(&world, instance, &before, 7).await;
        let body = json!({"to": BOB, "messageId": id, "reference": "order-4711"});
        let data = key.send("forward", body).await.data(202);
        assert_eq!(data["kind"], json!(content.kind()), "its kind is the content's");
        assert_eq!(data["to"]["phone"], BOB);
        let (v, sent) = said(&world, instance).await;
        let wanted = Said {
            content,
            context: Context {
                forwarded: true,
                forwarding_score: Some(score),
                ..Context::default()
            },
        };
        assert!(sent == wanted, "nothing of what stood beside it goes with it");
        assert_eq!(v, 27, "an older daemon leaves it");
    }
}

#[tokio::test]
async fn what_is_not_kept_is_a_conflict() {
    let (world, _, instance, key) = keeping(7).await;
    let not_kept = "409 CONTENT_NOT_KEPT: The message's content is not kept, or not any more: the instance's `contentDays` says \
                    for how long it is";
    let never = recorded(&world, instance, Kind::Text, world.clock.now()).await;
    let forward = async |id: MessageId| {
        let body = json!({"to": BOB, "messageId": id});
        let answer = key.send("forward", body).await;
        if answer.status == 202 {
            return "202".to_owned();
        }
        answer.error()
    };
    assert_eq!(forward(never).await, not_kept);
    let id = kept(&world, instance, &Said::text("hello"), 7).await;
    assert_eq!(forward(id).await, "202");

    // A shorter term counts at once, and for what was kept before.
    let path = format!("/api/instances/{instance}");
    world.clock.advance(TimeDelta::days(2));
    let user = world.nobody.login("ada@example.com").await;
    user.put(&path, json!({"contentDays": 2})).await.data(200);
    assert_eq!(forward(id).await, not_kept);
    user.put(&path, json!({"contentDays": 3})).await.data(200);
    assert_eq!(forward(id).await, "202");
    user.put(&path, json!({"contentDays": 0})).await.data(200);
    assert_eq!(forward(id).await, not_kept);
    user.put(&path, json!({"contentDays": 14})).await.data(200);
    assert_eq!(forward(id).await, "202");
    // The table removes it some time later; it is gone all the same. A longer term does not bring it back.
    world.clock.advance(TimeDelta::days(5));
    assert_eq!(forward(id).await, not_kept);
}

/// A daemon that was not the one which sent it does not know where at WhatsApp its file is.
#[tokio::test]
async fn a_file_that_is_nowhere_is_not_kept() {
    let (world, _, instance, key) = keeping(7).await;
    let object = ObjectName::new(Area::Outgoing, instance, MessageId::new(world.clock.now()));
    for (source, told) in [
        (None, "409 CONTENT_NOT_KEPT"),
        (Some(Source::Stored(object)), "409 CONTENT_NOT_KEPT"),
        (Some(Source::Inline(Bytes(b"hello".to_vec()))), "202"),
    ] {
        let media = Media {
            source,
            ..Media::default()
        };
        let id = kept(&world, instance, &Content::Document(media).into(), 7).await;
        let answer = key.send("forward", json!({"to": BOB, "messageId": id})).await;
        let found = if answer.status == 202 {
            "202".to_owned()
        } else {
            answer.code()
        };
        assert_eq!(found, told);
    }
}

#[tokio::test]
async fn what_cannot_be_forwarded_is_told_by_field() {
    let (world, user, instance, key) = keeping(7).await;
    let reaction = Content::Reaction(Reaction {
        target: Target {
            whatsapp_id: "3AFF01".to_owned(),
            from_me: true,
            author: Person::default(),
        },
        emoji: "👍".to_owned(),
    });
    let once = Content::Image(Media {
        view_once: true,
        ..Media::default()
    });
    let reaction = kept(&world, instance, &reaction.into(), 7).await;
    let once = kept(&world, instance, &once.into(), 7).await;
    let unknown = recorded(&world, instance, Kind::Unknown, world.clock.now()).await;
    let other = world.instance(&user, "support").await;
    let others = kept(&world, other, &Said::text("hello"), 7).await;
    for (id, fault) in [
        (
            reaction.to_string(),
            "names a reaction, which cannot be forwarded",
        ),
        (
            once.to_string(),
            "names a message that is shown once, which cannot be forwarded",
        ),
        (
            unknown.to_string(),
            "names a message of an unknown kind, which cannot be forwarded",
        ),
        (others.to_string(), "names no message of this instance"),
        (
            "msg_01JD0000000000000000000000".to_owned(),
            "names no message of this instance",
        ),
    ] {
        let answer = key.send("forward", json!({"to": BOB, "messageId": id})).await;
        assert_eq!(
            answer.error(),
            format!("400 VALIDATION_ERROR: `messageId` {fault}")
        );
    }
    let malformed = key.send("forward", json!({"to": "bob", "messageId": "x"})).await;
    assert_eq!(malformed.code(), "400 VALIDATION_ERROR");
    assert_eq!(malformed.faults().len(), 2, "both are told");
    let missing = key.send("forward", json!({"to": BOB})).await;
    assert_eq!(missing.error(), "400 VALIDATION_ERROR: `messageId` is missing");
}

/// Whoever got no answer is told what became of the message, also when nothing is kept any more by then.
#[tokio::test]
async fn a_repetition_is_answered_when_the_content_is_gone() {
    let (world, user, instance, key) = keeping(1).await;
    let key = key.with_header("idempotency-key", "order-4711");
    let id = kept(&world, instance, &Said::text("hello"), 1).await;
    let body = json!({"to": BOB, "messageId": id});
    let first = key.send("forward", body.clone()).await.data(202);
    let path = format!("/api/instances/{instance}");
    user.put(&path, json!({"contentDays": 0})).await.data(200);
    let again = key.send("forward", body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(202)["id"], first["id"]);
    let other = key.send("forward", json!({"to": ALICE, "messageId": id})).await;
    assert_eq!(other.code(), "409 CONTENT_NOT_KEPT", "it was never asked");
}

/// A quote for which no text is given shows the message's own, where that is kept.
#[tokio::test]
async fn a_quote_shows_what_is_kept() {
    let (world, _, instance, key) = keeping(7).await;
    let file = Media {
        text: Some("look".to_owned()),
        ..Media::default()
    };
    let once = Media {
        view_once: true,
        ..Media::default()
    };
    for (content, shown) in [
        (Content::text("a question"), Some("a question")),
        (poll(), Some("Lunch?")),
        (Content::Image(file), Some("look")),
        (Content::Image(once), None),
    ] {
        let id = kept(&world, instance, &content.into(), 7).await;
        for (given, shown) in [(None, shown), (Some("another"), Some("another"))] {
            let body = json!({"to": ALICE, "text": "an answer", "replyTo": {"id": id, "text": given}});
            key.send("text", body).await.data(202);
            let (_, sent) = said(&world, instance).await;
            let quoted = sent.context.quoted.expect("a quote");
            assert_eq!(quoted.text.as_deref(), shown);
        }
    }
}

/// It goes with others in one request.
#[tokio::test]
async fn several_are_forwarded_at_once() {
    let (world, _, instance, key) = keeping(7).await;
    let id = kept(&world, instance, &Said::text("hello"), 7).await;
    let not_kept = recorded(&world, instance, Kind::Text, world.clock.now()).await;
    let messages = json!({"messages": [
        {"kind": "forward", "to": BOB, "messageId": id},
        {"kind": "forward", "to": BOB, "messageId": not_kept},
    ]});
    let data = key.post("/api/messages/bulk", messages).await.data(200);
    assert_eq!(data["results"][0]["message"]["kind"], "text");
    assert_eq!(data["results"][1]["error"]["code"], "CONTENT_NOT_KEPT");
}
