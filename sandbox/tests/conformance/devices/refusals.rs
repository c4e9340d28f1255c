//! Logins that are refused and streams that end, and what the client makes of each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sandbox::{Clock, Config, Refusal, Sandbox, StreamEnd, SystemClock};
use wacore::types::events::{ConnectFailureReason, Event, TempBanReason};

use crate::client::TestClient;
use crate::net::{Admin, start, start_with};

/// Whether a client comes back by itself.
fn comes_back(client: &TestClient) -> bool {
    client.client().enable_auto_reconnect.load(Ordering::SeqCst)
}

/// A sandbox with a client that is linked to `phone`.
async fn linked() -> (Sandbox, TestClient, String) {
    let sandbox = start(None).await;
    let (client, phone) = TestClient::paired(&sandbox.ws_url(), Admin(sandbox.addr()), None).await;
    (sandbox, client, phone)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_that_log_a_client_out() {
    for (reason, seen) in [
        (401, ConnectFailureReason::LoggedOut),
        (403, ConnectFailureReason::AccountLocked),
        (406, ConnectFailureReason::UnknownLogout),
    ] {
        let (sandbox, client, phone) = linked().await;
        sandbox
            .refuse(&phone, Refusal::plain(reason))
            .await
            .expect("the refusal is taken");
        let logout = client.wait("logout", |event| match event {
            Event::LoggedOut(logout) => Some((logout.on_connect, logout.reason)),
            _ => None,
        });
        assert_eq!(logout.await, (true, seen), "{reason}");
        assert!(!comes_back(&client), "{reason}");
        client.stop().await;
        sandbox.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_that_pass() {
    for (reason, seen) in [
        (500, ConnectFailureReason::InternalServerError),
        (503, ConnectFailureReason::ServiceUnavailable),
    ] {
        let (sandbox, client, phone) = linked().await;
        sandbox
            .refuse(&phone, Refusal::plain(reason))
            .await
            .expect("the refusal is taken");
        let failure = client.wait("failure", |event| match event {
            Event::ConnectFailure(failure) => Some(failure.reason),
            _ => None,
        });
        assert_eq!(failure.await, seen);
        assert!(comes_back(&client), "{reason}");
        let view = Admin(sandbox.addr()).ok("GET", "/admin/phones", "").await;
        assert_eq!(view[0]["refused"], serde_json::json!({ "reason": reason }));
        assert!(sandbox.admit(&phone).await.expect("the store answers"));
        Admin(sandbox.addr())
            .until("/admin/stats", |stats| stats["clients"] == 1)
            .await;
        client.stop().await;
        sandbox.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_any_other_kind_ends_the_clients_attempts() {
    let (sandbox, client, phone) = linked().await;
    sandbox
        .refuse(&phone, Refusal::plain(418))
        .await
        .expect("the refusal is taken");
    let failure = client.wait("failure", |event| match event {
        Event::ConnectFailure(failure) => Some(failure.reason),
        _ => None,
    });
    assert_eq!(failure.await, ConnectFailureReason::ClientUnknown);
    assert!(!comes_back(&client));
    for bad in [Refusal::plain(302), Refusal::plain(402)] {
        assert!(sandbox.refuse(&phone, bad).await.is_err());
    }
    assert!(sandbox.refuse("155501999999", Refusal::LOCKED).await.is_err());
    client.stop().await;
    sandbox.shutdown().await;
}

/// The machine's clock, and some time on top.
#[derive(Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_holds_for_its_time_over_a_restart() {
    const HOUR: i64 = 3_600_000;
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(Ahead::default());
    let config = || {
        let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0))).with_data_dir(directory.path());
        config.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        config
    };
    let sandbox = Sandbox::start(config()).await.expect("the sandbox starts");
    let (client, phone) = TestClient::paired(&sandbox.ws_url(), Admin(sandbox.addr()), None).await;
    sandbox
        .refuse(&phone, Refusal::banned(101, clock.now_ms() + HOUR))
        .await
        .expect("the ban is taken");
    let banned = |event: &Event| match event {
        Event::TemporaryBan(ban) => Some((ban.code.clone(), ban.expire.num_seconds())),
        _ => None,
    };
    let (code, seconds) = client.wait("ban", banned).await;
    assert_eq!(code, TempBanReason::SentToTooManyPeople);
    assert!((3_000..=3_600).contains(&seconds), "{seconds}");
    assert!(!comes_back(&client));
    let another = TestClient::start(&sandbox.ws_url(), Arc::default()).await;
    let path = format!("/admin/mock-phone/scan-qr?phone={phone}");
    let (status, error) = Admin(sandbox.addr())
        .call("POST", &path, &another.qr().await)
        .await;
    assert_eq!(status, 409, "{error}");
    another.stop().await;
    let backend = client.stop().await;
    sandbox.shutdown().await;

    let sandbox = Sandbox::start(config()).await.expect("the sandbox starts again");
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.wait("ban", banned).await;
    let backend = client.stop().await;
    clock.0.store(HOUR, Ordering::SeqCst);
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_an_old_version_is_outdated() {
    let sandbox = start_with(None, |config| config.min_client_version = Some((2, 3001, 0))).await;
    let client = TestClient::start(&sandbox.ws_url(), Arc::default()).await;
    client
        .wait("word that it is outdated", |event| {
            matches!(event, Event::ClientOutdated(_)).then_some(())
        })
        .await;
    assert!(!comes_back(&client));
    assert_eq!(client.count(|event| matches!(event, Event::PairingQrCode(_))), 0);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_end_for_good() {
    for (how, replaced) in [
        (StreamEnd::Unlinked, false),
        (StreamEnd::DeviceRemoved, false),
        (StreamEnd::Replaced, true),
    ] {
        let (sandbox, client, phone) = linked().await;
        assert_eq!(sandbox.end_streams(Some(&phone), how), 1);
        let end = client.wait("end", |event| match event {
            Event::LoggedOut(logout) => Some((false, logout.on_connect)),
            Event::StreamReplaced(_) => Some((true, false)),
            _ => None,
        });
        assert_eq!(end.await, (replaced, false), "{how:?}");
        assert!(!comes_back(&client), "{how:?}");
        client.stop().await;
        sandbox.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_after_which_a_client_comes_back() {
    for how in [StreamEnd::Restart, StreamEnd::Unavailable, StreamEnd::Closed] {
        let (sandbox, client, phone) = linked().await;
        let admin = Admin(sandbox.addr());
        let resumed = |stats: &serde_json::Value| stats["handshakes"]["ik"].as_u64();
        let before = resumed(&admin.ok("GET", "/admin/stats", "").await);
        assert_eq!(sandbox.end_streams(None, how), 1);
        admin
            .until("/admin/stats", |stats| {
                resumed(stats) > before && stats["clients"] == 1
            })
            .await;
        let gone = client.count(|event| matches!(event, Event::LoggedOut(_) | Event::StreamReplaced(_)));
        assert_eq!(gone, 0, "{how:?} {phone}");
        client.stop().await;
        sandbox.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_put_a_client_off_for_a_while() {
    let (sandbox, client, _) = linked().await;
    assert_eq!(sandbox.end_streams(None, StreamEnd::RateLimited), 1);
    client
        .wait("disconnection", |event| {
            matches!(event, Event::Disconnected(_)).then_some(())
        })
        .await;
    assert!(comes_back(&client));
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_connects_from_elsewhere_replaces_itself() {
    let (sandbox, first, _) = linked().await;
    let second = TestClient::start(&sandbox.ws_url(), Arc::clone(&first.backend)).await;
    second.connected().await;
    first
        .wait("replacement", |event| {
            matches!(event, Event::StreamReplaced(_)).then_some(())
        })
        .await;
    assert!(!comes_back(&first));
    // The first one's end does not take the second one's place away.
    let stats = Admin(sandbox.addr()).ok("GET", "/admin/stats", "").await;
    assert_eq!(stats["clients"], 1);
    first.stop().await;
    second.stop().await;
    sandbox.shutdown().await;
}
