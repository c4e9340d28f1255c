//! What the relay does to calls, seen from both of its sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde_json::{Value, json};
use testbed::relay::{Away, Fate, On, Relay, Reply};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Nothing here takes longer, on the busiest machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// Long enough that a call that can be answered is, and short enough to wait for.
const MOMENT: Duration = Duration::from_millis(300);

/// A target that counts what took effect, and the relay before it.
struct World {
    relay: Relay,
    effects: Arc<AtomicU64>,
    client: reqwest::Client,
}

type Outcome = Result<(u16, String), reqwest::Error>;

impl World {
    async fn new() -> Self {
        Self::with(async |endpoint| Relay::before(endpoint).await).await
    }

    async fn with(before: impl AsyncFnOnce(&str) -> Relay) -> Self {
        let effects = Arc::new(AtomicU64::new(0));
        let router = Router::new().fallback(target).with_state(effects.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let relay = before(&endpoint).await;
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self {
            relay,
            effects,
            client,
        }
    }

    async fn call(&self, target: &str, body: &str) -> Outcome {
        let request = self
            .client
            .post(format!("{}/path?a=b", self.relay.endpoint()))
            .header("x-amz-target", target)
            .body(body.to_owned());
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    async fn put(&self, body: &str) -> Outcome {
        self.call("DynamoDB_20120810.PutItem", body).await
    }

    /// Waits until so many calls have come to the relay.
    async fn until_calls(&self, wanted: u64) {
        let deadline = Instant::now() + DEADLINE;
        while self.relay.tally().values().sum::<u64>() < wanted {
            assert!(Instant::now() < deadline, "{:?}", self.relay.tally());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn effects(&self) -> u64 {
        self.effects.load(Ordering::SeqCst)
    }

    async fn until_effects(&self, wanted: u64) {
        let deadline = Instant::now() + DEADLINE;
        while self.effects() < wanted {
            assert!(Instant::now() < deadline, "{} effects", self.effects());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(self.effects(), wanted);
    }
}

async fn target(State(effects): State<Arc<AtomicU64>>, uri: Uri, headers: HeaderMap, body: Bytes) -> String {
    let effect = effects.fetch_add(1, Ordering::SeqCst) + 1;
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    json!({
        "effect": effect,
        "uri": uri.to_string(),
        "named": headers.contains_key("x-amz-target"),
        "asked": asked,
        "ConsumedCapacity": {"CapacityUnits": 2.0},
    })
    .to_string()
}

fn effect_in(outcome: Outcome) -> u64 {
    let (status, body) = outcome.expect("answered");
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    body["effect"].as_u64().expect("a number")
}

fn code_in(outcome: Outcome) -> (u16, String) {
    let (status, body) = outcome.expect("answered");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    (status, body["__type"].as_str().expect("a code").to_owned())
}

/// Whether a call is unanswered for a moment after this shows that it has come. Its sender then goes.
async fn is_stalled(call: impl Future<Output = Outcome>, has_come: impl Future<Output = ()>) -> bool {
    let moment = async {
        has_come.await;
        tokio::time::sleep(MOMENT).await;
    };
    tokio::select! {
        _ = call => false,
        () = moment => true,
    }
}

#[tokio::test]
async fn a_call_passes_as_it_is() {
    let world = World::new().await;
    let (status, body) = world.put(r#"{"a":1}"#).await.expect("answered");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status, 200);
    assert_eq!(body["uri"], "/path?a=b");
    assert_eq!(body["named"], true);
    assert_eq!(body["asked"], json!({"a": 1}));
    assert_eq!(world.relay.tally()["PutItem"], 1);
}

#[tokio::test]
async fn each_service_has_its_own_words() {
    let world = World::new().await;
    let throttled = [
        (
            "DynamoDB_20120810.Query",
            "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        ),
        ("AmazonSQS.SendMessage", "com.amazonaws.sqs#RequestThrottled"),
        ("TrentService.Decrypt", "ThrottlingException"),
    ];
    for (target, code) in throttled {
        world.relay.plan(On::any(), [Fate::THROTTLED]);
        assert_eq!(code_in(world.call(target, "{}").await), (400, code.to_owned()));
    }
    let unknown = Fate::refused(Reply::Code(400, "KMSInvalidStateException"));
    world.relay.plan(On::any(), [unknown]);
    let answer = code_in(world.call("TrentService.Decrypt", "{}").await);
    assert_eq!(answer, (400, "KMSInvalidStateException".to_owned()));
    world.relay.plan(On::any(), [Fate::GARBLED]);
    let (status, page) = world.put("{}").await.expect("answered");
    assert_eq!(status, 500);
    assert!(page.starts_with("<html>"), "{page}");
    assert_eq!(world.effects(), 0, "none of them took effect");
    assert_eq!(world.relay.failed(), 5);
}

#[tokio::test]
async fn another_transaction_concerns_writes_of_a_table_alone() {
    let world = World::new().await;
    world.relay.always(On::any(), Fate::CONFLICT);
    effect_in(world.call("DynamoDB_20120810.GetItem", "{}").await);
    effect_in(world.call("AmazonSQS.SendMessage", "{}").await);
    let (status, code) = code_in(world.put("{}").await);
    assert_eq!(status, 400);
    assert!(code.ends_with("#TransactionConflictException"), "{code}");
    let items = json!({"TransactItems": [{}, {}, {}]}).to_string();
    let (_, body) = world
        .call("DynamoDB_20120810.TransactWriteItems", &items)
        .await
        .expect("answered");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["CancellationReasons"].as_array().expect("a list").len(), 3);
}

#[tokio::test]
async fn all_of_a_tables_batch_is_left_and_other_calls_pass() {
    let world = World::new().await;
    world.relay.always(On::any(), Fate::LEFT);
    let items = json!({"waxwing": {"Keys": [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}]}});
    let batch = json!({"RequestItems": items}).to_string();
    for (operation, left) in [
        ("BatchGetItem", "UnprocessedKeys"),
        ("BatchWriteItem", "UnprocessedItems"),
    ] {
        let target = format!("DynamoDB_20120810.{operation}");
        let (status, said) = world.call(&target, &batch).await.expect("answered");
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!((status, &said[left]), (200, &items), "{operation}");
    }
    assert_eq!(world.effects(), 0);
    effect_in(world.put("{}").await);
    assert_eq!(world.effects(), 1);
}

#[tokio::test]
async fn a_batch_of_reads_is_not_finished() {
    let world = World::new().await;
    world.relay.always(On::any(), Fate::UNREAD);
    effect_in(world.put("{}").await);
    let batch = |keys: &[&str]| json!({"RequestItems": {"table": {"Keys": keys}}});
    for (keys, read) in [(&["a", "b"][..], Some(&["a"][..])), (&["b"][..], None)] {
        let asked = batch(keys).to_string();
        let answer = world.call("DynamoDB_20120810.BatchGetItem", &asked).await;
        let (status, body) = answer.expect("answered");
        assert_eq!(status, 200);
        let body: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(body["UnprocessedKeys"], json!({"table": {"Keys": ["b"]}}));
        let asked = read.map_or(Value::Null, batch);
        assert_eq!(body["asked"], asked, "what the table was asked for");
    }
    assert_eq!(world.effects(), 2);
}

#[tokio::test]
async fn an_answer_is_lost_after_the_call_took_effect() {
    let world = World::new().await;
    let planned = world.relay.plan(
        On::operation("PutItem"),
        [Fate::LOST, Fate::PASS.unanswered(), Fate::lost(Reply::Broken)],
    );
    assert_eq!(code_in(world.put("{}").await).0, 500);
    assert_eq!(world.effects(), 1);
    assert!(is_stalled(world.put("{}"), world.until_effects(2)).await);
    assert!(!planned.is_done());
    world.put("{}").await.expect_err("the connection breaks");
    assert_eq!(world.effects(), 3);
    assert!(planned.is_done());
    assert_eq!(effect_in(world.put("{}").await), 4);
}

#[tokio::test]
async fn a_stalled_target_is_reached_by_who_still_waits() {
    let world = World::new().await;
    world.relay.take_away(Away::Stalled);
    assert!(is_stalled(world.put("{}"), world.until_calls(1)).await);
    let (outcome, ()) = tokio::join!(world.put("{}"), async {
        tokio::time::sleep(MOMENT).await;
        assert_eq!(world.effects(), 0);
        world.relay.give_back();
    });
    assert_eq!(effect_in(outcome), 1, "the sender that went is forgotten");
}

#[tokio::test]
async fn a_late_call_takes_effect_though_its_sender_has_gone() {
    let world = World::new().await;
    world.relay.take_away(Away::Late);
    assert!(is_stalled(world.put("{}"), world.until_calls(1)).await);
    assert_eq!(world.effects(), 0);
    world.relay.give_back();
    world.until_effects(1).await;
}

#[tokio::test]
async fn a_deaf_target_does_what_it_is_told() {
    let world = World::new().await;
    world.relay.take_away(Away::Deaf);
    let (outcome, ()) = tokio::join!(world.put("{}"), async {
        world.until_effects(1).await;
        tokio::time::sleep(MOMENT).await;
        world.relay.give_back();
    });
    assert_eq!(effect_in(outcome), 1);
}

#[tokio::test]
async fn a_target_that_refuses_breaks_connections_until_it_is_back() {
    let world = World::new().await;
    world.relay.always(On::operation("Query"), Fate::STALLED);
    let (open, ()) = tokio::join!(world.call("DynamoDB_20120810.Query", "{}"), async {
        tokio::time::sleep(MOMENT).await;
        world.relay.take_away(Away::Refused);
    });
    open.expect_err("the open connection breaks");
    world.put("{}").await.expect_err("a new one breaks");
    assert_eq!(world.effects(), 0);
    world.relay.give_back();
    assert_eq!(effect_in(world.put("{}").await), 1);
}

#[tokio::test]
async fn a_call_is_held_until_it_is_released() {
    let world = World::new().await;
    let holding = world.relay.hold(On::operation("PutItem").with("leases#"));
    assert_eq!(effect_in(world.put(r#""beat""#).await), 1, "another call passes");
    let (outcome, ()) = tokio::join!(world.put(r#""leases#7""#), async {
        let held = holding.arrived().await;
        assert_eq!(held.call.body, r#""leases#7""#);
        assert_eq!(
            effect_in(world.put(r#""leases#8""#).await),
            2,
            "one call is held, no more"
        );
        held.pass();
    });
    assert_eq!(effect_in(outcome), 3);
}

#[tokio::test]
async fn a_held_call_takes_effect_after_its_sender_has_gone() {
    let world = World::new().await;
    let holding = world.relay.hold(On::any());
    let mut call = Box::pin(world.put("{}"));
    let held = tokio::select! {
        _ = &mut call => panic!("it is held"),
        held = holding.arrived() => held,
    };
    drop(call);
    held.pass();
    world.until_effects(1).await;
}

#[tokio::test]
async fn an_answer_is_held_after_the_effect() {
    let world = World::new().await;
    let holding = world.relay.hold_answer(On::any());
    let (outcome, ()) = tokio::join!(world.put("{}"), async {
        let held = holding.arrived().await;
        assert_eq!(world.effects(), 1);
        held.release(Fate::lost(Reply::Garbled));
    });
    assert_eq!(outcome.expect("answered").0, 500);
}

#[tokio::test]
async fn a_share_of_calls_fails_by_its_seed() {
    let fates = async |seed| {
        let world = World::new().await;
        let shares = [(30, Fate::THROTTLED), (10, Fate::GARBLED)];
        world.relay.share(On::operation("PutItem"), seed, &shares, 0..1);
        let mut fates = Vec::new();
        for _ in 0..200 {
            fates.push(world.put("{}").await.expect("answered").0);
        }
        fates
    };
    let once = fates(7).await;
    assert_eq!(once, fates(7).await);
    assert_ne!(once, fates(8).await);
    let count = |status| once.iter().filter(|one| **one == status).count();
    assert!((30..90).contains(&count(400)), "{} throttled", count(400));
    assert!((5..40).contains(&count(500)), "{} garbled", count(500));
}

#[tokio::test]
async fn a_burst_ends_each_period_of_an_operation() {
    let world = World::new().await;
    let rule = world.relay.bursts(On::any().with("msgs#"), 5, 2, Fate::THROTTLED);
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(world.put("\"msgs#\"").await.expect("answered").0);
        effect_in(world.put("\"sess#\"").await);
    }
    assert_eq!(statuses, [200, 200, 200, 400, 400, 200, 200, 200, 400, 400]);
    assert_eq!(rule.hits(), 4);
    rule.end();
    for _ in 0..5 {
        effect_in(world.put("\"msgs#\"").await);
    }
}

#[tokio::test]
async fn watching_leaves_a_call_to_later_rules() {
    let world = World::new().await;
    let watched = world.relay.watch(On::operation("PutItem").without("beat"));
    world.relay.always(On::any(), Fate::FAILED);
    world.put("{}").await.expect("answered");
    world.put("\"beat\"").await.expect("answered");
    assert_eq!(watched.hits(), 1);
    assert_eq!(world.effects(), 0);
    world.relay.calm();
    effect_in(world.put("{}").await);
    assert_eq!(watched.hits(), 1, "it ended with the others");
}

#[tokio::test]
async fn what_was_consumed_is_added_up_by_what_it_is_about() {
    let world = World::with(async |endpoint| Relay::metering(endpoint).await).await;
    let body = json!({"Key": {"pk": {"S": "msgs#1"}}}).to_string();
    let (_, answer) = world
        .call("DynamoDB_20120810.UpdateItem", &body)
        .await
        .expect("answered");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["asked"]["ReturnConsumedCapacity"], "TOTAL");
    effect_in(world.call("DynamoDB_20120810.GetItem", &body).await);
    let bill = world.relay.settled_bill().await;
    let charge = testbed::relay::meter::sum(&bill, |prefix| prefix == "msgs");
    assert_eq!(
        (charge.calls, charge.units.writes, charge.units.half_reads),
        (2, 2, 4)
    );
    assert!(world.relay.take_bill().is_empty());
}
