//! Clients that are broken or mean: each loses its own connection, with a reason, and nobody else's.

mod admin;
mod damage;
mod floods;
mod frames;
mod silence;
mod stanzas;

use wacore::types::events::Event;

use crate::client::TestClient;
use crate::net::Admin;

/// Two ordinary clients who talk while others misbehave.
struct Pair {
    alice: TestClient,
    bob: TestClient,
    to: String,
    turn: u32,
}

impl Pair {
    async fn start(sandbox: &sandbox::Sandbox) -> Self {
        let admin = Admin(sandbox.addr());
        let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
        let (bob, to) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
        Self {
            alice,
            bob,
            to,
            turn: 0,
        }
    }

    /// One text passes.
    async fn talk(&mut self) {
        self.turn += 1;
        let text = format!("turn {}", self.turn);
        let id = format!("3EB0000000002{:03}", self.turn);
        self.alice.send(&self.to, &id, &text).await;
        assert_eq!(self.alice.acked(&id).await, None);
        self.bob.text(&text).await;
    }

    /// Both have kept their first connection all the while.
    async fn unhurt(mut self) {
        self.talk().await;
        for client in [self.alice, self.bob] {
            assert_eq!(client.count(|event| matches!(event, Event::Disconnected(_))), 0);
            client.stop().await;
        }
    }
}

/// Waits until `count` connections have ended for `reason`.
async fn ended(sandbox: &sandbox::Sandbox, reason: &str, count: u64) {
    let enough = |stats: &serde_json::Value| stats["closed"][reason].as_u64() >= Some(count);
    Admin(sandbox.addr()).until("/admin/stats", enough).await;
}
