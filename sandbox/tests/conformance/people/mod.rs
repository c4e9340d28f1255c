//! What people say of themselves, whom they let see and reach them, and that they are there or writing.

mod blocking;
mod calls;
mod directory;
mod names;
mod presence;
mod privacy;
mod profile;
mod typing;

use sandbox::Sandbox;
use serde_json::Value;
use wacore_binary::Jid;

use crate::client::TestClient;
use crate::net::{Admin, DEADLINE};

/// Two clients of two people.
struct Pair {
    alice: TestClient,
    bob: TestClient,
    /// Alice's number.
    a: String,
    /// Bob's number.
    b: String,
}

impl Pair {
    async fn new(sandbox: &Sandbox) -> Self {
        let admin = Admin(sandbox.addr());
        let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
        let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
        Self { alice, bob, a, b }
    }

    /// Lets both learn each other's names from a word each way, after which they are each other's contacts.
    async fn acquaint(&self) {
        self.alice.send(&self.b, "3EB0ACC000000001", "hello bob").await;
        self.bob.text("hello bob").await;
        self.bob.send(&self.a, "3EB0ACC000000002", "hello alice").await;
        self.alice.text("hello alice").await;
    }

    async fn stop(self, sandbox: Sandbox) {
        self.alice.stop().await;
        self.bob.stop().await;
        sandbox.shutdown().await;
    }
}

/// The LID of a number.
async fn lid(admin: Admin, phone: &str) -> Jid {
    let phones = admin.ok("GET", "/admin/phones", "").await;
    let lid = phones
        .as_array()
        .and_then(|phones| phones.iter().find(|one| one["phone"] == phone))
        .and_then(|one| one["lid"].as_str())
        .expect("a LID");
    Jid::lid(lid)
}

/// Waits until a client knows that this number and this LID are one person.
async fn maps(client: &TestClient, number: &str, lid: &Jid) {
    let jid = Jid::pn(number);
    let known = || async {
        let entry = good("the mapping", client.client().get_lid_pn_entry(&jid)).await;
        entry.map(|entry| entry.lid.to_string())
    };
    until("the mapping", known, |known| known.as_deref() == Some(&*lid.user)).await;
}

/// What a person does by the admin API.
async fn does(admin: Admin, phone: &str, what: &str, body: &str) -> Value {
    admin
        .ok("POST", &format!("/admin/phones/{phone}/{what}"), body)
        .await
}

/// Waits for an answer that must come and be good. The calls of clients are large: they wait on the heap.
fn good<T, E: std::fmt::Debug>(
    what: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = T> {
    let call = Box::pin(call);
    async move {
        tokio::time::timeout(DEADLINE, call)
            .await
            .unwrap_or_else(|_| panic!("{what}: no answer"))
            .unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }
}

/// Polls until `question` is answered as wanted.
async fn until<T, F: Future<Output = T>>(
    what: &str,
    question: impl Fn() -> F,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let poll = async {
        loop {
            let answer = question().await;
            if wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, poll)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come about"))
}
