//! Linking by the code of eight characters.

use std::time::Duration;

use wacore::types::events::Event;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, Server};
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::request::InfoQuery;

use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start, start_with};

const PHONE: &str = "155501000042";

/// A client that shows a code for `phone`.
async fn showing(url: &str, phone: &str) -> (TestClient, String) {
    let client = TestClient::start(url, std::sync::Arc::default()).await;
    // It asks once it is connected, which it is when it has something to show.
    client.qr().await;
    let options = PairCodeOptions {
        phone_number: phone.into(),
        ..Default::default()
    };
    let asked = client.client().pair_with_code(options).await;
    (client, asked.expect("the server takes the request"))
}

async fn enter(admin: Admin, phone: &str, code: &str) -> (u16, serde_json::Value) {
    let body = serde_json::json!({ "code": code }).to_string();
    admin
        .call("POST", &format!("/admin/phones/{phone}/link-code"), &body)
        .await
}

/// Another code than `code`, of the same alphabet.
fn other(code: &str) -> String {
    let last = if code.ends_with('2') { '3' } else { '2' };
    format!("{}{last}", &code[..7])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_linked_by_the_code_that_it_shows() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, code) = showing(&sandbox.ws_url(), PHONE).await;
    let typed = format!("{}-{}", &code[..4], &code[4..]).to_lowercase();
    let (status, linked) = enter(admin, PHONE, &typed).await;
    assert_eq!(status, 200, "{linked}");
    assert_eq!(
        (linked["phone"].as_str(), linked["device"].as_u64()),
        (Some(PHONE), Some(1))
    );
    client.connected().await;
    let other = admin.phone().await;
    client.send(&other, "3EB0000000C00001", "linked by code").await;
    assert_eq!(admin.inbox(&other, 1).await[0]["text"], "linked by code");
    // It works once.
    assert_eq!(enter(admin, PHONE, &code).await.0, 404);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_code_is_refused_and_the_right_one_works_after_it() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, code) = showing(&sandbox.ws_url(), PHONE).await;
    for (phone, code, status) in [
        (PHONE, "no code".to_owned(), 400),
        // The code is shown for another number.
        ("155501000043", code.clone(), 404),
        (PHONE, other(&code), 409),
    ] {
        let (got, error) = enter(admin, phone, &code).await;
        assert_eq!(got, status, "{phone} {error}");
    }
    // No phone was made for a number for which no client shows a code.
    let phones = admin.ok("GET", "/admin/phones", "").await;
    assert_eq!(phones.as_array().map(Vec::len), Some(1), "{phones}");
    let (status, linked) = enter(admin, PHONE, &code).await;
    assert_eq!(status, 200, "{linked}");
    client.connected().await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_three_wrong_codes_a_new_one_is_wanted() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, code) = showing(&sandbox.ws_url(), PHONE).await;
    for _ in 0..3 {
        assert_eq!(enter(admin, PHONE, &other(&code)).await.0, 409);
    }
    let by_hand = client.wait("refresh", |event| match event {
        Event::PairingCodeRefresh(refresh) => Some(refresh.force_manual),
        _ => None,
    });
    assert!(by_hand.await);
    assert_eq!(enter(admin, PHONE, &code).await.0, 404);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_runs_out_and_an_offline_phone_cannot_use_it() {
    let sandbox = start_with(None, |config| config.pairing.code = Duration::from_secs(10)).await;
    let admin = Admin(sandbox.addr());
    admin
        .ok("POST", "/admin/phones", &format!(r#"{{"phone": "{PHONE}"}}"#))
        .await;
    admin
        .ok("POST", &format!("/admin/phones/{PHONE}/offline"), "")
        .await;
    let (client, code) = showing(&sandbox.ws_url(), PHONE).await;
    assert_eq!(enter(admin, PHONE, &code).await.0, 409);
    let by_hand = client.wait("refresh", |event| match event {
        Event::PairingCodeRefresh(refresh) => Some(refresh.force_manual),
        _ => None,
    });
    assert!(!by_hand.await, "the client may show a new one by itself");
    assert_eq!(enter(admin, PHONE, &code).await.0, 404);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_ends_with_its_client() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, code) = showing(&sandbox.ws_url(), PHONE).await;
    client.stop().await;
    let begun = std::time::Instant::now();
    // Entered as a wrong one: it must not link should the client still be there.
    while enter(admin, PHONE, &other(&code)).await.0 != 404 {
        assert!(
            begun.elapsed() < DEADLINE,
            "the code of a client that is gone is still good"
        );
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_make_no_sense_are_refused_and_hurt_nothing() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, code) = showing(&sandbox.ws_url(), PHONE).await;
    let bytes = |tag: &'static str, length: usize| NodeBuilder::new(tag).bytes(vec![1; length]).build();
    let request = |stage: &'static str, jid: &str, children: Vec<Node>| {
        NodeBuilder::new("link_code_companion_reg")
            .attr("jid", jid)
            .attr("stage", stage)
            .children(children)
            .build()
    };
    let ephemeral = || bytes("link_code_pairing_wrapped_companion_ephemeral_pub", 80);
    let own = "155501000042@s.whatsapp.net";
    for bad in [
        NodeBuilder::new("pair-device").build(),
        request("companion_hello", own, Vec::new()),
        request("companion_hello", "1@s.whatsapp.net", vec![ephemeral()]),
        // Not the key with which the client connected.
        request(
            "companion_hello",
            own,
            vec![ephemeral(), bytes("companion_server_auth_key_pub", 32)],
        ),
        // No phone has reached out to it.
        request(
            "companion_finish",
            own,
            vec![
                bytes("companion_identity_public", 32),
                bytes("link_code_pairing_wrapped_key_bundle", 156),
                bytes("link_code_pairing_ref", 50),
            ],
        ),
        request("primary_hello", own, Vec::new()),
    ] {
        let said = format!("{bad:?}");
        let content = Some(NodeContent::Nodes(vec![bad]));
        let query = InfoQuery::set("md", Jid::new("", Server::Pn), content);
        assert!(client.client().send_iq(query).await.is_err(), "{said}");
    }
    let (status, linked) = enter(admin, PHONE, &code).await;
    assert_eq!(status, 200, "{linked}");
    client.connected().await;
    client.stop().await;
    sandbox.shutdown().await;
}
