//! The salt for tokens, which accounts get in their settings or with their history.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wacore::types::events::Event;

use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start_with};

/// A client that registers under a push name, linked.
async fn named(url: &str, admin: Admin, name: &str) -> TestClient {
    let client = TestClient::start_named(url, Arc::default(), Some(name)).await;
    admin
        .ok("POST", "/admin/mock-phone/scan-qr", &client.qr().await)
        .await;
    client.connected().await;
    client
}

/// The salt that a client has, and whether it came with the settings.
fn salt(client: &TestClient) -> (Option<Vec<u8>>, bool) {
    let device = client.client().persistence_manager().get_device_snapshot();
    (device.nct_salt.clone(), device.nct_salt_sync_seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_says_how_the_salt_comes() {
    let sandbox = start_with(None, |config| config.history_messages = 10).await;
    let admin = Admin(sandbox.addr());
    let url = sandbox.ws_url();
    for (name, synced) in [
        ("scenario:nct_syncd_delivery=1:Ada", true),
        ("scenario:nct_history_delivery=1:Bob", false),
    ] {
        let client = named(&url, admin, name).await;
        let begun = Instant::now();
        loop {
            let (bytes, seen) = salt(&client);
            let length = bytes.map(|salt| salt.len());
            if (length, seen) == (Some(32), synced) {
                break;
            }
            assert!(begun.elapsed() < DEADLINE, "{name}: {length:?}, {seen}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        client.stop().await;
    }
    let client = named(&url, admin, "Carl").await;
    let all = |event: &Event| matches!(event, Event::HistorySync(_));
    let begun = Instant::now();
    while client.count(all) < 3 {
        assert!(begun.elapsed() < DEADLINE, "the history did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    super::catch_up(&client).await;
    assert_eq!(salt(&client), (None, false), "nothing switches it on");
    client.stop().await;
    sandbox.shutdown().await;
}
