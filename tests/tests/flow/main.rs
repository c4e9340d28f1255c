//! The main job on the local stack, through public interfaces alone.

mod changes;
mod chats;
mod contacts;
mod files;
mod groups;
mod kept;
mod listen;
mod locations;
mod marks;
mod media;
mod options;
mod pairing_code;
mod passkeys;
mod people;
mod previews;
mod questions;
mod realtime;
mod scheduled;
mod sealed;
mod self_hosted;
mod statuses;
mod subscriptions;
mod terms;
mod traces;
mod webhooks;

use testbed::caller::{Bases, Caller};
use tests::flow::{exchange, pair};
use tests::phones::Phones;
use tests::process::Process;

const STACK: &str = env!("CARGO_BIN_EXE_waxwing-under-test");

#[tokio::test]
async fn a_message_goes_from_curl_to_a_phone_and_back() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    exchange(&paired, &phones).await;
    stack.stop().await;
}

/// A browser that was given the stack's address alone.
#[tokio::test]
async fn the_bare_address_leads_to_the_documentation() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let answer = Caller::over_http(Bases::one(&stack.api)).get("/").await;
    assert_eq!((answer.status, answer.header("location")), (307, "/api/docs"));
    stack.stop().await;
}

/// Between pairing and sending the stack stops, once in order and once not: it comes back
/// connected, with no QR code shown.
#[tokio::test]
async fn a_pairing_survives_an_orderly_stop_and_a_kill() {
    let data = tempfile::tempdir().expect("a directory");
    // The ports stay the same, as a second `cargo run` has them: what is known of the
    // instance is its address too.
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let mut paired = pair(&Bases::one(&stack.api), &phones).await;
    stack.stop().await;

    for kill in [true, false] {
        let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
        let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
        paired = paired.at(&Bases::one(&stack.api));
        let status = paired.user.until_status(&paired.instance, "CONNECTED").await;
        assert_eq!(status["qrAttempt"], serde_json::Value::Null);
        exchange(&paired, &phones).await;
        if kill {
            stack.kill().await;
        } else {
            stack.stop().await;
        }
    }
}
