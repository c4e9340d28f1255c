//! The main job in its serverless shape: functions behind an HTTP API, daemons that come and
//! go, and AWS' wire protocols between them.

mod stack;

use serde_json::{Value, json};
use shared::queue::deployment::QUERIES_VISIBILITY;
use testbed::caller::{Bases, Caller};
use tests::flow::{Paired, exchange, pair, unique};
use tests::phones::Phones;

use crate::stack::{Daemon, addresses, functions, phones};

/// Shards of the network that `localstack/init.sh` sets up.
const SHARDS: usize = 4;

#[tokio::test]
#[ignore = "needs the serverless stack: tests/serverless/run.sh"]
async fn every_function_tells_how_it_is() {
    for base in addresses() {
        let api = Caller::over_http(Bases::one(&base));
        assert_eq!(api.get("/health").await.data(200), json!({"status": "ok"}));
        let ready = api.get("/ready").await.data(200);
        assert_eq!(ready["status"], "ready", "{base}");
        assert_eq!(ready["networks"][0]["network"], "sandbox", "{base}");
        let version = api.get("/api/version").await.data(200);
        assert_eq!(version, json!({"version": env!("CARGO_PKG_VERSION")}), "{base}");
    }
}

/// The polls of a daemon that is gone go on in SQS and take the first nudges, which then stay
/// hidden: what they ask for is done before they come again.
#[tokio::test]
#[ignore = "needs the serverless stack: tests/serverless/run.sh"]
async fn a_pairing_begins_soon_after_a_daemon_has_taken_over() {
    let (functions, phones) = (functions(), phones());
    let first = Daemon::start("before").await;
    first.until_taken(SHARDS).await;
    first.stop().await;
    let second = Daemon::start("after").await;
    second.until_taken(SHARDS).await;
    // Several, as it is chance whether the abandoned poll or the living one gets a nudge.
    let pairings = async {
        tokio::join!(
            pair(&functions, &phones),
            pair(&functions, &phones),
            pair(&functions, &phones),
            pair(&functions, &phones),
        )
    };
    tokio::time::timeout(QUERIES_VISIBILITY / 2, pairings)
        .await
        .expect("before the nudges come again");
    second.stop().await;
}

/// A daemon dies with all shards and another takes them over; then a third takes its share
/// in order, and the second dies too. No message is lost or shown twice, and no one has to
/// scan a QR code.
#[tokio::test]
#[ignore = "needs the serverless stack: tests/serverless/run.sh"]
async fn another_daemon_takes_over_from_one_that_dies() {
    let (functions, phones) = (functions(), phones());
    let first = Daemon::start("first").await;
    first.until_taken(SHARDS).await;
    let paired = pair(&functions, &phones).await;
    exchange(&paired, &phones).await;

    // The second is up and has nothing yet: what is taken over is taken from a dead daemon.
    let second = Daemon::start("second").await;
    survives_the_death_of(first, &paired, &phones).await;
    second.until_taken(SHARDS).await;

    let third = Daemon::start("third").await;
    third.until_taken(SHARDS / 2).await;
    survives_the_death_of(second, &paired, &phones).await;
    third.until_taken(SHARDS).await;
    third.stop().await;
}

/// Kills a daemon between two messages: one that it may have begun to send, and one that it
/// never sees.
async fn survives_the_death_of(daemon: Daemon, paired: &Paired, phones: &Phones) {
    let (begun, after) = (format!("Begun {}", unique()), format!("After {}", unique()));
    let first = paired.key.send_text(&paired.other, &begun).await;
    daemon.kill().await;
    let second = paired.key.send_text(&paired.other, &after).await;
    for (message, text) in [(&first, &begun), (&second, &after)] {
        let shown = phones.until_shown(&paired.other, text).await;
        assert_eq!(shown["from"], paired.own);
        paired.key.until_state(message, "delivered").await;
    }
    let status = paired.user.until_status(&paired.instance, "CONNECTED").await;
    assert_eq!(status["phone"], paired.own);
    assert_eq!(status["qrAttempt"], Value::Null);
    // What comes next proves that both are done with.
    exchange(paired, phones).await;
    let inbox = phones.inbox(&paired.other).await;
    for text in [&begun, &after] {
        let same: Vec<_> = inbox.iter().filter(|shown| shown["text"] == **text).collect();
        assert_eq!(same.len(), 1, "shown once: {same:?}");
    }
    let once = inbox.iter().find(|shown| shown["text"] == *after);
    assert_eq!(once.expect("shown")["copies"], 1, "the dead daemon never had it");
    let path = format!("/api/instances/{}/qr", paired.instance);
    let qr = paired.user.get(&path).await;
    assert!(!qr.is_success(), "no QR code: {}", qr.json());
}
