//! Requests to the engine, and when they may be answered.
//!
//! A request is a DynamoDB operation's name and its JSON. It runs on the caller's thread, one at a time, as the engine has it.
//! A write is answered once it is on disk. So is a read that may have seen a write which is not on disk yet: nobody is told
//! of a change that a power cut could take back.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use dynoxide::actions::{
    batch_get_item::BatchGetItemRequest, batch_write_item::BatchWriteItemRequest,
    delete_item::DeleteItemRequest, get_item::GetItemRequest, put_item::PutItemRequest, query::QueryRequest,
    transact_write_items::TransactWriteItemsRequest, update_item::UpdateItemRequest,
};
use dynoxide::{AttributeValue, Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::disk::Disk;

/// The attribute that names an item's partition.
const PARTITION: &str = "pk";

/// Partitions that are remembered as written since the last sync, before all are taken for written.
const REMEMBERED: usize = 4_096;

/// The status of a request that changed nothing.
const REFUSED: u16 = 400;

/// An answer as DynamoDB gives it: an HTTP status and a JSON document.
#[derive(Debug)]
pub struct Answer {
    /// 200, or the status of the error.
    pub status: u16,
    /// The operation's result, or `{"__type", "message"}`.
    pub body: String,
}

/// What a request looks at or changes.
#[derive(Debug)]
enum Reach {
    /// Items of these partitions.
    Partitions(Vec<String>),
    /// Any item.
    Everything,
}

/// The engine, and which of its writes are on disk.
pub struct Engine {
    state: Mutex<State>,
    /// `None` in memory, where nothing is kept.
    disk: Option<Disk>,
}

struct State {
    /// `None` once it is closed.
    database: Option<Database>,
    writes: Writes,
}

/// The writes since the start, by number.
#[derive(Debug, Default)]
struct Writes {
    last: u64,
    /// The last write of what may be any partition.
    anywhere: u64,
    /// The last write of each partition, as long as it may not be on disk.
    partitions: HashMap<String, u64>,
}

impl Engine {
    /// Opens the database in this file, or in memory.
    pub fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let (database, disk) = match file {
            Some(file) => {
                let path = file.to_str().context("the data directory's name is not UTF-8")?;
                let database =
                    Database::new(path).with_context(|| format!("cannot open {}", file.display()))?;
                // Sets `synchronous = NORMAL`: the engine's own commits sync no longer. `Disk` does.
                database
                    .disable_bulk_loading()
                    .context("cannot set up the database")?;
                (database, Some(Disk::under(file)?))
            }
            None => (
                Database::memory().context("cannot open a database in memory")?,
                None,
            ),
        };
        Ok(Self::over(database, disk))
    }

    fn over(database: Database, disk: Option<Disk>) -> Self {
        let state = State {
            database: Some(database),
            writes: Writes::default(),
        };
        Self {
            state: Mutex::new(state),
            disk,
        }
    }

    /// Closes the file. Whoever asks later is told that nobody answers.
    pub fn close(&self) {
        self.state().database = None;
    }

    /// Removes items whose time is over. Answers how many.
    pub fn sweep(&self) -> Result<usize, DynoxideError> {
        // Others ask meanwhile.
        let database = self.state().database.clone();
        database.map_or(Ok(0), |database| database.sweep_ttl())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is asked, and answers once that is on disk.
    pub async fn answer(&self, operation: &str, request: &[u8]) -> Answer {
        let (answer, after) = self.begin(operation, request);
        match (&self.disk, after) {
            (Some(disk), Some(write)) => match disk.until(write).await {
                Ok(()) => answer,
                Err(lost) => DynoxideError::InternalServerError(lost.to_string()).into(),
            },
            _ => answer,
        }
    }

    /// Does what is asked. Answers also which write must be on disk before anybody is told.
    fn begin(&self, operation: &str, request: &[u8]) -> (Answer, Option<u64>) {
        let one = |item: &HashMap<String, AttributeValue>| partitions([item]);
        match operation {
            "GetItem" => self.read(request, |get: &GetItemRequest| one(&get.key), Database::get_item),
            "BatchGetItem" => {
                let reach = |get: &BatchGetItemRequest| {
                    partitions(get.request_items.values().flat_map(|of_table| &of_table.keys))
                };
                self.read(request, reach, Database::batch_get_item)
            }
            "Query" => self.read(request, queried, Database::query),
            "Scan" => self.read(request, |_| Reach::Everything, Database::scan),
            "TransactGetItems" => self.read(request, |_| Reach::Everything, Database::transact_get_items),
            "PutItem" => self.write(request, |put: &PutItemRequest| one(&put.item), Database::put_item),
            "UpdateItem" => self.write(
                request,
                |update: &UpdateItemRequest| one(&update.key),
                Database::update_item,
            ),
            "DeleteItem" => self.write(
                request,
                |delete: &DeleteItemRequest| one(&delete.key),
                Database::delete_item,
            ),
            "BatchWriteItem" => self.write(request, batch_written, Database::batch_write_item),
            "TransactWriteItems" => self.write(request, transacted, Database::transact_write_items),
            "CreateTable" => self.write(request, |_| Reach::Everything, Database::create_table),
            "UpdateTimeToLive" => self.write(request, |_| Reach::Everything, Database::update_time_to_live),
            "DescribeTable" => self.read(request, |_| Reach::Everything, Database::describe_table),
            "DescribeTimeToLive" => {
                self.read(request, |_| Reach::Everything, Database::describe_time_to_live)
            }
            "ListTables" => self.read(request, |_| Reach::Everything, Database::list_tables),
            _ => {
                let unknown = format!("the embedded table does not know the operation {operation}");
                (DynoxideError::UnsupportedCapability(unknown).into(), None)
            }
        }
    }

    fn read<Q: DeserializeOwned, A: Serialize>(
        &self,
        request: &[u8],
        reach: impl FnOnce(&Q) -> Reach,
        act: impl FnOnce(&Database, Q) -> dynoxide::Result<A>,
    ) -> (Answer, Option<u64>) {
        let request = match parse::<Q>(request) {
            Ok(request) => request,
            Err(refusal) => return (refusal, None),
        };
        let reach = reach(&request);
        let state = self.state();
        let answer = state.act(request, act);
        let after = state.writes.seen_by(&reach);
        drop(state);
        (answer.into(), self.unless_there(after))
    }

    fn write<Q: DeserializeOwned, A: Serialize>(
        &self,
        request: &[u8],
        reach: impl FnOnce(&Q) -> Reach,
        act: impl FnOnce(&Database, Q) -> dynoxide::Result<A>,
    ) -> (Answer, Option<u64>) {
        let request = match parse::<Q>(request) {
            Ok(request) => request,
            Err(refusal) => return (refusal, None),
        };
        let reach = reach(&request);
        let mut state = self.state();
        let answer = state.act(request, act);
        // A refusal tells what it has seen, as a read does. A failure may have written.
        let is_refused = answer.as_ref().is_err_and(|error| error.status_code() == REFUSED);
        let after = match &self.disk {
            Some(disk) if !is_refused => {
                state.writes.add(reach, disk);
                disk.want(state.writes.last);
                state.writes.last
            }
            _ => state.writes.seen_by(&reach),
        };
        drop(state);
        (answer.into(), self.unless_there(after))
    }

    fn unless_there(&self, write: u64) -> Option<u64> {
        let disk = self.disk.as_ref()?;
        (!disk.has(write)).then_some(write)
    }
}

impl State {
    fn act<Q, A>(
        &self,
        request: Q,
        act: impl FnOnce(&Database, Q) -> dynoxide::Result<A>,
    ) -> dynoxide::Result<A> {
        let closed = || DynoxideError::InternalServerError("the table is closed".to_owned());
        act(self.database.as_ref().ok_or_else(closed)?, request)
    }
}

impl Writes {
    /// The last write that whoever looks at this may have seen.
    fn seen_by(&self, reach: &Reach) -> u64 {
        match reach {
            Reach::Everything => self.last,
            Reach::Partitions(names) => {
                let of_these = names.iter().filter_map(|name| self.partitions.get(name));
                of_these.copied().fold(self.anywhere, u64::max)
            }
        }
    }

    /// Numbers a write.
    fn add(&mut self, reach: Reach, disk: &Disk) {
        if disk.has(self.last) {
            self.partitions.clear();
        } else if self.partitions.len() > REMEMBERED {
            self.partitions.clear();
            self.anywhere = self.last;
        }
        self.last += 1;
        match reach {
            Reach::Everything => self.anywhere = self.last,
            Reach::Partitions(names) => {
                for name in names {
                    self.partitions.insert(name, self.last);
                }
            }
        }
    }
}

/// The partitions of these items or keys.
fn partitions<'a>(items: impl IntoIterator<Item = &'a HashMap<String, AttributeValue>>) -> Reach {
    let names = items.into_iter().map(|item| match item.get(PARTITION) {
        Some(AttributeValue::S(name)) => Some(name.clone()),
        _ => None,
    });
    names
        .collect::<Option<_>>()
        .map_or(Reach::Everything, Reach::Partitions)
}

/// What a query looks at: one partition of the table, where it says so in our own words, or an index.
fn queried(query: &QueryRequest) -> Reach {
    let names_it = query
        .key_condition_expression
        .as_deref()
        .is_some_and(|condition| condition.starts_with("pk = :pk"));
    let values = query.expression_attribute_values.as_ref();
    match values.and_then(|values| values.get(":pk")) {
        Some(AttributeValue::S(name)) if names_it && query.index_name.is_none() => {
            Reach::Partitions(vec![name.clone()])
        }
        _ => Reach::Everything,
    }
}

fn batch_written(batch: &BatchWriteItemRequest) -> Reach {
    let writes = batch.request_items.values().flatten();
    partitions(writes.filter_map(|write| {
        let put = write.put_request.as_ref().map(|put| &put.item);
        put.or_else(|| write.delete_request.as_ref().map(|delete| &delete.key))
    }))
}

fn transacted(transaction: &TransactWriteItemsRequest) -> Reach {
    partitions(transaction.transact_items.iter().filter_map(|item| {
        let put = item.put.as_ref().map(|put| &put.item);
        put.or_else(|| item.update.as_ref().map(|update| &update.key))
            .or_else(|| item.delete.as_ref().map(|delete| &delete.key))
            .or_else(|| item.condition_check.as_ref().map(|check| &check.key))
    }))
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}

fn parse<Q: DeserializeOwned>(request: &[u8]) -> Result<Q, Answer> {
    serde_json::from_slice(request)
        .map_err(|error| DynoxideError::ValidationException(error.to_string()).into())
}

impl<A: Serialize> From<dynoxide::Result<A>> for Answer {
    fn from(result: dynoxide::Result<A>) -> Self {
        match result.map(|answer| serde_json::to_string(&answer)) {
            Ok(Ok(body)) => Self { status: 200, body },
            Ok(Err(error)) => DynoxideError::InternalServerError(error.to_string()).into(),
            Err(error) => error.into(),
        }
    }
}

impl From<DynoxideError> for Answer {
    fn from(error: DynoxideError) -> Self {
        Self {
            status: error.status_code(),
            body: error.to_json(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc;
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

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

    /// Whether this is answered while no sync ends.
    async fn waits(engine: &Engine, operation: &str, request: Value) -> bool {
        let answer = asked(engine, operation, request);
        tokio::time::timeout(Duration::from_millis(20), answer)
            .await
            .is_err()
    }

    #[tokio::test]
    async fn nobody_is_told_of_a_write_that_is_not_on_disk() {
        let (engine, let_go) = engine().await;
        assert!(waits(&engine, "PutItem", put("a")).await);
        assert!(waits(&engine, "GetItem", get("a")).await, "its reader");
        let query = json!({
            "TableName": "table", "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "a"}},
        });
        assert!(waits(&engine, "Query", query).await, "who asks for its partition");
        assert!(
            waits(&engine, "Scan", json!({"TableName": "table"})).await,
            "who reads all"
        );
        let again = json!({
            "TableName": "table", "Item": {"pk": {"S": "a"}}, "ConditionExpression": "attribute_not_exists(pk)",
        });
        assert!(waits(&engine, "PutItem", again.clone()).await, "whom it refuses");

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
    async fn a_disk_that_fails_makes_the_outcome_unknown() {
        let (engine, let_go) = engine().await;
        drop(let_go);
        for _ in 0..2 {
            let answer = asked(&engine, "PutItem", put("a")).await;
            assert_eq!(answer.status, 500);
            assert!(answer.body.contains("InternalServerError"), "{}", answer.body);
        }
        assert_eq!(asked(&engine, "GetItem", get("a")).await.status, 500);
    }

    #[tokio::test]
    async fn many_partitions_are_forgotten_only_for_the_worse() {
        let (engine, _let_go) = engine().await;
        for n in 0..=REMEMBERED + 1 {
            let request = put(&n.to_string()).to_string();
            assert_eq!(engine.begin("PutItem", request.as_bytes()).0.status, 200);
        }
        assert!(waits(&engine, "GetItem", get("0")).await);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_refused() {
        let (engine, _let_go) = engine().await;
        assert_eq!(engine.answer("PutItem", b"{").await.status, 400);
        assert_eq!(engine.answer("Unheard", b"{}").await.status, 501);
        engine.close();
        assert_eq!(asked(&engine, "GetItem", get("a")).await.status, 500);
    }
}
