//! The function's own program under Lambda's Runtime API, called with batches as SQS has them (`functions/fixtures/sqs`): the answer
//! names exactly what stays, and what comes again is not done again.

use std::path::Path;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::{Clock as _, SystemClock};
use shared::domain::delivery::{DeliveryState, Errand};
use shared::domain::instance::Instance;
use shared::domain::payload;
use shared::ids::EventId;
use shared::queue::{OutgoingMessage, Queue as _, QueueName, Received};
use testbed::lambda::Function;
use testbed::relay::{Fate, On, Relay, Rule};
use testbed::rights::{self, Role};
use testbed::sqs::SqsStandIn;

use crate::receiver::{Does, Receiver};
use crate::world::World;

/// The body of a message that nobody can read.
const MALFORMED: &str = r#"{"v":1}"#;

/// A world, and the function's program over its table and queues, with a relay before each that notes the program's calls.
struct Deployed {
    world: World,
    table: Relay,
    queue: Relay,
    function: Function,
    _sqs: SqsStandIn,
}

impl Deployed {
    async fn new() -> Self {
        let world = World::new().await;
        // The program has a clock of its own.
        world.clock.advance(SystemClock.now() - world.now());
        let sqs = SqsStandIn::over(world.queue.clone()).await;
        let table = Relay::before(&world.database.endpoint).await;
        let queue = Relay::before(sqs.endpoint()).await;
        table.record();
        queue.record();
        let bucket = world.keys.directory().join("bucket");
        let variables = [
            ("AWS_ENDPOINT_URL_DYNAMODB", table.endpoint().to_owned()),
            ("AWS_ENDPOINT_URL_SQS", queue.endpoint().to_owned()),
            ("WAXWING_NETWORKS", "sandbox".to_owned()),
            ("WAXWING_SHARDS", "1".to_owned()),
            ("WAXWING_KEY_FILE", world.keys.file().display().to_string()),
            ("WAXWING_BUCKET", format!("folder:{}", bucket.display())),
            ("WAXWING_PRIVATE_ADDRESSES", "loopback".to_owned()),
        ];
        let function = Function::start(env!("CARGO_BIN_EXE_webhooks"), &variables).await;
        Self {
            world,
            table,
            queue,
            function,
            _sqs: sqs,
        }
    }

    /// Hands the function these messages, and deletes those that it does not name, as Lambda does. Answers those that it names.
    async fn hand(&self, name: &QueueName, received: &[Received]) -> Vec<String> {
        let answer = self.function.invoke(&batch(name, received)).await.response();
        let members: Vec<_> = answer.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["batchItemFailures"]);
        let failures = answer["batchItemFailures"].as_array().expect("a list");
        let named = failures.iter().map(|failure| {
            let named = failure["itemIdentifier"].as_str().expect("an id");
            assert_eq!(failure, &json!({"itemIdentifier": named}));
            named.to_owned()
        });
        let named: Vec<_> = named.collect();
        for message in received {
            if !named.contains(&message.message_id) {
                // It may be deleted already.
                let _ = self.world.queue.delete(name, &message.receipt).await;
            }
        }
        named
    }

    /// From here on no item of this kind of an instance can be read, until the rule ends.
    fn out_of_reach(&self, kind: &str, instance: &Instance) -> Rule {
        let reads = On::operations(["GetItem", "BatchGetItem", "Query"]);
        let key = format!("{kind}#{}", instance.id);
        self.table.always(reads.with(key), Fate::FAILED)
    }

    /// Fails where the program has done what its policies do not allow.
    #[track_caller]
    fn kept_to_its_rights(&self) {
        let (tables, queues) = (self.table.take_calls(), self.queue.take_calls());
        assert!(!tables.is_empty() && !queues.is_empty(), "they are noted");
        let denied = rights::denied(Role::Webhooks, tables.iter().chain(&queues));
        assert!(denied.is_empty(), "{denied:?}");
    }

    async fn succeeded(&self, instance: &Instance, event: EventId) -> bool {
        let delivery = self.world.delivery(instance, event).await;
        delivery.is_some_and(|delivery| delivery.progress.state == DeliveryState::Succeeded)
    }
}

/// What Lambda hands on of these messages.
fn batch(name: &QueueName, received: &[Received]) -> Value {
    let fixture = if name.is_fifo() { "fifo" } else { "standard" };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/sqs/{fixture}.json"));
    let text = std::fs::read_to_string(file).expect("a fixture");
    let mut batch: Value = serde_json::from_str(&text).expect("JSON");
    let pattern = batch["Records"][0].clone();
    let records = received.iter().map(|message| {
        let mut record = pattern.clone();
        record["messageId"] = json!(message.message_id);
        record["receiptHandle"] = json!(message.receipt.as_str());
        record["body"] = json!(message.body);
        record["attributes"]["ApproximateReceiveCount"] = json!(message.receive_count.to_string());
        if let Some(at) = message.sent_at {
            record["attributes"]["SentTimestamp"] = json!(at.timestamp_millis().to_string());
        }
        if let Some(group) = &message.group {
            record["attributes"]["MessageGroupId"] = json!(group);
        }
        record
    });
    batch["Records"] = records.collect();
    batch
}

/// The ids of some of these messages, in their order.
fn ids(received: &[Received], is_one: impl Fn(&Received) -> bool) -> Vec<String> {
    let some = received.iter().filter(|message| is_one(message));
    some.map(|message| message.message_id.clone()).collect()
}

#[tokio::test]
async fn of_a_fifo_queue_what_fails_stays_with_all_that_is_behind_it() {
    let deployed = Deployed::new().await;
    let world = &deployed.world;
    let receiver = Receiver::that(Does::status(200)).await;
    let (stuck, free) = (
        world.hooked("stuck", &receiver.url()).await,
        world.hooked("free", &receiver.url()).await,
    );
    let mut told = Vec::new();
    for text in ["one", "two"] {
        world.tell(&stuck, "15550100001", text).await;
        told.push(world.tell(&free, "15550100001", &format!("free {text}")).await);
        // It is in the line of the other's chat, and holds up nothing.
        let (_, group) = world.event(&free, "15550100001", text).await;
        world.push(MALFORMED, &group, &format!("malformed-{text}")).await;
    }
    let events = world.names.events();
    let away = deployed.out_of_reach("hook", &stuck);
    let first = world.receive(&events).await;
    assert_eq!(first.len(), 6);
    let of_stuck = |message: &Received| {
        let group = message.group.as_deref().unwrap_or_default();
        group.contains(&stuck.id.to_string())
    };
    let stay = ids(&first, of_stuck);
    assert_eq!(stay.len(), 2);
    assert_eq!(deployed.hand(&events, &first).await, stay);
    assert!(away.hits() > 0);
    assert_eq!(receiver.texts(), ["free one", "free two"]);
    assert_eq!(
        world.receive(&world.names.dead_fifo()).await.len(),
        2,
        "set aside"
    );
    for event in &told {
        assert!(deployed.succeeded(&free, *event).await);
    }

    // Lambda could not delete what was done: it comes again, and is done already.
    let again: Vec<_> = first
        .iter()
        .filter(|message| !of_stuck(message) && message.body != MALFORMED)
        .map(|message| Received {
            receive_count: 2,
            ..message.clone()
        })
        .collect();
    assert_eq!(again.len(), 2);
    assert!(deployed.hand(&events, &again).await.is_empty());
    assert_eq!(receiver.texts(), ["free one", "free two"]);

    away.end();
    world.clock.advance(TimeDelta::seconds(6));
    let second = world.receive(&events).await;
    assert_eq!(ids(&second, |_| true), stay, "in their order");
    assert!(deployed.hand(&events, &second).await.is_empty());
    assert_eq!(receiver.texts()[2..], ["one", "two"]);
    assert_eq!(world.left().await, (0, 0));
    deployed.kept_to_its_rights();
}

#[tokio::test]
async fn of_a_standard_queue_each_message_stands_for_itself() {
    let deployed = Deployed::new().await;
    let world = &deployed.world;
    let receiver = Receiver::that(Does::status(200)).await;
    let (stuck, free) = (
        world.hooked("stuck", &receiver.url()).await,
        world.hooked("free", &receiver.url()).await,
    );
    let (left, gone) = (
        world.tell(&stuck, "15550100001", "left").await,
        world.tell(&free, "15550100001", "gone").await,
    );
    let told = world.receive(&world.names.events()).await;
    assert!(deployed.hand(&world.names.events(), &told).await.is_empty());

    let forget = |instance: &Instance| {
        payload::encode(&Errand::Forget {
            instance: instance.id,
            webhook: world.now(),
            // The program's clock has gone on since.
            deleted_at: SystemClock.now(),
        })
    };
    let retries = world.names.events_retry();
    for body in [
        forget(&stuck),
        forget(&free),
        MALFORMED.to_owned(),
        forget(&stuck),
        forget(&free),
    ] {
        let sent = world.queue.send(&retries, OutgoingMessage::standard(body)).await;
        sent.expect("queued");
    }
    let away = deployed.out_of_reach("dlv", &stuck);
    let errands = world.receive(&retries).await;
    assert_eq!(errands.len(), 5);
    let mut stay = ids(&errands, |message| message.body.contains(&stuck.id.to_string()));
    let mut named = deployed.hand(&retries, &errands).await;
    stay.sort();
    named.sort();
    assert_eq!((named, stay.len()), (stay, 2));
    assert!(deployed.succeeded(&stuck, left).await);
    assert!(world.delivery(&free, gone).await.is_none());
    assert_eq!(world.receive(&world.names.dead()).await.len(), 1, "set aside");

    away.end();
    world.clock.advance(TimeDelta::seconds(6));
    let again = world.receive(&retries).await;
    assert_eq!(again.len(), 2);
    assert!(deployed.hand(&retries, &again).await.is_empty());
    assert!(world.delivery(&stuck, left).await.is_none());
    assert_eq!(world.left().await, (0, 0));
    assert_eq!(receiver.texts().len(), 2, "nobody was told anything again");
    deployed.kept_to_its_rights();
}

#[tokio::test]
async fn a_batch_that_is_none_fails_whole_and_the_function_lives_on() {
    let deployed = Deployed::new().await;
    for other in [
        json!({"Records": [{"body": "hello"}]}),
        json!({"records": []}),
        Value::Null,
    ] {
        deployed.function.invoke(&other).await.error();
    }
    assert!(
        !deployed.function.log().contains("hello"),
        "a body stays out of the log"
    );
    let none = deployed.function.invoke(&json!({"Records": []})).await;
    assert_eq!(none.response(), json!({"batchItemFailures": []}));
}
