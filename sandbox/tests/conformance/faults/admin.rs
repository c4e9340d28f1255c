//! The admin API of faults, and what `/metrics` tells of them.

use wacore::types::presence::ReceiptType;

use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_listed_and_ended_one_by_one() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let phone = admin.phone().await;
    let mut ids = Vec::new();
    for body in [
        format!(r#"{{"target": {{"phone": "{phone}", "device": 1}}, "fault": "delay", "delayMs": 50, "stanza": "message"}}"#),
        r#"{"target": {"all": true}, "fault": "lose", "chance": 0.25, "seed": 7, "direction": "out", "seconds": 60}"#.to_owned(),
        r#"{"target": {"client": 1}, "fault": "hold-acks", "count": 3}"#.to_owned(),
    ] {
        let added = admin.ok("POST", "/admin/faults", &body).await;
        assert_eq!((&added["struck"], &added["clients"]), (&0.into(), &0.into()));
        ids.push(added["id"].as_u64().expect("an id"));
    }
    let listed = admin.ok("GET", "/admin/faults", "").await;
    assert_eq!(
        listed[1],
        serde_json::json!({
            "id": ids[1], "target": {"all": true}, "fault": "lose", "chance": 0.25, "seed": 7, "direction": "out",
            "seconds": 60, "struck": 0
        })
    );
    assert_eq!(listed[0]["target"]["device"], 1);
    let path = format!("/admin/faults/{}", ids[1]);
    admin.ok("DELETE", &path, "").await;
    assert_eq!(admin.call("DELETE", &path, "").await.0, 404);
    let left = admin.ok("GET", "/admin/faults", "").await;
    let left: Vec<_> = left
        .as_array()
        .expect("a list")
        .iter()
        .map(|rule| &rule["id"])
        .collect();
    assert_eq!(left, [ids[0], ids[2]]);
    admin.ok("DELETE", "/admin/faults", "").await;
    assert_eq!(admin.ok("GET", "/admin/faults", "").await, serde_json::json!([]));
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_tell_what_stats_tell() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let refuse = r#"{"target": {"all": true}, "fault": "refuse", "code": 463, "count": 1}"#;
    admin.ok("POST", "/admin/faults", refuse).await;
    client.send(&other, "3EB0000000002401", "no").await;
    assert_eq!(client.acked("3EB0000000002401").await.as_deref(), Some("463"));
    client.send(&other, "3EB0000000002402", "yes").await;
    assert_eq!(client.acked("3EB0000000002402").await, None);
    // The phone's receipt is the last thing under way.
    client.receipt("3EB0000000002402", &ReceiptType::Delivered).await;
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
    client.stop().await;
    let stats = admin.until("/admin/stats", |stats| stats["clients"] == 0).await;
    let page = admin.ok("GET", "/metrics", "").await;
    let page = page.as_str().expect("text");
    for line in [
        "sandbox_clients 0".to_owned(),
        "sandbox_phones 2".to_owned(),
        "sandbox_companions 1".to_owned(),
        "sandbox_messages_total 1".to_owned(),
        "sandbox_refusals_total 1".to_owned(),
        "sandbox_faults_struck_total{fault=\"refuse\"} 1".to_owned(),
        format!(
            "sandbox_stanzas_total{{direction=\"in\",tag=\"message\"}} {}",
            stats["stanzas"]["in"]["message"]
        ),
        format!(
            "sandbox_handshakes_total{{pattern=\"ik\"}} {}",
            stats["handshakes"]["ik"]
        ),
        "# TYPE sandbox_queue_depth gauge".to_owned(),
        "# TYPE sandbox_connections_closed_total counter".to_owned(),
    ] {
        assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
    }
    sandbox.shutdown().await;
}
