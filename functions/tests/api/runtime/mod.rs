//! The functions' own programs under Lambda's Runtime API, called with what API Gateway hands on (`functions/fixtures/gateway`),
//! over a table and queues of this process.

mod auth;
mod management;
mod messaging;
mod secrets;
mod start;
mod unusual;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use shared::clock::SystemClock;
use shared::config;
use shared::domain::network::Network;
use shared::queue::QueueNames;
use shared::queue::embedded::EmbeddedQueue;
use shared::seal::Sealer;
use testbed::lambda;
use testbed::played::PlayedDaemon;
use testbed::queues::queues;
use testbed::sqs::SqsStandIn;
use testbed::table::Database;
use testbed::world::Keys;

/// Whose pages may call.
const ORIGIN: &str = "https://app.example";

/// What the functions work on.
struct Deployed {
    database: Database,
    queues: Arc<EmbeddedQueue>,
    names: QueueNames,
    sqs: SqsStandIn,
    keys: Keys,
    sealer: Arc<Sealer>,
    daemon: PlayedDaemon,
}

impl Deployed {
    async fn new() -> Self {
        let database = Database::start().await;
        let table = database.table();
        let (queues, names) = queues(Arc::new(SystemClock), Network::Sandbox, 1).await;
        let queues = Arc::new(queues);
        let keys = Keys::new();
        let sealer = Arc::new(keys.sealer(&table));
        Self {
            sqs: SqsStandIn::over(queues.clone()).await,
            daemon: PlayedDaemon::on(&table, Arc::clone(&sealer), Arc::new(SystemClock)),
            database,
            queues,
            names,
            keys,
            sealer,
        }
    }

    /// What a function finds in its environment.
    fn variables(&self) -> BTreeMap<&'static str, String> {
        let bucket = format!("folder:{}", self.keys.directory().join("bucket").display());
        let variables = [
            ("AWS_ENDPOINT_URL_DYNAMODB", self.database.endpoint.as_str()),
            ("AWS_ENDPOINT_URL_SQS", self.sqs.endpoint()),
            ("WAXWING_NETWORKS", "sandbox"),
            ("WAXWING_SHARDS", "1"),
            (
                "WAXWING_JWT_SECRET",
                "test:a secret for tests alone of 32 bytes or more",
            ),
            ("WAXWING_BCRYPT_COST", "4"),
            ("WAXWING_BUCKET", bucket.as_str()),
            ("WAXWING_CORS_ORIGINS", ORIGIN),
            // A function has no listener of its own: this is to change nothing.
            ("WAXWING_TRUSTED_PROXIES", "1"),
        ];
        let mut variables: BTreeMap<_, _> = variables
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        let key = self.keys.file().display().to_string();
        variables.insert("WAXWING_KEY_FILE", key);
        variables
    }

    async fn function(&self, function: config::Function) -> lambda::Function {
        started(function, &self.variables()).await
    }
}

fn program(function: config::Function) -> &'static str {
    match function {
        config::Function::Auth => env!("CARGO_BIN_EXE_auth"),
        config::Function::Management => env!("CARGO_BIN_EXE_management"),
        config::Function::Messaging => env!("CARGO_BIN_EXE_messaging"),
    }
}

async fn started(function: config::Function, variables: &BTreeMap<&'static str, String>) -> lambda::Function {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value)).collect();
    lambda::Function::start(program(function), &variables).await
}

/// An event of API Gateway's.
fn event(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/gateway/{name}.json"));
    let text = std::fs::read_to_string(file).expect("a fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// The same of a caller who has this token.
fn event_of(token: &str, name: &str) -> Value {
    let mut event = event(name);
    event["headers"]["authorization"] = json!(format!("Bearer {token}"));
    event
}

/// What API Gateway makes of a function's answer.
#[derive(Debug)]
struct Reply {
    status: u64,
    headers: BTreeMap<String, String>,
    cookies: Vec<String>,
    is_base64: bool,
    body: Vec<u8>,
}

impl Reply {
    /// Reads an answer as API Gateway does (AWS, "Lambda function response for format 2.0"), and no more leniently.
    #[track_caller]
    fn of(answer: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let headers = answer["headers"].as_object().expect("headers");
        let is_base64 = answer["isBase64Encoded"].as_bool().expect("it says so");
        let body = answer["body"].as_str().unwrap_or_default();
        let reply = Self {
            status: answer["statusCode"].as_u64().expect("a status"),
            headers: headers
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            cookies: answer["cookies"]
                .as_array()
                .expect("a list")
                .iter()
                .map(text)
                .collect(),
            is_base64,
            body: if is_base64 {
                STANDARD.decode(body).expect("base64")
            } else {
                body.into()
            },
        };
        // Format 2.0 knows of neither.
        assert_eq!(answer["multiValueHeaders"], json!({}));
        assert!(!reply.headers.contains_key("set-cookie"), "{reply:?}");
        reply
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert!(!self.is_base64, "text goes as text");
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The data of an answer with this status.
    #[track_caller]
    fn data(&self, status: u64) -> Value {
        let body = self.json();
        assert_eq!(self.status, status, "{body}");
        assert_eq!(self.header("content-type"), "application/json");
        body["data"].clone()
    }

    /// Status and code of an error: `404 NOT_FOUND`.
    #[track_caller]
    fn code(&self) -> String {
        let body = self.json();
        assert_eq!(body["success"], false, "{body}");
        assert_eq!(body["meta"]["request_id"], self.header("x-request-id"));
        format!(
            "{} {}",
            self.status,
            body["error"]["code"].as_str().expect("a code")
        )
    }
}

async fn call(function: &lambda::Function, event: &Value) -> Reply {
    Reply::of(&function.invoke(event).await.response())
}

/// The access token of a user who has just registered.
async fn registered(auth: &lambda::Function) -> String {
    let data = call(auth, &event("register-base64")).await.data(201);
    data["tokens"]["accessToken"]
        .as_str()
        .expect("a token")
        .to_owned()
}
