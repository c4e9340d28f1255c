//! Statuses of clients: to the people that their author names, with receipts back.

use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp::message::extended_text_message::FontType;
use whatsapp_rust::features::StatusSendOptions;

use super::{text, texts};
use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_whom_the_author_names_see_it() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, a) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (carol, c) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let d = admin.phone().await;
    // The author has to know the LIDs of those they name.
    let known: Vec<Jid> = [&b, &d].map(|phone| Jid::pn(phone.as_str())).to_vec();
    alice
        .client()
        .contacts()
        .is_on_whatsapp(&known)
        .await
        .expect("an answer");
    let post = |words: &'static str, id: &'static str| {
        let (client, people) = (alice.client(), known.clone());
        async move {
            let options = StatusSendOptions {
                message_id: Some(id.into()),
                ..Default::default()
            };
            client
                .status()
                .send_text(words, 0xFF1E_6E4F, FontType::SYSTEM, &people, options)
                .await
                .expect("the status goes out");
        }
    };
    post("one", "3EB0000000070001").await;
    assert_eq!(alice.acked("3EB0000000070001").await, None);
    let (id, author) = text(&bob, "one").await;
    assert_eq!(author.user, alice.client().lid().expect("a LID").user);
    post("two", "3EB0000000070002").await;
    text(&bob, "two").await;
    for phone in [&d, &a] {
        let inbox = admin.inbox(phone, 2).await;
        assert!(inbox.iter().all(|entry| {
            entry["chat"] == "status@broadcast" && entry["from"] == a.as_str() && entry["copies"] == 1
        }));
    }
    bob.client()
        .mark_as_read(&Jid::status_broadcast(), Some(&author), &[&id])
        .await
        .expect("the receipt goes out");
    for kind in [ReceiptType::Delivered, ReceiptType::Read] {
        alice
            .wait("receipt", |event| match event {
                Event::Receipt(receipt) if receipt.r#type == kind && receipt.message_ids.contains(&id) => {
                    assert!(receipt.source.chat.is_status_broadcast());
                    Some(())
                }
                _ => None,
            })
            .await;
    }
    // Who is not named sees nothing.
    alice.send(&c, "3EB0000000070003", "in person").await;
    carol.text("in person").await;
    assert_eq!(texts(&carol), [""; 0]);
    for client in [alice, bob, carol] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}
