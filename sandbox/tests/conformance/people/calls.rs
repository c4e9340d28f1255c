//! Calls ring and end.

use wacore::types::call::CallAction;
use wacore::types::events::Event;
use wacore_binary::Jid;
use whatsapp_rust::NodeFilter;

use super::{does, good};
use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start};

/// Waits for the signal that `pick` looks for.
async fn signal<T>(client: &TestClient, what: &str, pick: impl Fn(&CallAction) -> Option<T>) -> T {
    client
        .wait(what, |event| match event {
            Event::IncomingCall(call) => pick(&call.action),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_rings_on_every_device_until_somebody_hangs_up() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (one, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (two, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&own)).await;
    let caller = admin.phone().await;
    let call = does(
        admin,
        &caller,
        "call",
        &format!(r#"{{"to": "{own}", "video": true}}"#),
    )
    .await;
    let id = call["id"].as_str().expect("an id").to_owned();
    let mut creators = Vec::new();
    for client in [&one, &two] {
        let creator = signal(client, "ringing", |action| match action {
            CallAction::Offer {
                call_id,
                call_creator,
                is_video: true,
                ..
            } if *call_id == id => Some(call_creator.clone()),
            _ => None,
        });
        creators.push(creator.await);
    }
    assert_eq!(creators[0], Jid::pn(caller.as_str()));
    // One device refuses; the other hears of it.
    let elsewhere = two.client().wait_for_node(NodeFilter::tag("call"));
    let refusal = one.client();
    good(
        "the refusal",
        refusal.voip().reject_call(&id, &creators[0], &creators[0]),
    )
    .await;
    let node = tokio::time::timeout(DEADLINE, elsewhere)
        .await
        .expect("it is told")
        .expect("it is read");
    let over = node
        .get()
        .get_optional_child("terminate")
        .expect("the end")
        .to_owned();
    let reason = over
        .attrs
        .get("reason")
        .map(|reason| reason.as_str().into_owned());
    assert_eq!(reason.as_deref(), Some("rejected_elsewhere"));
    // Another call ends by the caller.
    let call = does(admin, &caller, "call", &format!(r#"{{"to": "{own}"}}"#)).await;
    let id = call["id"].as_str().expect("an id").to_owned();
    does(
        admin,
        &caller,
        "call",
        &format!(r#"{{"to": "{own}", "end": "{id}"}}"#),
    )
    .await;
    signal(&one, "the end", |action| match action {
        CallAction::Terminate { call_id, .. } if *call_id == id => Some(()),
        _ => None,
    })
    .await;
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
    one.stop().await;
    two.stop().await;
    sandbox.shutdown().await;
}
