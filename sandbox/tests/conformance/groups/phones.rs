//! Phones in groups: they read, write, ask again, and act as admins.

use wacore::stanza::groups::GroupNotificationAction as Action;
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;

use super::{create, members, update};
use crate::client::TestClient;
use crate::net::{Admin, start};

async fn send(admin: Admin, phone: &str, group: &Jid, text: &str) -> String {
    let body = format!(r#"{{"to": "{group}", "kind": "text", "text": "{text}"}}"#);
    let sent = admin
        .ok("POST", &format!("/admin/phones/{phone}/send"), &body)
        .await;
    assert_eq!(sent["to"], group.to_string());
    sent["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_write_to_groups_and_change_their_key_when_somebody_leaves() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let c = admin.phone().await;
    let group = create(&alice, "Crew", &[&b, &c]).await;
    for text in ["one", "two"] {
        send(admin, &c, &group, text).await;
        assert_eq!(alice.text(text).await.1, group);
        bob.text(text).await;
        let last = |inbox: &serde_json::Value| {
            let entry = inbox.as_array().and_then(|all| all.last());
            entry.is_some_and(|entry| entry["text"] == text && entry["from"] == c.as_str())
        };
        for phone in [&a, &b] {
            admin.until(&format!("/admin/phones/{phone}/inbox"), last).await;
        }
    }
    // A phone's companion has what its phone wrote.
    send(admin, &a, &group, "from alice's phone").await;
    alice.text("from alice's phone").await;

    let path = format!("/admin/phones/{b}/leave");
    admin
        .ok("POST", &path, &format!(r#"{{"group": "{group}"}}"#))
        .await;
    assert_eq!(
        admin
            .call("POST", &path, &format!(r#"{{"group": "{group}"}}"#))
            .await
            .0,
        403
    );
    update(&alice, "leave", &group, |action| {
        matches!(action, Action::Remove { .. }).then_some(())
    })
    .await;
    send(admin, &c, &group, "three").await;
    alice.text("three").await;
    alice.send(&b, "3EB0000000050001", "in person").await;
    bob.text("in person").await;
    assert_eq!(bob.texts("three"), 0);
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_lost_on_either_side_are_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let c = admin.phone().await;
    let group = create(&alice, "Crew", &[&c]).await;
    alice.send_to(group.clone(), "3EB0000000060001", "first").await;
    admin.inbox(&c, 1).await;
    admin.inbox(&a, 1).await;
    send(admin, &c, &group, "answer").await;
    alice.text("answer").await;
    let backend = alice.stop().await;
    sandbox.shutdown().await;

    // The phones forget all keys of others, their sessions and who has theirs: nobody is told.
    let state =
        rusqlite::Connection::open(directory.path().join("sandbox.sqlite3")).expect("the state opens");
    let gone = state
        .execute(
            "DELETE FROM sender_keys WHERE author <> phone OR author_device <> 0",
            [],
        )
        .expect("the keys go");
    assert!(gone > 0);
    state.close().expect("the state closes");

    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let alice = TestClient::start(&sandbox.ws_url(), backend).await;
    alice.connected().await;
    alice.send_to(group.clone(), "3EB0000000060002", "second").await;
    for phone in [&a, &c] {
        let has = |inbox: &serde_json::Value| {
            inbox
                .as_array()
                .unwrap()
                .iter()
                .any(|entry| entry["text"] == "second" && entry["copies"] == 1)
        };
        admin.until(&format!("/admin/phones/{phone}/inbox"), has).await;
    }
    // And what follows needs no asking.
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
    let asked = |event: &Event| {
        matches!(event, Event::Receipt(receipt) if receipt.r#type == ReceiptType::Retry
            && receipt.message_ids.iter().any(|id| id == "3EB0000000060003"))
    };
    alice.send_to(group.clone(), "3EB0000000060003", "third").await;
    for phone in [&a, &c] {
        let has = |inbox: &serde_json::Value| {
            inbox
                .as_array()
                .unwrap()
                .iter()
                .any(|entry| entry["text"] == "third")
        };
        admin.until(&format!("/admin/phones/{phone}/inbox"), has).await;
    }
    assert_eq!(alice.count(asked), 0);

    // The other way round: the client forgets what the phone gave it.
    let lid = admin.ok("GET", "/admin/phones", "").await[1]["lid"]
        .as_str()
        .unwrap()
        .to_owned();
    let backend = alice.stop().await;
    let name = wacore::libsignal::store::sender_key_name::SenderKeyName::from_parts(
        &group.to_string(),
        wacore::types::jid::JidExt::to_protocol_address(&Jid::lid(lid.as_str())).as_str(),
    );
    wacore::store::traits::SignalStore::delete_sender_key(&*backend, name.cache_key())
        .await
        .expect("the key goes");
    send(admin, &c, &group, "healed").await;
    let alice = TestClient::start(&sandbox.ws_url(), backend).await;
    alice.text("healed").await;
    alice.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_make_groups_and_act_in_them() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (c, d) = (admin.phone().await, admin.phone().await);
    let body =
        format!(r#"{{"subject": "Crew", "participants": ["{a}", "155509999999"], "description": "about"}}"#);
    let made = admin
        .ok("POST", &format!("/admin/phones/{c}/groups"), &body)
        .await;
    assert_eq!(
        (made["subject"].as_str(), made["description"].as_str()),
        (Some("Crew"), Some("about"))
    );
    assert_eq!(
        made["refused"],
        serde_json::json!([{"phone": "155509999999", "status": 404}])
    );
    let group: Jid = made["id"].as_str().expect("a JID").parse().expect("a JID");
    update(&alice, "creation", &group, |action| {
        matches!(action, Action::Create { .. }).then_some(())
    })
    .await;
    let path = format!("/admin/phones/{c}/groups/{}", group.user);
    let act = |action: &str, who: &str| {
        let body = format!(r#"{{"action": "{action}", "participants": ["{who}"]}}"#);
        let path = format!("{path}/participants");
        async move { admin.ok("POST", &path, &body).await }
    };
    assert_eq!(
        act("add", &d).await,
        serde_json::json!([{"phone": d, "status": 200}])
    );
    assert_eq!(act("add", &d).await[0]["status"], 409);
    assert_eq!(act("promote", &a).await[0]["status"], 200);
    assert_eq!(
        members(&alice, &group).await,
        [(c.clone(), true), (a.clone(), true), (d.clone(), false)]
    );
    assert_eq!(act("remove", &d).await[0]["status"], 200);
    let edited = admin
        .ok(
            "PATCH",
            &path,
            r#"{"subject": "New", "locked": true, "announce": true, "ephemeralSeconds": 86400}"#,
        )
        .await;
    assert_eq!(
        (
            edited["subject"].as_str(),
            edited["locked"].as_bool(),
            edited["ephemeralSeconds"].as_u64()
        ),
        (Some("New"), Some(true), Some(86_400))
    );
    update(&alice, "subject", &group, |action| match action {
        Action::Subject { subject, .. } => (subject == "New").then_some(()),
        _ => None,
    })
    .await;
    assert_eq!(
        admin.ok("GET", &format!("/admin/phones/{a}/groups"), "").await[0]["id"],
        group.to_string()
    );
    assert_eq!(
        admin.ok("GET", &format!("/admin/phones/{d}/groups"), "").await,
        serde_json::json!([])
    );
    let strange = admin
        .call(
            "PATCH",
            &format!("/admin/phones/{d}/groups/{group}"),
            r#"{"subject": "x"}"#,
        )
        .await;
    assert_eq!(strange.0, 403);
    let unknown = admin.call("PATCH", &path, r#"{"topic": "x"}"#).await;
    assert!(
        unknown.0 == 400 && unknown.1.to_string().contains("topic"),
        "{unknown:?}"
    );
    // A person who goes leaves their groups.
    admin.ok("DELETE", &format!("/admin/phones/{c}"), "").await;
    update(&alice, "leave", &group, |action| match action {
        Action::Remove { participants, .. } => {
            (participants[0].phone_number == Some(Jid::pn(c.as_str()))).then_some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(members(&alice, &group).await, [(a, true)]);
    alice.stop().await;
    sandbox.shutdown().await;
}
