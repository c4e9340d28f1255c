//! Block lists.

use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::Jid;

use super::presence::{comes, named, stands};
use super::{Pair, does, good, lid, until};
use crate::client::TestClient;
use crate::net::{Admin, start};

fn receipts(client: &TestClient, id: &str) -> usize {
    client.count(
        |event| matches!(event, Event::Receipt(receipt) if receipt.message_ids.iter().any(|one| one == id)),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_blocked_person_sends_is_acked_and_goes_nowhere() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    pair.acquaint().await;
    let Pair { alice, bob, a, b } = &pair;
    let wa = alice.client();
    let jid = Jid::pn(b.as_str());
    good("the block", wa.blocking().block(&jid)).await;
    assert!(good("the question", wa.blocking().is_blocked(&jid)).await);
    let list = good("the list", wa.blocking().get_blocklist()).await;
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].jid, lid(admin, b).await);
    assert!(list[0].timestamp.is_some());

    bob.send(a, "3EB0000000E00001", "blocked").await;
    assert_eq!(
        bob.acked("3EB0000000E00001").await,
        None,
        "no different from any other"
    );
    // The phone of a blocked person gets no further than the companion.
    let body = format!(r#"{{"to": "{a}", "kind": "text", "text": "blocked too"}}"#);
    does(admin, b, "send", &body).await;
    good("the unblock", wa.blocking().unblock(&jid)).await;
    assert!(!good("the question", wa.blocking().is_blocked(&jid)).await);
    bob.send(a, "3EB0000000E00002", "friends again").await;
    alice.text("friends again").await;
    bob.receipt("3EB0000000E00002", &ReceiptType::Delivered).await;
    assert_eq!((alice.texts("blocked"), alice.texts("blocked too")), (0, 0));
    assert_eq!(receipts(bob, "3EB0000000E00001"), 0);
    let inbox = admin.inbox(a, 3).await;
    assert!(
        inbox
            .iter()
            .all(|entry| !entry["text"].as_str().unwrap().contains("blocked"))
    );
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_devices_hear_of_a_block_and_the_blocked_person_sees_nobody() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let pair = Pair::new(&sandbox).await;
    pair.acquaint().await;
    let (second, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&pair.a)).await;
    named(&pair.alice, "Alice").await;
    let bob = pair.bob.client();
    comes(&pair.alice).await;
    let a = Jid::pn(pair.a.as_str());
    good("bob watches", bob.presence().subscribe(a.clone())).await;
    stands(&pair.bob, &a, (true, false)).await;

    let notice = second
        .client()
        .wait_for_node(whatsapp_rust::client::NodeFilter::tag("notification").attr("type", "account_sync"));
    let who = format!(r#"{{"who": "{}"}}"#, pair.b);
    does(admin, &pair.a, "block", &who).await;
    let notice = tokio::time::timeout(crate::net::DEADLINE, notice)
        .await
        .expect("the notice comes")
        .expect("it is read");
    let list = notice
        .get()
        .get_optional_child("blocklist")
        .expect("a block list")
        .to_owned();
    let item = &list.children().expect("items")[0];
    assert_eq!(
        item.attrs
            .get("action")
            .map(|action| action.as_str().into_owned())
            .as_deref(),
        Some("block")
    );
    assert_eq!(
        item.attrs.get("jid").and_then(wacore_binary::NodeValue::to_jid),
        Some(lid(admin, &pair.b).await)
    );
    // Neither there nor when.
    stands(&pair.bob, &a, (false, false)).await;
    let about = || async {
        let info = good(
            "the details",
            bob.contacts().get_user_info(std::slice::from_ref(&a)),
        )
        .await;
        info[&a].status.clone().unwrap_or_default()
    };
    // What bob writes is not seen either: the pause after the block is the first that is.
    good("bob writes", bob.chatstate().send_composing(&a)).await;
    assert_eq!(about().await, "");
    does(
        admin,
        &pair.a,
        "block",
        &format!(r#"{{"who": "{}", "blocked": false}}"#, pair.b),
    )
    .await;
    stands(&pair.bob, &a, (true, false)).await;
    until("the text", about, |text| !text.is_empty()).await;
    good("bob pauses", bob.chatstate().send_paused(&a)).await;
    let path = format!("/admin/phones/{}/typing", pair.a);
    admin.until(&path, |seen| seen[0]["state"] == "paused").await;
    let composing = |event: &Event| {
        matches!(event, Event::ChatPresence(update)
            if update.state == wacore::types::presence::ChatPresence::Composing)
    };
    assert_eq!((pair.alice.count(composing), second.count(composing)), (0, 0));
    second.stop().await;
    pair.stop(sandbox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_outlives_the_network() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    does(
        admin,
        &own,
        "block",
        &format!(r#"{{"who": "lid:{}"}}"#, lid(admin, &other).await.user),
    )
    .await;
    for (body, status) in [
        (format!(r#"{{"who": "{own}"}}"#), 400),
        (r#"{"who": "155509999999"}"#.to_owned(), 404),
        (r#"{"whom": "155509999999"}"#.to_owned(), 400),
    ] {
        let path = format!("/admin/phones/{own}/block");
        assert_eq!(admin.call("POST", &path, &body).await.0, status, "{body}");
    }
    let backend = client.stop().await;
    sandbox.shutdown().await;
    let sandbox = start(Some(directory.path())).await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    let wa = client.client();
    let list = good("the list", wa.blocking().get_blocklist()).await;
    assert_eq!(list.len(), 1);
    client.stop().await;
    sandbox.shutdown().await;
}
