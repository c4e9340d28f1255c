//! What is answered before a sync, and what after it.

use std::io;
use std::sync::mpsc;

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::*;
use crate::database::writes::REMEMBERED;

/// An engine whose syncs wait to be let go.
async fn engine() -> (Engine, mpsc::Sender<()>) {
    let (let_go, held) = mpsc::channel::<()>();
    let disk = Disk::over(move || held.recv().map_err(io::Error::other));
    let engine = Engine::over(Database::memory().expect("opened"), Some(disk.expect("a thread")));
    let table = json!({
        "TableName": "table", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    });
    let_go.send(()).expect("it listens");
    assert_eq!(asked(&engine, "CreateTable", table).await.status, 200);
    (engine, let_go)
}

async fn asked(engine: &Engine, operation: &str, request: Value) -> Answer {
    engine.answer(operation, request.to_string().as_bytes()).await
}

fn put(name: &str) -> Value {
    json!({"TableName": "table", "Item": {"pk": {"S": name}}})
}

fn get(name: &str) -> Value {
    json!({"TableName": "table", "Key": {"pk": {"S": name}}})
}

/// Whether this is not answered before the next sync.
fn waits(engine: &Engine, operation: &str, request: Value) -> bool {
    asked(engine, operation, request).now_or_never().is_none()
}

#[tokio::test]
async fn nobody_is_told_of_a_write_that_is_not_on_disk() {
    let (engine, let_go) = engine().await;
    assert!(waits(&engine, "PutItem", put("a")));
    assert!(waits(&engine, "GetItem", get("a")), "its reader");
    let query = json!({
        "TableName": "table", "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "a"}},
    });
    assert!(waits(&engine, "Query", query), "who asks for its partition");
    assert!(
        waits(&engine, "Scan", json!({"TableName": "table"})),
        "who reads all"
    );
    let again = json!({
        "TableName": "table", "Item": {"pk": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(pk)",
    });
    assert!(waits(&engine, "PutItem", again.clone()), "whom it refuses");

    let other = asked(&engine, "GetItem", get("b")).await;
    assert_eq!(other.status, 200, "a reader of something else waits for nothing");

    let_go.send(()).expect("it listens");
    let read = asked(&engine, "GetItem", get("a")).await;
    assert_eq!(read.body, r#"{"Item":{"pk":{"S":"a"}}}"#);
    let refused = asked(&engine, "PutItem", again).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("ConditionalCheckFailedException"),
        "{}",
        refused.body
    );
}

#[tokio::test]
async fn a_disk_that_fails_makes_the_outcome_unknown_and_is_the_end() {
    let (engine, let_go) = engine().await;
    drop(let_go);
    assert!(!engine.broken().is_cancelled());
    for name in ["first", "later"] {
        let answer = asked(&engine, "PutItem", put(name)).await;
        assert_eq!(answer.status, 500);
        assert!(answer.body.contains("InternalServerError"), "{}", answer.body);
        assert!(engine.broken().is_cancelled());
    }
    assert_eq!(asked(&engine, "GetItem", get("first")).await.status, 500);
    let database = engine.state().database.clone().expect("open");
    let scan = serde_json::from_value(json!({"TableName": "table"})).expect("a request");
    let left = serde_json::to_string(&database.scan(scan).expect("read")).expect("encoded");
    assert!(left.contains("first") && !left.contains("later"), "{left}");
}

#[tokio::test]
async fn a_panic_is_the_end() {
    let engine = Engine::over(Database::memory().expect("opened"), None);
    let request = get("a").to_string();
    let (answer, _) = engine.perform(
        Access::Read,
        request.as_bytes(),
        |_: &GetItemRequest| Reach::Everything,
        |_, _| -> dynoxide::Result<()> { panic!("as the test wants it") },
    );
    assert_eq!(answer.status, 500);
    assert!(engine.broken().is_cancelled());
    assert_eq!(asked(&engine, "GetItem", get("a")).await.status, 500);
}

/// The engine writes the items of a batch one after the other. Whether it looks at all of them first is its own affair.
#[tokio::test]
async fn a_batch_that_is_refused_may_have_written() {
    let (engine, _let_go) = engine().await;
    let put = |name: &str, content: String| json!({"PutRequest": {"Item": {"pk": {"S": name}, "content": {"S": content}}}});
    let batch =
        json!({"RequestItems": {"table": [put("a", "fits".to_owned()), put("b", "x".repeat(500_000))]}});
    assert!(waits(&engine, "BatchWriteItem", batch));
    assert!(waits(&engine, "GetItem", get("a")), "its reader");
}

#[tokio::test]
async fn a_log_that_was_left_is_opened_as_it_was() {
    let folder = tempfile::tempdir().expect("made");
    let (file, copy) = (folder.path().join("table.db"), folder.path().join("copy.db"));
    let table = json!({
        "TableName": "table", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    });
    let engine = Engine::open(Some(&file)).expect("opened");
    assert_eq!(asked(&engine, "CreateTable", table).await.status, 200);
    assert_eq!(asked(&engine, "PutItem", put("a")).await.status, 200);
    // As after a kill: the log is there, and not in the database.
    for name in ["table.db", "table.db-wal"] {
        let to = name.replace("table", "copy");
        std::fs::copy(folder.path().join(name), folder.path().join(to)).expect("copied");
    }
    let next = Engine::open(Some(&copy)).expect("opened");
    let read = asked(&next, "GetItem", get("a")).await;
    assert_eq!(read.body, r#"{"Item":{"pk":{"S":"a"}}}"#);
}

#[tokio::test]
async fn many_partitions_are_forgotten_only_for_the_worse() {
    let (engine, _let_go) = engine().await;
    for n in 0..=REMEMBERED + 1 {
        let request = put(&n.to_string()).to_string();
        assert_eq!(engine.begin("PutItem", request.as_bytes()).0.status, 200);
    }
    assert!(waits(&engine, "GetItem", get("0")));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let (engine, _let_go) = engine().await;
    assert_eq!(engine.answer("PutItem", b"{").await.status, 400);
    assert_eq!(engine.answer("Unheard", b"{}").await.status, 501);
    engine.close();
    assert_eq!(asked(&engine, "GetItem", get("a")).await.status, 500);
}
