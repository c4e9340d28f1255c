//! Messages that get lost, refused or acknowledged wrongly.

use sandbox::{Fault, Rule, Target};
use wacore::types::events::Event;

use super::{add, back, once};
use crate::client::TestClient;
use crate::net::{Admin, start, start_with};

/// A clock that stands still, so that a second never ends.
struct Noon;

impl sandbox::Clock for Noon {
    fn now_ms(&self) -> i64 {
        1_900_000_000_000
    }
}

fn acks(client: &TestClient, id: &str) -> usize {
    client.count(|event| {
        matches!(event, Event::ServerAck(ack) if ack.id == id && ack.class.as_deref() == Some("message"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_acks_do_not_hold_messages() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let fault = format!(r#"{{"target": {{"phone": "{own}"}}, "fault": "hold-acks", "count": 1}}"#);
    admin.ok("POST", "/admin/faults", &fault).await;
    client.send(&other, "3EB0000000001101", "unacked").await;
    admin.inbox(&other, 1).await;
    client.send(&other, "3EB0000000001102", "acked").await;
    client.acked("3EB0000000001102").await;
    assert_eq!(acks(&client, "3EB0000000001101"), 0);
    assert_eq!(admin.ok("GET", "/admin/faults", "").await, serde_json::json!([]));
    assert_eq!(sandbox.faults().struck(Fault::HoldAcks), 1);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_dropped_before_its_ack_was_never_there() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    add(&sandbox, once(Fault::DropBeforeAck)).await;
    client.send(&other, "3EB0000000001201", "twice said").await;
    back(&sandbox, &client).await;
    assert_eq!(acks(&client, "3EB0000000001201"), 0);
    assert_eq!(admin.ok("GET", "/admin/stats", "").await["messages"], 0);
    client.send(&other, "3EB0000000001201", "twice said").await;
    assert_eq!(client.acked("3EB0000000001201").await, None);
    assert_eq!(admin.inbox(&other, 1).await[0]["copies"], 1);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_dropped_after_it_was_stored_arrives() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    add(&sandbox, once(Fault::DropAfterStore)).await;
    client.send(&other, "3EB0000000001301", "stored").await;
    assert_eq!(admin.inbox(&other, 1).await[0]["text"], "stored");
    back(&sandbox, &client).await;
    assert_eq!(acks(&client, "3EB0000000001301"), 0);
    // One that hears nothing says it again; its addressee sees it once.
    client.send(&other, "3EB0000000001301", "stored").await;
    assert_eq!(client.acked("3EB0000000001301").await, None);
    let path = format!("/admin/phones/{other}/inbox");
    let inbox = admin.until(&path, |inbox| inbox[0]["copies"] == 2).await;
    assert_eq!(inbox.as_array().map(Vec::len), Some(1));
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_message_goes_nowhere() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    for (n, code) in [463, 400, 479].into_iter().enumerate() {
        let rule = Rule {
            count: Some(1),
            code: Some(code),
            ..Rule::new(Target::phone(&own), Fault::Refuse)
        };
        add(&sandbox, rule).await;
        let id = format!("3EB000000000140{n}");
        client.send(&other, &id, "refused").await;
        assert_eq!(client.acked(&id).await, Some(code.to_string()));
    }
    client.send(&other, "3EB0000000001409", "taken").await;
    assert_eq!(client.acked("3EB0000000001409").await, None);
    let inbox = admin.inbox(&other, 1).await;
    assert_eq!((inbox.len(), inbox[0]["text"].as_str()), (1, Some("taken")));
    assert_eq!(admin.ok("GET", "/admin/stats", "").await["refusals"], 3);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_beyond_the_rate_are_refused() {
    let sandbox = start_with(None, |config| config.clock = std::sync::Arc::new(Noon)).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let rule = Rule {
        per_second: Some(3),
        ..Rule::new(Target::all(), Fault::RateLimit)
    };
    let id = add(&sandbox, rule).await.fault.id;
    let mut answers = Vec::new();
    for n in 0..5 {
        let id = format!("3EB000000000150{n}");
        client.send(&other, &id, &format!("text {n}")).await;
        answers.push(client.acked(&id).await);
    }
    let refused = Some("429".to_owned());
    assert_eq!(answers, [None, None, None, refused.clone(), refused]);
    assert_eq!(sandbox.faults().list()[0].struck, 2);
    sandbox.faults().remove(id).expect("it is in force");
    client.send(&other, "3EB0000000001509", "text 9").await;
    assert_eq!(client.acked("3EB0000000001509").await, None);
    assert_eq!(admin.inbox(&other, 4).await.len(), 4);
    client.stop().await;
    sandbox.shutdown().await;
}
