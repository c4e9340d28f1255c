//! What the server does not relay, and the codes that it says so with.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::entry;
use crate::client::TestClient;
use crate::net::{Admin, start};

fn ciphertext() -> Node {
    NodeBuilder::new("enc")
        .attr("v", "2")
        .attr("type", "msg")
        .bytes(vec![1, 2, 3])
        .build()
}

fn copies(jids: &[Jid]) -> Node {
    let copies = jids.iter().map(|jid| {
        NodeBuilder::new("to")
            .attr("jid", jid.clone())
            .children([ciphertext()])
            .build()
    });
    NodeBuilder::new("participants").children(copies).build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_taken_is_refused_with_its_code() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (other, stranger) = (admin.phone().await, admin.phone().await);
    let to = Jid::pn(other.as_str());
    let odd = NodeBuilder::new("enc")
        .attr("v", "2")
        .attr("type", "rot13")
        .bytes(vec![1])
        .build();
    let empty = NodeBuilder::new("enc").attr("v", "2").attr("type", "msg").build();
    let long = "A".repeat(129);
    let cases: Vec<(&str, Jid, Vec<Node>, &str)> = vec![
        ("NO-CIPHERTEXT", to.clone(), vec![], "479"),
        ("UNKNOWN-CIPHERTEXT", to.clone(), vec![odd], "479"),
        ("EMPTY-CIPHERTEXT", to.clone(), vec![empty], "479"),
        (&long, to.clone(), vec![ciphertext()], "479"),
        (
            "FOR-A-STRANGER",
            to.clone(),
            vec![copies(&[to.clone(), Jid::pn(stranger.as_str())])],
            "400",
        ),
        ("TO-NOBODY", Jid::pn("155509999999"), vec![ciphertext()], "404"),
    ];
    for (id, to, children, code) in cases {
        let node = NodeBuilder::new("message")
            .attr("to", to)
            .attr("id", id)
            .attr("type", "text")
            .children(children)
            .build();
        client.client().send_node(node).await.expect("it goes out");
        assert_eq!(client.acked(id).await.as_deref(), Some(code), "{id}");
    }
    // Nothing of it arrived, and the connection is as good as before.
    client.send(&other, "3EB0000000050001", "still here").await;
    assert_eq!(client.acked("3EB0000000050001").await, None);
    let phone = sandbox.phone(&other);
    entry(&phone, "3EB0000000050001").await;
    assert_eq!(
        phone
            .inbox(sandbox::script::InboxQuery::default())
            .await
            .expect("an inbox")
            .len(),
        1
    );
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_may_begin_no_chats_goes_on_with_those_it_has() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (warm, new) = (admin.phone().await, admin.phone().await);
    client.send(&warm, "3EB0000000E00001", "before").await;
    assert_eq!(client.acked("3EB0000000E00001").await, None);
    let lock = async |seconds: u32| {
        let body = format!(r#"{{"seconds": {seconds}}}"#);
        admin
            .ok("POST", &format!("/admin/phones/{own}/reachout-lock"), &body)
            .await;
    };
    lock(600).await;
    let wa = client.client();
    let told = wa.mex().fetch_reachout_timelock().await.expect("an answer");
    assert_eq!(told.is_active, Some(true));
    let until: i64 = told
        .time_enforcement_ends
        .expect("a time")
        .parse()
        .expect("seconds");
    assert!(until > 1_700_000_000, "{until}");
    client.send(&new, "3EB0000000E00002", "unasked").await;
    assert_eq!(client.acked("3EB0000000E00002").await.as_deref(), Some("463"));
    client.send(&warm, "3EB0000000E00003", "meanwhile").await;
    assert_eq!(client.acked("3EB0000000E00003").await, None);
    lock(0).await;
    client.send(&new, "3EB0000000E00004", "let in").await;
    assert_eq!(client.acked("3EB0000000E00004").await, None);
    let inbox = admin.inbox(&new, 1).await;
    assert_eq!((inbox.len(), inbox[0]["text"].as_str()), (1, Some("let in")));
    client.stop().await;
    sandbox.shutdown().await;
}
