//! A sender whose list of devices is out of date learns of it by the participant hash.

use wacore::types::events::Event;

use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_missed_a_device_finds_it_for_the_next_message() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    alice.send(&b, "3EB0000000060001", "before").await;
    bob.text("before").await;
    let alice = alice.stop().await;
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&b)).await;
    sandbox.shutdown().await;
    // The word of the new device that waits for alice is lost on the way.
    let state =
        rusqlite::Connection::open(directory.path().join("sandbox.sqlite3")).expect("the state opens");
    let lost = state
        .execute(
            "DELETE FROM queue WHERE phone = ?1 AND kind = 'notification'",
            [&a],
        )
        .expect("it goes");
    assert!(lost > 0);
    state.close().expect("the state closes");
    let (bob, second) = (bob.stop().await, second.stop().await);

    let sandbox = start(Some(directory.path())).await;
    let alice = TestClient::start(&sandbox.ws_url(), alice).await;
    let bob = TestClient::start(&sandbox.ws_url(), bob).await;
    let second = TestClient::start(&sandbox.ws_url(), second).await;
    for client in [&alice, &bob, &second] {
        client.connected().await;
    }
    alice.send(&b, "3EB0000000060002", "missed by one").await;
    bob.text("missed by one").await;
    assert_eq!(alice.acked("3EB0000000060002").await, None);
    // The list is fetched after the ack; the first message that goes by it reaches everyone.
    let begun = std::time::Instant::now();
    let mut at = 0;
    while second.count(|event| matches!(event, Event::Messages(_))) == 0 {
        assert!(
            begun.elapsed() < crate::net::DEADLINE,
            "the second device is never found"
        );
        alice
            .send(&b, &format!("3EB00000000601{at:02}"), &format!("after {at}"))
            .await;
        bob.text(&format!("after {at}")).await;
        at += 1;
    }
    for client in [alice, bob, second] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}
