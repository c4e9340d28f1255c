//! `waxwing listen` and `waxwing trigger` on the local stack.

mod connection;
mod forward;
mod receiver;
mod trigger;

use serde_json::json;
use shared::auth::api_key::Scope;
use tempfile::TempDir;
use testbed::caller::{Bases, Caller};
use testbed::wait::until;
use tests::flow::unique;
use tests::process::Process;

use crate::STACK;

/// A stack with an instance that is not paired, and a key that may all.
pub struct Ground {
    pub stack: Process,
    pub data: TempDir,
    pub user: Caller,
    pub key: Caller,
}

const INSTANCE: &str = "main";

impl Ground {
    pub async fn new() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
        let api = Caller::over_http(Bases::one(&stack.api));
        let user = Caller::from(api.register(&format!("{}@example.com", unique())).await);
        user.instance(INSTANCE).await;
        let key = user.key_with(INSTANCE, all_scopes()).await;
        Self {
            stack,
            data,
            user,
            key,
        }
    }

    /// Has the deployment send a test event of this type: its id.
    pub async fn trigger(&self, kind: &str) -> String {
        try_event(&self.key, kind).await
    }

    /// What to type to listen with the key.
    pub fn arguments(&self) -> [&str; 4] {
        ["--key", self.key.token(), "--url", &self.stack.api]
    }
}

/// Has the deployment of this key send a test event of this type: its id. A queue that is too busy is asked again, for the same
/// event.
pub async fn try_event(key: &Caller, kind: &str) -> String {
    let key = key.with_header("idempotency-key", &unique());
    let sent = until("an event on its way", async || {
        let sent = key.post("/api/webhook/test", json!({ "type": kind })).await;
        (sent.status != 503).then_some(sent)
    })
    .await;
    sent.data(202)["eventId"].as_str().expect("an id").to_owned()
}

pub fn all_scopes() -> serde_json::Value {
    let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    json!({ "scopes": all })
}
