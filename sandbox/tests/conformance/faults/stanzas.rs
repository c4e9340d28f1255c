//! Stanzas that are late, lost or doubled on their way, and answers that do not come.

use std::time::{Duration, Instant};

use sandbox::{Direction, Fault, Rule, Target};
use wacore::types::presence::ReceiptType;

use super::{add, back, once};
use crate::client::TestClient;
use crate::net::{Admin, start};

/// `fault` for the messages that go to one account's companions.
fn of_messages_to(phone: &str, fault: Fault) -> Rule {
    Rule {
        stanza: Some("message".into()),
        direction: Some(Direction::Out),
        ..Rule::new(Target::phone(phone), fault)
    }
}

/// A first text arrives, and with it all that comes by itself after pairing: from then on nothing but texts is under
/// way.
async fn warm(admin: Admin, alice: &TestClient, bob: &TestClient, to: &str) {
    alice.send(to, "3EB0000000001599", "warm").await;
    bob.text("warm").await;
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_comes_again_at_the_next_login() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    warm(admin, &alice, &bob, &b).await;
    add(&sandbox, of_messages_to(&b, Fault::Lose)).await;
    for (n, text) in ["lost", "lost too"].into_iter().enumerate() {
        alice.send(&b, &format!("3EB000000000160{n}"), text).await;
    }
    admin
        .until("/admin/stats", |stats| {
            stats["struck"]["lose"].as_u64() >= Some(2)
        })
        .await;
    sandbox.faults().clear();
    alice.send(&b, "3EB0000000001602", "found").await;
    bob.text("found").await;
    assert_eq!((bob.texts("lost"), bob.texts("lost too")), (0, 0));
    let drop = Rule::new(Target::phone(&b), Fault::DropSocket);
    assert_eq!(add(&sandbox, drop).await.clients, 1);
    bob.text("lost").await;
    bob.text("lost too").await;
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
    assert_eq!((bob.texts("lost"), bob.texts("found")), (1, 1));
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubled_stanzas_show_once() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    add(&sandbox, of_messages_to(&b, Fault::Duplicate)).await;
    let to_server = Rule {
        stanza: Some("message".into()),
        direction: Some(Direction::In),
        count: Some(1),
        ..Rule::new(Target::phone(&a), Fault::Duplicate)
    };
    add(&sandbox, to_server).await;
    for n in 0..5 {
        let (id, text) = (format!("3EB000000000170{n}"), format!("doubled {n}"));
        alice.send(&b, &id, &text).await;
        bob.text(&text).await;
        alice.receipt(&id, &ReceiptType::Delivered).await;
    }
    // The server took the first message twice, so bob's phone has two copies of it, and one of each other.
    let path = format!("/admin/phones/{b}/inbox");
    let inbox = admin
        .until(&path, |inbox| inbox.as_array().map(Vec::len) == Some(5))
        .await;
    let copies: Vec<_> = (0..5).map(|n| inbox[n]["copies"].as_u64()).collect();
    assert_eq!(copies, [Some(2), Some(1), Some(1), Some(1), Some(1)]);
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
    for n in 0..5 {
        assert_eq!(bob.texts(&format!("doubled {n}")), 1);
    }
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_stanzas_keep_their_order() {
    const LATE: Duration = Duration::from_millis(400);
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    warm(admin, &alice, &bob, &b).await;
    let rule = Rule {
        delay_ms: Some(u64::try_from(LATE.as_millis()).expect("small")),
        count: Some(1),
        ..of_messages_to(&b, Fault::Delay)
    };
    add(&sandbox, rule).await;
    let begun = Instant::now();
    alice.send(&b, "3EB0000000001801", "late").await;
    alice.send(&b, "3EB0000000001802", "behind").await;
    assert_eq!(alice.acked("3EB0000000001802").await, None);
    // The second has no delay of its own: it waits behind the first.
    bob.text("behind").await;
    // A client tells of messages in no order of its own: that the one behind waited is what the time shows.
    assert!(begun.elapsed() >= LATE, "{:?}", begun.elapsed());
    bob.text("late").await;
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_ack_is_not_seen() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    // Two: the second is that of the receipt, or of the message.
    let id = add(&sandbox, Rule::new(Target::all(), Fault::LoseAcks))
        .await
        .fault
        .id;
    client.send(&other, "3EB0000000001901", "no ack").await;
    client.receipt("3EB0000000001901", &ReceiptType::Delivered).await;
    sandbox.faults().remove(id).expect("it is in force");
    client.send(&other, "3EB0000000001902", "an ack").await;
    assert_eq!(client.acked("3EB0000000001902").await, None);
    let seen = client.count(
        |event| matches!(event, wacore::types::events::Event::ServerAck(ack) if ack.id == "3EB0000000001901"),
    );
    assert_eq!(seen, 0);
    assert!(sandbox.faults().struck(Fault::LoseAcks) >= 1);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_question_fails_with_its_code() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let rule = Rule {
        code: Some(429),
        ..Rule::new(Target::all(), Fault::RefuseIq)
    };
    add(&sandbox, rule).await;
    let asked = [wacore_binary::Jid::pn(other.as_str())];
    let library = client.client();
    let refused = library.contacts().is_on_whatsapp(&asked).await;
    let error = format!("{:?}", refused.expect_err("it is refused"));
    assert!(error.contains("429"), "{error}");
    sandbox.faults().clear();
    let answers = library.contacts().is_on_whatsapp(&asked).await;
    assert!(answers.expect("an answer")[0].is_registered);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mute_server_takes_everything_and_says_nothing() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    warm(admin, &alice, &bob, &b).await;
    add(&sandbox, Rule::new(Target::phone(&a), Fault::Mute)).await;
    let before = sandbox.faults().struck(Fault::Mute);
    alice.send(&b, "3EB0000000002001", "into the void").await;
    let body = format!(r#"{{"to": "{a}", "kind": "text", "text": "unheard"}}"#);
    admin.ok("POST", &format!("/admin/phones/{b}/send"), &body).await;
    let void = |stats: &serde_json::Value| stats["struck"]["mute"].as_u64() >= Some(before + 2);
    admin.until("/admin/stats", void).await;
    assert_eq!((alice.texts("unheard"), bob.texts("into the void")), (0, 0));
    assert_eq!(admin.ok("GET", "/admin/stats", "").await["clients"], 2);
    sandbox.faults().clear();
    add(&sandbox, Rule::new(Target::phone(&a), Fault::DropSocket)).await;
    alice.text("unheard").await;
    back(&sandbox, &alice).await;
    alice.send(&b, "3EB0000000002001", "into the void").await;
    bob.text("into the void").await;
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stamps_follow_a_skewed_clock() {
    const DAY: i64 = 86_400;
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let rule = Rule {
        skew_ms: Some(DAY * 1000),
        ..Rule::new(Target::all(), Fault::SkewClock)
    };
    add(&sandbox, rule).await;
    let stamp = async |id: &'static str| {
        client.send(&other, id, "when").await;
        let picked = client.wait("stamp", |event| match event {
            wacore::types::events::Event::ServerAck(ack) if ack.id == id => {
                ack.timestamp.map(|timestamp| timestamp.timestamp())
            }
            _ => None,
        });
        picked.await
    };
    let skewed = stamp("3EB0000000002101").await;
    sandbox.faults().clear();
    let right = stamp("3EB0000000002102").await;
    let ahead = skewed - right;
    assert!((DAY - 60..=DAY).contains(&ahead), "{ahead} s ahead");
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stanza_can_end_its_connection() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let rule = Rule {
        stanza: Some("message".into()),
        ..once(Fault::DropSocket)
    };
    assert_eq!(add(&sandbox, rule).await.clients, 0);
    client.send(&other, "3EB0000000002201", "the last straw").await;
    back(&sandbox, &client).await;
    assert!(admin.inbox(&other, 0).await.is_empty());
    client.stop().await;
    sandbox.shutdown().await;
}
