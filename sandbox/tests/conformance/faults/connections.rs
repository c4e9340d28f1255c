//! Connections that end, and logins that are refused.

use sandbox::{Fault, Rule, Target};
use wacore::types::events::{ConnectFailureReason, Event, TempBanReason};

use super::{add, back, once, ready};
use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_client_comes_back() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let dropped = admin
        .ok(
            "POST",
            "/admin/faults",
            r#"{"target": {"all": true}, "fault": "drop-socket"}"#,
        )
        .await;
    assert_eq!(dropped["clients"], 1);
    back(&sandbox, &client).await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_is_struck_by_the_number_that_it_is_listed_with() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bystander, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&own)).await;
    let numbers =
        |phones: &serde_json::Value| [0_usize, 1].map(|n| phones[0]["companions"][n]["client"].as_u64());
    let before = numbers(&admin.ok("GET", "/admin/phones", "").await);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    let target = Target {
        client: before[0],
        ..Target::default()
    };
    assert_eq!(
        add(&sandbox, Rule::new(target, Fault::DropSocket)).await.clients,
        1
    );
    let back = |phones: &serde_json::Value| numbers(phones)[0] > before[0];
    let after = numbers(&admin.until("/admin/phones", back).await);
    assert_eq!(after[1], before[1], "the account's other connection stands");
    client.stop().await;
    bystander.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_closes_connections_and_says_for_how_long() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let rule = Rule {
        seconds: Some(3600),
        code: Some(102),
        ..Rule::new(Target::phone(&own), Fault::Ban)
    };
    assert_eq!(add(&sandbox, rule).await.clients, 1);
    let (code, seconds) = client
        .wait("ban", |event| match event {
            Event::TemporaryBan(ban) => Some((ban.code.clone(), ban.expire.num_seconds())),
            _ => None,
        })
        .await;
    assert_eq!(code, TempBanReason::BlockedByUsers);
    assert!((3_500..=3_600).contains(&seconds), "{seconds} s");
    let backend = client.stop().await;
    sandbox.faults().clear();
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_refused_by_its_code() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let mut backend = client.stop().await;
    for code in [401, 403, 405] {
        let rule = Rule {
            code: Some(code),
            ..once(Fault::RefuseLogin)
        };
        add(&sandbox, rule).await;
        let client = TestClient::start(&sandbox.ws_url(), backend).await;
        let wanted = ConnectFailureReason::from(i32::from(code));
        client
            .wait("refusal", |event| match event {
                Event::LoggedOut(out) => (out.on_connect && out.reason == wanted).then_some(()),
                Event::ClientOutdated(_) => (code == 405).then_some(()),
                _ => None,
            })
            .await;
        backend = client.stop().await;
    }
    // The one that asks clients to come again: they do.
    let rule = Rule {
        code: Some(503),
        ..once(Fault::RefuseLogin)
    };
    add(&sandbox, rule).await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    assert_eq!(sandbox.faults().struck(Fault::RefuseLogin), 4);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_handshake_is_tried_again() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let backend = client.stop().await;
    add(&sandbox, once(Fault::RefuseHandshake)).await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    assert_eq!(sandbox.faults().struck(Fault::RefuseHandshake), 1);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_logged_out_stays_out() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let added = add(&sandbox, Rule::new(Target::phone(&own), Fault::LogOut)).await;
    assert_eq!(added.clients, 1);
    client
        .wait("logout", |event| {
            matches!(event, Event::LoggedOut(_)).then_some(())
        })
        .await;
    let stats = admin.ok("GET", "/admin/stats", "").await;
    assert_eq!((&stats["companions"], &stats["faults"]), (&0.into(), &0.into()));
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_with_the_words_that_were_asked_for() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let added = add(&sandbox, Rule::new(Target::phone(&own), Fault::Replace)).await;
    assert_eq!(added.clients, 1);
    client
        .wait("replacement", |event| {
            matches!(event, Event::StreamReplaced(_)).then_some(())
        })
        .await;
    let backend = client.stop().await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    let rule = Rule {
        code: Some(599),
        ..Rule::new(Target::all(), Fault::StreamError)
    };
    add(&sandbox, rule).await;
    client
        .wait("stream error", |event| match event {
            Event::StreamError(error) => (error.code == "599").then_some(()),
            _ => None,
        })
        .await;
    back(&sandbox, &client).await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    // What was acknowledged and not delivered is what a restart could lose.
    let lose = Rule {
        stanza: Some("message".into()),
        ..Rule::new(Target::phone(&b), Fault::Lose)
    };
    add(&sandbox, lose).await;
    alice.send(&b, "3EB0000000002301", "before").await;
    assert_eq!(alice.acked("3EB0000000002301").await, None);
    let was_lost = |stats: &serde_json::Value| stats["struck"]["lose"].as_u64() >= Some(1);
    let before = admin.until("/admin/stats", was_lost).await["handshakes"]["ik"].as_u64();
    sandbox.faults().clear();
    let restarted = admin.ok("POST", "/admin/restart", "").await;
    assert_eq!(restarted["clients"], 2);
    bob.text("before").await;
    back(&sandbox, &alice).await;
    alice.send(&b, "3EB0000000002302", "after").await;
    bob.text("after").await;
    let everybody = admin.until("/admin/stats", |stats| stats["clients"] == 2).await;
    // Each came back once, and still knew the server's key.
    assert_eq!(
        everybody["handshakes"]["ik"].as_u64(),
        before.map(|before| before + 2)
    );
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_pairing_survives_a_restart() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let client = TestClient::start(&sandbox.ws_url(), std::sync::Arc::default()).await;
    let first = client.qr().await;
    assert_eq!(sandbox.restart().await, 1);
    // It shows a new code; the old one died with its connection.
    let second = client.wait("new code", |event| match event {
        Event::PairingQrCode(qr) if qr.code != first => Some(qr.code.clone()),
        _ => None,
    });
    let second = second.await;
    let (status, _) = admin.call("POST", "/admin/mock-phone/scan-qr", &first).await;
    assert_eq!(status, 404);
    admin.ok("POST", "/admin/mock-phone/scan-qr", &second).await;
    client.connected().await;
    ready(&sandbox, &client).await;
    tokio::time::timeout(DEADLINE, client.stop())
        .await
        .expect("it stops");
    sandbox.shutdown().await;
}
