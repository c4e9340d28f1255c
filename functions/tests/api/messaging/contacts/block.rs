//! `POST` and `DELETE /api/contacts/{contact}/block`: at most once, and honest where nobody knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::Method;
use futures::future::join_all;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::instance::Status;
use shared::domain::question::{Ask, Block, Outcome, Question, Refusal};
use shared::sealed;
use shared::storage::answers::Progress;
use shared::storage::keys;

use crate::flaky_queue::Send;
use crate::support::{Answer, Caller, World};
use testbed::asked::{Doing, willing};

const PATH: &str = "/api/contacts/15550100002/block";

async fn call(method: Method, key: &Caller, path: &str, idempotency_key: Option<&str>) -> Answer {
    let keyed = idempotency_key.map(|value| key.with_header("idempotency-key", value));
    keyed.as_ref().unwrap_or(key).request(method, path, ()).await
}

async fn block(key: &Caller, idempotency_key: Option<&str>) -> Answer {
    call(Method::POST, key, PATH, idempotency_key).await
}

fn ask(blocked: bool) -> Ask {
    Block {
        contact: "15550100002".parse().expect("a number"),
        blocked,
    }
    .into()
}

async fn hasty() -> World {
    World::with(|mut config| {
        config.messaging.daemon_answer = Duration::from_secs(5);
        config
    })
    .await
}

fn outcome(answer: &Answer) -> String {
    assert!(
        answer.error().starts_with("504 UPSTREAM_TIMEOUT"),
        "{}",
        answer.error()
    );
    let outcome = answer.json()["error"]["details"]["outcome"].clone();
    outcome.as_str().expect("a text").to_owned()
}

async fn progress(world: &World, question: &Question) -> Option<Progress> {
    let answers = &world.states.messaging.answers;
    let found = answers.get(question.instance, question.id, world.clock.now());
    found.await.expect("read")
}

#[tokio::test]
async fn a_contact_is_blocked_and_let_reach_the_account_again() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let blocked = json!({"phone": "15550100002", "lid": "915550100002", "blocked": true});
    assert_eq!(block(&key, None).await.data(200), blocked);
    // A JID, percent-encoded, and a LID.
    for path in [
        "/api/contacts/15550100002%40s.whatsapp.net/block",
        "/api/contacts/lid:200000000000002/block",
    ] {
        call(Method::POST, &key, path, None).await.data(200);
    }
    let unblocked = call(Method::DELETE, &key, PATH, None).await.data(200);
    assert_eq!(
        unblocked,
        json!({"id": "15550100002@s.whatsapp.net", "deleted": true})
    );
    let asks = asked.asks();
    assert_eq!(
        (&asks[0], &asks[1], &asks[3]),
        (&ask(true), &ask(true), &ask(false))
    );
    for path in [
        "/api/contacts/ada/block",
        "/api/contacts/120363021033254949@g.us/block",
    ] {
        let answer = call(Method::POST, &key, path, None).await;
        assert_eq!(answer.code(), "400 VALIDATION_ERROR");
        assert_eq!(answer.bad_fields()[0], "contact");
    }
    assert_eq!(asked.asks().len(), 4);
}

#[tokio::test]
async fn an_account_cannot_block_itself() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    for own in ["15550100001", "lid:100000012345678"] {
        let answer = call(Method::POST, &key, &format!("/api/contacts/{own}/block"), None).await;
        assert_eq!(answer.code(), "400 VALIDATION_ERROR");
        assert_eq!(
            answer.faults(),
            ["contact must not be the instance's own account"]
        );
    }
    assert!(asked.asks().is_empty());
}

#[tokio::test]
async fn what_nobody_began_was_not_started_and_never_is() {
    let world = hasty().await;
    let (_, _, key) = world.ready().await;
    let asked = world.asked(|_| Doing::Nothing);
    assert_eq!(outcome(&block(&key, None).await), "not_started");
    let question = asked.questions().remove(0);
    assert_eq!(progress(&world, &question).await, Some(Progress::GivenUp));
    let (instance, id, until) = (question.instance, question.id, question.keep_until);
    let begun = world.states.messaging.answers.begin(instance, id, until).await;
    assert_eq!(begun.expect("stored"), None, "a daemon that comes late");
}

#[tokio::test]
async fn what_was_begun_is_unknown_and_its_answer_is_found_later() {
    let world = hasty().await;
    let (_, _, key) = world.ready().await;
    let asked = world.asked(|_| Doing::Begin);
    assert_eq!(outcome(&block(&key, Some("k")).await), "unknown");
    // It is not asked again: it may have been done.
    assert_eq!(outcome(&block(&key, Some("k")).await), "unknown");
    assert_eq!(asked.asks().len(), 1);
    answer_late(&world, &asked.questions()[0], &willing(&ask(true))).await;
    let found = block(&key, Some("k")).await;
    assert_eq!(found.header("idempotency-replayed"), "true");
    assert_eq!(found.data(200)["blocked"], true);
    // And without a connection.
    let instance = asked.questions()[0].instance;
    world.daemon.observe(instance, Status::Reconnecting).await;
    block(&key, Some("k")).await.data(200);
    assert_eq!(asked.asks().len(), 1);
}

/// As a daemon does whose answer took long: it was begun in another's name, so the item is written as it would be.
async fn answer_late(world: &World, question: &Question, outcome: &Outcome) {
    let of = keys::answer(question.instance, question.id).path();
    let sealing = sealed::seal(&world.state.sealer, question.instance, &of, outcome);
    store_sealed(world, question, sealing.await.expect("sealed")).await;
}

async fn store_sealed(world: &World, question: &Question, sealed: String) {
    let table = &world.state.table;
    table
        .client()
        .update_item()
        .table_name(table.name())
        .set_key(Some(keys::answer(question.instance, question.id).attributes()))
        .update_expression("SET progress = :answered, sealed = :sealed")
        .expression_attribute_values(":answered", shared::storage::item::s("answered"))
        .expression_attribute_values(":sealed", shared::storage::item::s(sealed))
        .send()
        .await
        .expect("stored");
}

#[tokio::test]
async fn a_key_whose_question_came_to_nothing_is_free() {
    let world = hasty().await;
    let (_, _, key) = world.ready().await;
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let asked = world.asked(move |ask| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Doing::Nothing,
        1 => Doing::Answer(Box::new(Err(Refusal::Unavailable))),
        _ => Doing::Answer(Box::new(willing(ask))),
    });
    assert_eq!(outcome(&block(&key, Some("k")).await), "not_started");
    let refused = block(&key, Some("k")).await;
    assert!(
        refused.error().starts_with("502 UPSTREAM_ERROR"),
        "{}",
        refused.error()
    );
    let done = block(&key, Some("k")).await;
    assert_eq!(done.header("idempotency-replayed"), "");
    done.data(200);
    assert_eq!(asked.asks().len(), 3);
    assert_eq!(
        block(&key, Some("k")).await.header("idempotency-replayed"),
        "true"
    );
    assert_eq!(asked.asks().len(), 3);
    // Another contact, another route.
    let other = call(Method::POST, &key, "/api/contacts/15550100003/block", Some("k")).await;
    assert!(
        other.error().starts_with("409 IDEMPOTENCY_CONFLICT"),
        "{}",
        other.error()
    );
    let text = json!({"to": "15550100002", "text": "x"});
    let key = key.with_header("idempotency-key", "k");
    assert_eq!(key.send("text", text).await.status, 409);
}

/// The function that asked first ended between its claim and its send.
#[tokio::test]
async fn a_key_without_a_question_is_taken_over_when_its_time_is_over() {
    let world = hasty().await;
    let (_, _, key) = world.ready().await;
    let asked = world.asked(|_| Doing::Nothing);
    world.queue.next_sends([Send::Away, Send::Away, Send::Away]);
    let lost = block(&key, Some("k")).await;
    assert_eq!(lost.status, 503, "{}", lost.error());
    assert!(asked.asks().is_empty());
    assert_eq!(outcome(&block(&key, Some("k")).await), "not_started");
    assert_eq!(asked.asks().len(), 1);
}

#[tokio::test]
async fn a_send_whose_answer_is_lost_is_repeated_and_done_once() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    world.queue.next_sends([Send::Lost]);
    block(&key, None).await.data(200);
    let ids: Vec<_> = asked.questions().iter().map(|question| question.id).collect();
    assert!(
        ids.iter().all(|id| *id == ids[0]),
        "one question, however often it comes"
    );
}

#[tokio::test]
async fn requests_at_once_under_one_key_are_one_question() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let answers = join_all((0..6).map(|_| block(&key, Some("k")))).await;
    let replayed = answers
        .iter()
        .filter(|answer| answer.header("idempotency-replayed") == "true");
    assert_eq!(replayed.count(), 5);
    for answer in &answers {
        assert_eq!(answer.data(200)["blocked"], true);
    }
    assert_eq!(asked.asks().len(), 1);
}

#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    let world = hasty().await;
    let (_, _, key) = world.ready().await;
    let asked = world.asked(|_| Doing::Begin);
    assert_eq!(outcome(&block(&key, Some("one")).await), "unknown");
    assert_eq!(outcome(&block(&key, Some("two")).await), "unknown");
    let questions = asked.questions();
    answer_late(&world, &questions[0], &willing(&ask(true))).await;
    let Some(Progress::Answered(sealed)) = progress(&world, &questions[0]).await else {
        panic!("it was answered");
    };
    store_sealed(&world, &questions[1], sealed).await;
    block(&key, Some("one")).await.data(200);
    let foreign = block(&key, Some("two")).await;
    assert_eq!(foreign.error(), "500 INTERNAL: Something went wrong on our side");
}
