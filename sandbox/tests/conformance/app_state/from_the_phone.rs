//! What the phone writes reaches its companions, who verify it.

use serde_json::json;
use wacore::types::events::Event;
use wacore_binary::Jid;

use super::{act, agree, catch_up, path, pinned, setting};
use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_writes_and_both_companions_read() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (one, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (other, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    let friend = admin.phone().await;
    let chat = Jid::pn(friend.as_str());
    for action in [
        json!({"action": "pin", "chat": friend}),
        json!({"action": "archive", "chat": friend}),
        json!({"action": "mute", "chat": format!("+{friend}"), "until": 4_000_000_000_000_i64}),
        json!({"action": "markRead", "chat": friend, "read": false}),
        json!({"action": "star", "chat": friend, "message": "3EB0B1", "fromMe": true}),
        json!({"action": "deleteChat", "chat": friend}),
        json!({"action": "clearChat", "chat": friend}),
        json!({"action": "contact", "phone": friend, "fullName": "Ada Lovelace", "firstName": "Ada"}),
        json!({"action": "pushName", "name": "Charles"}),
        json!({"action": "locale", "locale": "de-DE"}),
        json!({"action": "unarchiveChats", "unarchive": true}),
        json!({"action": "label", "id": "1", "name": "Engines", "color": 2}),
        json!({"action": "labelChat", "label": "1", "chat": friend}),
    ] {
        act(admin, &phone, action).await;
    }
    for client in [&one, &other] {
        catch_up(client).await;
        pinned(client, &chat, true).await;
        let heard = |what: &'static str, matches: fn(&Event) -> bool| {
            client.wait(what, move |event| matches(event).then_some(()))
        };
        heard("archive", |event| matches!(event, Event::ArchiveUpdate(_))).await;
        heard("mute", |event| {
            matches!(event, Event::MuteUpdate(mute) if mute.action.mute_end_timestamp == Some(4_000_000_000_000))
        })
        .await;
        heard(
            "mark",
            |event| matches!(event, Event::MarkChatAsReadUpdate(read) if read.action.read == Some(false)),
        )
        .await;
        heard(
            "star",
            |event| matches!(event, Event::StarUpdate(star) if star.from_me),
        )
        .await;
        heard("deletion", |event| matches!(event, Event::DeleteChatUpdate(_))).await;
        heard("clearing", |event| matches!(event, Event::ClearChatUpdate(_))).await;
        heard("label", |event| {
            matches!(event, Event::LabelEditUpdate(label) if label.action.name.as_deref() == Some("Engines"))
        })
        .await;
        heard("labelled chat", |event| {
            matches!(event, Event::LabelAssociationUpdate(_))
        })
        .await;
        heard(
            "name",
            |event| matches!(event, Event::SelfPushNameUpdated(name) if name.new_name == "Charles"),
        )
        .await;
        let contact = client
            .wait("contact", |event| match event {
                Event::ContactUpdate(contact) => Some((contact.jid.clone(), contact.action.clone())),
                _ => None,
            })
            .await;
        assert_eq!(contact.0, chat);
        assert_eq!(contact.1.full_name.as_deref(), Some("Ada Lovelace"));
        assert!(contact.1.lid_jid.is_some(), "the contact's LID comes with it");
    }
    for (collection, version) in [("critical_block", 3), ("critical_unblock_low", 1), ("regular", 2)] {
        agree(&one, &other, collection, version).await;
    }
    // Others see the new name as well.
    let phones = admin.ok("GET", "/admin/phones", "").await;
    assert_eq!(phones[0]["name"], "Charles");
    one.stop().await;
    other.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_companion_gets_the_name_and_the_address_book() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let phone = admin.phone().await;
    let friend = admin.phone().await;
    act(
        admin,
        &phone,
        json!({"action": "contact", "phone": friend, "fullName": "Grace"}),
    )
    .await;
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    client
        .wait("contact", |event| match event {
            Event::ContactUpdate(contact) => contact.action.full_name.clone().filter(|name| name == "Grace"),
            _ => None,
        })
        .await;
    let all = admin.ok("GET", &path(&phone), "").await;
    let name = setting(&all, &["setting_pushName"]).map(|value| value["pushNameSetting"]["name"].clone());
    assert_eq!(name, Some(json!("Phone 0001")));
    assert!(setting(&all, &["setting_locale"]).is_some());
    // A companion renames the account.
    client
        .client()
        .profile()
        .set_push_name("Renamed")
        .await
        .expect("renamed");
    admin
        .until("/admin/phones", |phones| phones[0]["name"] == "Renamed")
        .await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_that_cannot_be_are_named() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let phone = admin.phone().await;
    for (action, member) in [
        (json!({"action": "dance"}), "dance"),
        (json!({"action": "pin"}), "chat"),
        (json!({"action": "pin", "chat": "nobody"}), "phone"),
        (json!({"action": "pin", "chat": phone, "loud": true}), "loud"),
        (json!({"action": "pushName", "name": ""}), "name"),
    ] {
        let (status, error) = admin.call("POST", &path(&phone), &action.to_string()).await;
        assert_eq!(status, 400, "{action}");
        let message = error["error"]["message"].as_str().expect("a message");
        assert!(message.contains(member), "{action}: {message}");
    }
    admin
        .ok("POST", &format!("/admin/phones/{phone}/offline"), "")
        .await;
    let pin = json!({"action": "pin", "chat": phone}).to_string();
    assert_eq!(admin.call("POST", &path(&phone), &pin).await.0, 409);
    assert_eq!(admin.call("GET", &path("155509999999"), "").await.0, 404);
    sandbox.shutdown().await;
}
