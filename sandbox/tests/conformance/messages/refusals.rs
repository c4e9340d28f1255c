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
