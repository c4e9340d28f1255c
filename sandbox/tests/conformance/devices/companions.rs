//! Several companions of one phone.

use wacore::store::traits::SignalStore as _;
use wacore::types::events::Event;
use wacore::types::jid::JidExt as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, NodeContent, Server};
use whatsapp_rust::IqError;
use whatsapp_rust::request::InfoQuery;

use crate::client::TestClient;
use crate::net::{Admin, start};

const PHONE: &str = "155501000077";

async fn devices(admin: Admin) -> Vec<u64> {
    let phones = admin.ok("GET", "/admin/phones", "").await;
    let phone = phones
        .as_array()
        .and_then(|all| all.iter().find(|p| p["phone"] == PHONE));
    let companions = phone.expect("the phone")["companions"].clone();
    let devices = companions.as_array().expect("companions").iter();
    devices.map(|c| c["device"].as_u64().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_devices_and_no_fifth() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let mut linked = Vec::new();
    for _ in 0..4 {
        linked.push(TestClient::paired(&sandbox.ws_url(), admin, Some(PHONE)).await.0);
    }
    let fifth = TestClient::start(&sandbox.ws_url(), std::sync::Arc::default()).await;
    let qr = fifth.qr().await;
    let path = format!("/admin/mock-phone/scan-qr?phone={PHONE}");
    let (status, error) = admin.call("POST", &path, &qr).await;
    assert_eq!(status, 409, "{error}");
    assert_eq!(devices(admin).await, [1, 2, 3, 4]);

    // There is room when one has gone, and its number is not given again.
    linked.remove(1).client().logout().await;
    admin
        .until("/admin/phones", |phones| {
            phones[0]["companions"].as_array().map(Vec::len) == Some(3)
        })
        .await;
    admin.ok("POST", &path, &qr).await;
    fifth.connected().await;
    assert_eq!(devices(admin).await, [1, 3, 4, 5]);
    let phones = admin.ok("GET", "/admin/phones", "").await;
    let last = &phones[0]["companions"][3];
    assert_eq!(last["connected"], true);
    for member in ["platform", "name"] {
        assert!(
            last[member].as_str().is_some_and(|value| !value.is_empty()),
            "{last}"
        );
    }
    linked.push(fifth);
    for client in linked {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_any_device_sends_shows_on_all_the_others() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let mut own = Vec::new();
    for _ in 0..3 {
        own.push(TestClient::paired(&sandbox.ws_url(), admin, Some(PHONE)).await.0);
    }
    let (other, number) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let to = Jid::pn(number.as_str());
    for (sender, client) in own.iter().enumerate() {
        for (receiver, sibling) in own.iter().enumerate() {
            if receiver != sender {
                let text = format!("from device {} to {}", sender + 1, receiver + 1);
                let said = client.send_until_had(&to, &text, sibling).await;
                other.text(&said).await;
                let (_, chat) = sibling.text(&said).await;
                assert!(!chat.user.is_empty());
            }
        }
    }
    let inbox = admin.inbox(PHONE, 6).await;
    assert!(
        inbox.iter().all(|entry| entry["chat"] == number.as_str()),
        "{inbox:?}"
    );
    other.send(PHONE, "3EB0000000C10009", "to all of you").await;
    for client in &own {
        client.text("to all of you").await;
    }
    own.push(other);
    for client in own {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_hears_of_devices_that_come_and_go() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (other, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (first, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(PHONE)).await;
    other.send(PHONE, "3EB0000000C20001", "hello").await;
    first.text("hello").await;
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(PHONE)).await;
    let changed = |kind: &'static str| {
        move |event: &Event| match event {
            Event::DeviceListUpdate(update) => {
                let same = format!("{:?}", update.update_type) == kind;
                let device = update.devices.first().map(|device| device.device_id);
                (same && device == Some(2)).then_some(())
            }
            _ => None,
        }
    };
    other.wait("new device", changed("Add")).await;
    second.client().logout().await;
    other.wait("device gone", changed("Remove")).await;
    for client in [other, first, second] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_device_unlinks_all() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (first, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(PHONE)).await;
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(PHONE)).await;
    let remove = NodeBuilder::new("remove-companion-device")
        .attr("all", "true")
        .attr("reason", "user_initiated")
        .build();
    let query = InfoQuery::set(
        "md",
        Jid::new("", Server::Pn),
        Some(NodeContent::Nodes(vec![remove])),
    );
    // The answer and the end of the stream come together; which of them the client goes by is a matter of luck.
    let answer = first.client().send_iq(query).await;
    assert!(
        matches!(
            answer,
            Ok(_) | Err(IqError::NotConnected | IqError::InternalChannelClosed)
        ),
        "{:?}",
        answer.err()
    );
    for client in [&first, &second] {
        let on_connect = client.wait("logout", |event| match event {
            Event::LoggedOut(logout) => Some(logout.on_connect),
            _ => None,
        });
        assert!(!on_connect.await);
    }
    assert_eq!(devices(admin).await, Vec::<u64>::new());
    first.stop().await;
    second.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_hands_its_companion_what_that_cannot_read() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let send = |text: &str| {
        let body = format!(r#"{{"to": "{own}", "kind": "text", "text": "{text}"}}"#);
        let path = format!("/admin/phones/{other}/send");
        async move { admin.ok("POST", &path, &body).await }
    };
    send("first").await;
    client.text("first").await;
    client.send(&other, "3EB0000000C30001", "answer").await;
    admin.inbox(&other, 1).await;
    let backend = client.stop().await;
    let phones = admin.ok("GET", "/admin/phones", "").await;
    let of_other = phones
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["phone"] == other.as_str());
    let lid = of_other.unwrap()["lid"].as_str().unwrap().to_owned();
    for jid in [Jid::pn(other.as_str()), Jid::lid(lid.as_str())] {
        backend
            .delete_session(jid.to_protocol_address().as_str())
            .await
            .expect("the session goes");
    }
    send("second").await;
    admin.inbox(&own, 3).await;
    // The sender is away: nobody but the own phone can help.
    admin
        .ok("POST", &format!("/admin/phones/{other}/offline"), "")
        .await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.text("second").await;
    client.stop().await;
    sandbox.shutdown().await;
}
