//! What the server refuses, asked by hand over a real client's connection.

use buffa::Message as _;
use wacore::appstate::patch_decode::{CollectionSyncError, PatchList, parse_patch_lists};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent};
use waproto::whatsapp as wa;
use whatsapp_rust::request::{InfoQuery, IqError};

use super::{act, path, setting};
use crate::client::TestClient;
use crate::net::{Admin, start};

/// Asks about collections; answers what the server said of each.
pub async fn ask(client: &TestClient, collections: Vec<Node>) -> Result<Vec<PatchList>, IqError> {
    let sync = NodeBuilder::new("sync").children(collections).build();
    let query = InfoQuery::set(
        "w:sync:app:state",
        "s.whatsapp.net".parse().expect("a JID"),
        Some(NodeContent::Nodes(vec![sync])),
    );
    let answer = client.client().send_iq(query).await?;
    Ok(parse_patch_lists(&answer.get().to_owned()).expect("it reads"))
}

/// What a device says of a collection.
pub fn collection(name: &str, version: &str, patch: Option<Vec<u8>>) -> Node {
    let mut builder = NodeBuilder::new("collection")
        .attr("name", name)
        .attr("version", version);
    if let Some(patch) = patch {
        builder = builder.children([NodeBuilder::new("patch").bytes(patch).build()]);
    }
    builder.build()
}

/// A patch that is whole, with MACs that nobody computed.
pub fn forged() -> Vec<u8> {
    let record = wa::SyncdRecord {
        index: wa::SyncdIndex {
            blob: Some(vec![1; 32]),
        }
        .into(),
        value: wa::SyncdValue {
            blob: Some(vec![2; 96]),
        }
        .into(),
        key_id: wa::KeyId {
            id: Some(vec![0, 0, 0, 0, 0, 1]),
        }
        .into(),
    };
    wa::SyncdPatch {
        mutations: vec![wa::SyncdMutation {
            operation: Some(wa::syncd_mutation::SyncdOperation::SET.into()),
            record: record.into(),
        }],
        snapshot_mac: Some(vec![3; 32]),
        patch_mac: Some(vec![4; 32]),
        key_id: wa::KeyId {
            id: Some(vec![0, 0, 0, 0, 0, 1]),
        }
        .into(),
        ..Default::default()
    }
    .encode_to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_collection_is_refused_for_itself() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let chat = Jid::pn("155501000701").to_string();
    for pinned in [true, false, true] {
        let action = serde_json::json!({"action": "pin", "chat": chat, "pinned": pinned});
        act(admin, &phone, action).await;
    }
    let asked = vec![
        collection("regular_low", "1", None),
        collection("regular_low", "1", None),
        collection("imaginary", "0", None),
        collection("regular", "x", None),
        collection("regular_high", "0", Some(vec![0xff; 20])),
        collection("critical_unblock_low", "7", Some(forged())),
    ];
    let answers = ask(&client, asked).await.expect("an answer");
    let versions: Vec<_> = answers[0]
        .patches
        .iter()
        .map(|patch| patch.version.version)
        .collect();
    assert_eq!(versions, [Some(2), Some(3)]);
    assert!(answers[0].error.is_none());
    for answer in &answers[1..] {
        assert!(
            matches!(answer.error, Some(CollectionSyncError::Fatal { .. })),
            "{answer:?}"
        );
    }
    assert!(matches!(
        answers[2].error,
        Some(CollectionSyncError::Fatal { code: 404, .. })
    ));

    // On an older version than the current one a patch conflicts, and the author is told what it missed.
    let stale = ask(&client, vec![collection("regular_low", "2", Some(forged()))])
        .await
        .expect("an answer");
    assert!(matches!(
        stale[0].error,
        Some(CollectionSyncError::Conflict { has_more: false })
    ));
    assert_eq!(stale[0].patches.len(), 1);
    let all = admin.ok("GET", &path(&phone), "").await;
    assert!(setting(&all, &["pin_v1", &chat]).is_some());

    // Without the question itself nothing can be answered at all.
    let query = InfoQuery::set("w:sync:app:state", "s.whatsapp.net".parse().expect("a JID"), None);
    assert!(matches!(
        client.client().send_iq(query).await,
        Err(IqError::ServerError { code: 400, .. })
    ));
    client.stop().await;
    sandbox.shutdown().await;
}
