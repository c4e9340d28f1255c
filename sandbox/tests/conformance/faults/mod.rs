//! Faults on request: what each does to real clients.

mod admin;
mod connections;
mod messages;
mod stanzas;

use sandbox::{Added, Fault, Rule, Sandbox, Target};
use wacore::types::events::Event;

use crate::client::TestClient;
use crate::net::DEADLINE;

/// Puts a rule in force.
async fn add(sandbox: &Sandbox, rule: Rule) -> Added {
    sandbox.faults().add(rule).await.expect("the rule makes sense")
}

/// `fault` for everyone, once.
fn once(fault: Fault) -> Rule {
    Rule {
        count: Some(1),
        ..Rule::new(Target::all(), fault)
    }
}

/// Waits until a client that lost its connection has a new one and is ready.
async fn back(sandbox: &Sandbox, client: &TestClient) {
    client
        .wait("disconnection", |event| {
            matches!(event, Event::Disconnected(_)).then_some(())
        })
        .await;
    ready(sandbox, client).await;
}

/// Waits until the one client of a sandbox is connected and ready.
async fn ready(sandbox: &Sandbox, client: &TestClient) {
    crate::net::Admin(sandbox.addr())
        .until("/admin/stats", |stats| stats["clients"].as_u64() >= Some(1))
        .await;
    client
        .client()
        .wait_for_connected(DEADLINE)
        .await
        .expect("it is back");
}
