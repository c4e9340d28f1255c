//! `POST /api/contacts/check`.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::instance::Status;
use shared::domain::person::{Belief, LookedUp, Person};
use shared::domain::question::{Ask, Found, LookUp, Looked, Refusal};
use shared::domain::recipient::Recipient;
use shared::storage::people::{Lesson, People};

use crate::support::{Answer, Caller, World};
use testbed::asked::{Doing, willing};

const PATH: &str = "/api/contacts/check";
const ALICE: &str = "15550100002";
const BOB: &str = "15550100003";

fn name(text: &str) -> Recipient {
    text.parse().expect("a name")
}

async fn check(key: &Caller, contacts: Value) -> Answer {
    key.post(PATH, json!({"contacts": contacts})).await
}

async fn check_keyed(key: &Caller, idempotency_key: &str, contacts: Value) -> Answer {
    check(&key.with_header("idempotency-key", idempotency_key), contacts).await
}

/// How long requests wait for a daemon in a [`hasty`] deployment.
const MOMENT: Duration = Duration::from_secs(5);

/// A deployment whose requests wait for a daemon for a moment.
async fn hasty() -> World {
    World::with(|mut config| {
        config.messaging.daemon_answer = MOMENT;
        config
    })
    .await
}

#[tokio::test]
async fn each_contact_has_a_result_in_the_order_asked() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(|ask| {
        let Ask::LookUp(LookUp { contacts }) = ask else {
            panic!("{ask:?}")
        };
        let found = contacts.iter().map(|contact| match contact.phone() {
            Some(ALICE) => Found::There {
                // As WhatsApp spells it.
                person: Person {
                    phone: Some("15550100902".to_owned()),
                    lid: Some("200000000000002".to_owned()),
                },
                business_name: Some("Engines of Alice".to_owned()),
            },
            Some(BOB) => Found::Absent,
            Some(_) => Found::Unsaid,
            None => Found::There {
                person: Person {
                    phone: None,
                    lid: contact.lid().map(str::to_owned),
                },
                business_name: None,
            },
        });
        Ok(Looked {
            found: found.collect(),
        }
        .into())
    });
    let contacts = json!([
        BOB,
        "+15550100002",
        "ada",
        "lid:200000000000005",
        "120363021033254949@g.us",
        "15550100002@s.whatsapp.net",
        "15550100007",
    ]);
    let data = check(&key, contacts).await.data(200);
    let invalid = "must be a phone number in E.164 (7 to 15 digits, an optional + before them), `lid:` and digits, \
                   or a WhatsApp JID (`…@s.whatsapp.net`, `…@lid`, or a group's id `…@g.us`)";
    let result = |input: &str, exists: Value, phone: Value, lid: Value, name: Value, error: Value| json!({"input": input, "exists": exists, "phone": phone, "lid": lid, "businessName": name, "error": error});
    let null = || Value::Null;
    let alice = |input: &str| {
        let (phone, lid) = (json!("15550100902"), json!("200000000000002"));
        result(input, json!(true), phone, lid, json!("Engines of Alice"), null())
    };
    assert_eq!(
        data["results"],
        json!([
            result(BOB, json!(false), null(), null(), null(), null()),
            alice("+15550100002"),
            result(
                "ada",
                null(),
                null(),
                null(),
                null(),
                json!({"code": "VALIDATION_ERROR", "message": invalid})
            ),
            result(
                "lid:200000000000005",
                json!(true),
                null(),
                json!("200000000000005"),
                null(),
                null()
            ),
            result(
                "120363021033254949@g.us",
                null(),
                null(),
                null(),
                null(),
                json!({"code": "VALIDATION_ERROR", "message": "must name a person, not a group"})
            ),
            alice("15550100002@s.whatsapp.net"),
            result(
                "15550100007",
                null(),
                null(),
                null(),
                null(),
                json!({"code": "UPSTREAM_ERROR",
                "message": "WhatsApp does not say whether the contact is there; ask again later"})
            ),
        ])
    );
    // One question, with each person once.
    let contacts = [BOB, ALICE, "lid:200000000000005", "15550100007"]
        .map(name)
        .to_vec();
    assert_eq!(asked.asks(), [LookUp { contacts }.into()]);
}

#[tokio::test]
async fn what_was_looked_up_is_answered_from_memory_for_a_while() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(willing);
    let people = People::new(world.state.table.clone());
    let now = world.clock.now();
    let there = Lesson {
        met: name(ALICE),
        spelt: None,
        other: Some(name("lid:200000000000002")),
        on_whatsapp: Some(Belief {
            is_there: true,
            until: now + TimeDelta::days(1),
        }),
        looked_up: Some(LookedUp {
            business_name: Some("Engines of Alice".to_owned()),
            until: now + TimeDelta::days(1),
        }),
    };
    let absent = Lesson {
        met: name(BOB),
        spelt: None,
        other: None,
        on_whatsapp: Some(Belief {
            is_there: false,
            until: now + TimeDelta::minutes(15),
        }),
        looked_up: None,
    };
    for lesson in [&there, &absent] {
        people.learn(instance, 1, lesson, now).await.expect("stored");
    }
    // A connection is not needed.
    world.daemon.observe(instance, Status::Reconnecting).await;
    let contacts = json!(["lid:200000000000002", BOB, ALICE]);
    let data = check(&key, contacts.clone()).await.data(200);
    let of = |n: usize, member: &str| data["results"][n][member].clone();
    for n in [0, 2] {
        assert_eq!((of(n, "exists"), of(n, "phone")), (json!(true), json!(ALICE)));
        assert_eq!(of(n, "lid"), "200000000000002");
        assert_eq!(of(n, "businessName"), "Engines of Alice");
    }
    assert_eq!((of(1, "exists"), of(1, "phone")), (json!(false), Value::Null));
    assert!(asked.asks().is_empty());

    // Whoever was not there may have come.
    world.daemon.observe(instance, Status::Connected).await;
    world.clock.advance(TimeDelta::minutes(15));
    world.daemon.lives().await;
    let data = check(&key, contacts.clone()).await.data(200);
    assert_eq!(data["results"][1]["exists"], true);
    assert_eq!(
        asked.asks(),
        [LookUp {
            contacts: vec![name(BOB)]
        }
        .into()]
    );
    // A request with a key is one question.
    check_keyed(&key, "k", contacts).await.data(200);
    let all = ["lid:200000000000002", BOB, ALICE].map(name).to_vec();
    assert_eq!(asked.asks()[1..], [LookUp { contacts: all }.into()]);
}

#[tokio::test]
async fn wrong_lists_are_named_by_field() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let many: Vec<_> = (0..51).map(|n| format!("155501000{n:02}")).collect();
    let long = "1".repeat(101);
    for (contacts, field, message) in [
        (json!([]), "contacts", "must have 1 to 50 items"),
        (json!(many), "contacts", "must have 1 to 50 items"),
        (json!([ALICE, ""]), "contacts[1]", "must have 1 to 100 characters"),
        (json!([long]), "contacts[0]", "must have 1 to 100 characters"),
        (json!([ALICE, 7]), "contacts[1]", "must be a string"),
        (json!("15550100002"), "contacts", "must be a list"),
        (json!(null), "contacts", "must not be null"),
    ] {
        let answer = check(&key, contacts).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.faults(), [format!("{field} {message}")]);
    }
    let body = json!({"contacts": [ALICE], "conatcts": []});
    let answer = key.post(PATH, body).await;
    assert_eq!(answer.bad_fields(), ["conatcts"]);
}

#[tokio::test]
async fn an_instance_that_is_not_connected_says_so_at_once() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    for (status, retry_after) in [
        (Status::Reconnecting, "5"),
        (Status::LoggedOut, ""),
        (Status::AwaitingQr, ""),
    ] {
        world.daemon.observe(instance, status).await;
        let answer = check(&key, json!([ALICE])).await;
        assert_eq!(
            answer.error(),
            "409 INSTANCE_NOT_CONNECTED: The instance is not connected to WhatsApp now, which this needs"
        );
        assert_eq!(answer.json()["error"]["details"]["status"], status.as_str());
        assert_eq!(answer.header("retry-after"), retry_after);
    }
    assert!(world.waiting(&world.queue_names().queries(0)).await.is_empty());
}

#[tokio::test]
async fn what_whatsapp_says_no_to_is_told_in_the_codes_of_the_api() {
    for (refusal, expected, retry_after) in [
        (Refusal::NotConnected, "409 INSTANCE_NOT_CONNECTED", "5"),
        (Refusal::Busy, "429 RATE_LIMITED", "1"),
        (Refusal::Throttled { seconds: Some(7) }, "429 RATE_LIMITED", "7"),
        (Refusal::Throttled { seconds: None }, "429 RATE_LIMITED", "60"),
        (Refusal::NotOnWhatsapp, "422 RECIPIENT_NOT_ON_WHATSAPP", ""),
        (Refusal::Refused { code: Some(406) }, "502 UPSTREAM_ERROR", ""),
        (Refusal::Unavailable, "502 UPSTREAM_ERROR", ""),
        (Refusal::Unknown, "502 UPSTREAM_ERROR", ""),
        (Refusal::InDoubt, "504 UPSTREAM_TIMEOUT", ""),
    ] {
        let world = World::new().await;
        let (_, _, key) = world.ready().await;
        let _asked = world.answering(move |_| Err(refusal));
        // Of a check it is a result, and no error.
        let answer = if refusal == Refusal::NotOnWhatsapp {
            key.post(&format!("/api/contacts/{ALICE}/block"), ()).await
        } else {
            check(&key, json!([ALICE])).await
        };
        assert!(answer.error().starts_with(expected), "{}", answer.error());
        assert_eq!(answer.header("retry-after"), retry_after);
        let code = answer.json()["error"]["details"]["upstreamCode"].clone();
        assert_eq!(code == 406, matches!(refusal, Refusal::Refused { .. }));
    }
}

#[tokio::test]
async fn nobody_who_answers_in_time_is_a_504() {
    let world = hasty().await;
    let (_, _, key) = world.ready().await;
    let asked = world.asked(|_| Doing::Nothing);
    let answer = check(&key, json!([ALICE])).await;
    assert!(
        answer.error().starts_with("504 UPSTREAM_TIMEOUT"),
        "{}",
        answer.error()
    );
    assert_eq!(answer.json()["error"]["details"], json!({"outcome": "unknown"}));
    let question = asked.questions().remove(0);
    assert!(question.answer_by > world.clock.now());
    assert!(question.answer_by < world.clock.now() + MOMENT);
}

#[tokio::test]
async fn the_same_request_under_a_key_is_asked_once() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let first = check_keyed(&key, "k", json!([ALICE, "ada"])).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = check_keyed(&key, "k", json!([ALICE, "ada"])).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(200), first.data(200));
    assert_eq!(asked.asks().len(), 1);
    let other = check_keyed(&key, "k", json!([BOB])).await;
    assert!(
        other.error().starts_with("409 IDEMPOTENCY_CONFLICT"),
        "{}",
        other.error()
    );
}

#[tokio::test]
async fn what_a_check_says_counts_for_the_next_message_at_once() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let _asked = world.answering(|ask| match ask {
        Ask::LookUp(_) => Ok(Looked {
            found: vec![Found::Absent],
        }
        .into()),
        ask => willing(ask),
    });
    let send = async |to: &str| key.send("text", json!({"to": to, "text": "x"})).await;
    // It is remembered as a stranger.
    send(ALICE).await.data(202);
    let checked = check(&key, json!([ALICE])).await.data(200);
    assert_eq!(checked["results"][0]["exists"], false);
    let refused = send(ALICE).await;
    assert!(refused.error().starts_with("422"), "{}", refused.error());
    // Under a key, where nothing was remembered.
    check_keyed(&key, "k", json!([BOB])).await.data(200);
    assert_eq!(send(BOB).await.status, 422);
}

#[tokio::test]
async fn a_number_that_whatsapp_spells_otherwise_is_asked_for_once() {
    let (written, spelt) = ("5511987654321", "551187654321");
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(willing);
    let until = world.clock.now() + TimeDelta::days(1);
    let lesson = Lesson {
        met: name(written),
        spelt: Some(name(spelt)),
        other: Some(name("lid:200000000000002")),
        on_whatsapp: Some(Belief {
            is_there: true,
            until,
        }),
        looked_up: Some(LookedUp {
            business_name: None,
            until,
        }),
    };
    let people = People::new(world.state.table.clone());
    let now = world.clock.now();
    people.learn(instance, 1, &lesson, now).await.expect("stored");
    for input in [written, spelt] {
        let data = check(&key, json!([input])).await.data(200);
        assert_eq!(
            data["results"][0],
            json!({
                "input": input, "exists": true, "phone": spelt, "lid": "200000000000002", "businessName": null,
                "error": null,
            })
        );
    }
    assert!(asked.asks().is_empty());
}

#[tokio::test]
async fn a_key_stands_for_the_list_as_it_was_written() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    check_keyed(&key, "k", json!([ALICE, BOB])).await.data(200);
    for other in [
        json!([ALICE, BOB, ALICE]),
        json!([BOB, ALICE]),
        json!([ALICE, BOB, "nobody"]),
        json!(["nobody"]),
    ] {
        let answer = check_keyed(&key, "k", other.clone()).await;
        assert_eq!(answer.code(), "409 IDEMPOTENCY_CONFLICT", "{other}");
    }
    assert_eq!(asked.asks().len(), 1);
}

/// Nothing is asked of WhatsApp, and the key is taken all the same.
#[tokio::test]
async fn a_list_that_names_nobody_takes_its_key() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let first = check_keyed(&key, "k", json!(["nobody"])).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = check_keyed(&key, "k", json!(["nobody"])).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(200), first.data(200));
    assert!(asked.asks().is_empty());
    let other = check_keyed(&key, "k", json!([ALICE])).await;
    assert_eq!(other.code(), "409 IDEMPOTENCY_CONFLICT");
}
