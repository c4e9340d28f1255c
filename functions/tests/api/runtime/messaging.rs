//! `messaging`: texts beyond ASCII and files in base64, and who it is that calls.

use std::time::Duration;

use serde_json::{Value, json};
use shared::config::Function;
use shared::domain::content::{Bytes as Inline, Content, Source};
use shared::domain::instance::{Status, Wanted};
use shared::domain::job::Job;
use shared::domain::payload;
use shared::ids::InstanceId;
use shared::queue::{Queue as _, ReceiveOptions};
use shared::seal::Purpose;
use shared::sealed;
use shared::storage::instances::Instances;
use testbed::lambda;

use super::{Deployed, call, event_of, registered};

/// A paired instance: the function, and a key that may be used from 203.0.113.0/24.
async fn with_key(deployed: &Deployed) -> (lambda::Function, String) {
    let auth = deployed.function(Function::Auth).await;
    let management = deployed.function(Function::Management).await;
    let token = registered(&auth).await;
    let made = call(&management, &event_of(&token, "create-instance")).await;
    let instance = made.data(201)["id"].as_str().expect("an id").to_owned();
    let instance: InstanceId = instance.parse().expect("an id");
    let instances = Instances::new(deployed.database.table());
    let wanted = instances.want(instance, Wanted::Connected).await;
    wanted.expect("stored").expect("it is there");
    deployed.daemon.pair(instance).await;
    deployed.daemon.observe(instance, Status::Connected).await;
    // A daemon has made the instance's key: functions make none.
    let sealing = deployed
        .sealer
        .seal(instance, Purpose::Content, b"a place", b"a text");
    sealing.await.expect("sealed");
    let made = call(&management, &event_of(&token, "create-key")).await;
    let key = made.data(201)["key"].as_str().expect("a key").to_owned();
    (deployed.function(Function::Messaging).await, key)
}

/// What the one message in the first shard's queue says.
async fn said(deployed: &Deployed) -> Content {
    let options = ReceiveOptions {
        max: 10,
        wait: Duration::ZERO,
        visibility: Duration::from_mins(10),
    };
    let received = deployed.queues.receive(&deployed.names.sends(0), options).await;
    let received = received.expect("received");
    let [message] = &received[..] else {
        panic!("one message: {}", received.len());
    };
    let Job::Send(job) = payload::decode(&message.body).expect("ours");
    let opening = sealed::open(&deployed.sealer, job.instance, &job.message, &job.content);
    let content = opening.await.expect("opens");
    let deleted = deployed
        .queues
        .delete(&deployed.names.sends(0), &message.receipt)
        .await;
    deleted.expect("deleted");
    content
}

#[tokio::test]
async fn texts_and_files_come_whole_out_of_base64() {
    let deployed = Deployed::new().await;
    let (messaging, key) = with_key(&deployed).await;
    let sent = call(&messaging, &event_of(&key, "text-base64")).await.data(202);
    assert_eq!(sent["to"]["phone"], "15550100002");
    assert_eq!(said(&deployed).await, Content::text("Grüße ✓ 你好 🦀"));

    call(&messaging, &event_of(&key, "upload-form")).await.data(202);
    let content = said(&deployed).await;
    let Content::Document(document) = &content else {
        panic!("a document: {content:?}");
    };
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let expected = Some(Source::Inline(Inline(every_byte)));
    assert!(document.source == expected, "the bytes that were sent");
    assert_eq!(document.media.file_name.as_deref(), Some("bytes.bin"));
}

/// Who calls is who API Gateway saw. What a caller says of that in a header is its own word.
#[tokio::test]
async fn a_caller_is_where_api_gateway_saw_it() {
    let deployed = Deployed::new().await;
    let (messaging, key) = with_key(&deployed).await;
    let forged = call(&messaging, &event_of(&key, "forged-source")).await;
    assert_eq!(forged.code(), "403 IP_NOT_ALLOWED");
    let mut honest = event_of(&key, "forged-source");
    honest["requestContext"]["http"]["sourceIp"] = json!("203.0.113.77");
    call(&messaging, &honest).await.data(202);
    // Where nobody has seen it, it is nowhere.
    honest["requestContext"]["http"]["sourceIp"] = Value::Null;
    assert_eq!(call(&messaging, &honest).await.code(), "403 IP_NOT_ALLOWED");
}

/// API Gateway decodes paths.
#[tokio::test]
async fn a_path_that_was_decoded_is_told_what_is_wrong_with_it() {
    let deployed = Deployed::new().await;
    let (messaging, key) = with_key(&deployed).await;
    let answer = call(&messaging, &event_of(&key, "decoded-path")).await;
    assert_eq!(answer.code(), "400 VALIDATION_ERROR");
    assert_eq!(answer.json()["error"]["details"]["fields"][0]["field"], "contact");
}
