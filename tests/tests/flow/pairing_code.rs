//! Pairing by a code that is entered on the phone.

use std::path::Path;

use serde_json::{Value, json};
use testbed::caller::{Bases, Caller};
use tests::flow::{Paired, exchange, unique};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

/// A stack in this folder, its phones, and a user with the instance `main`.
async fn with_an_instance(data: &Path) -> (Process, Phones, Caller) {
    let stack = Process::start(STACK, data, &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let api = Caller::over_http(Bases::one(&stack.api));
    let user = api.register(&format!("{}@example.com", unique())).await;
    user.post("/api/instances", json!({"name": "main"}))
        .await
        .data(201);
    (stack, phones, user.into())
}

#[tokio::test]
async fn a_code_that_is_entered_on_the_phone_pairs_the_instance() {
    let data = tempfile::tempdir().expect("a directory");
    let (stack, phones, user) = with_an_instance(data.path()).await;
    let own = phones.create("Owner").await;
    let ask = async || {
        let path = "/api/instances/main/pairing-code";
        let data = user.post(path, json!({"phone": own})).await.data(200);
        data["code"].as_str().expect("a code").to_owned()
    };
    let code = ask().await;
    assert_eq!(ask().await, code, "it is good still");
    let status = user.get("/api/instances/main/status").await.data(200);
    assert_eq!(status["status"], "AWAITING_PAIRING_CODE");
    assert_eq!(status["qrAttempt"], Value::Null);

    phones.enter_code(&own, &code).await;
    let status = user.until_status("main", "CONNECTED").await;
    assert_eq!(status["phone"], own.as_str());
    let again = user
        .post("/api/instances/main/pairing-code", json!({"phone": own}))
        .await;
    assert_eq!(again.code(), "409 CONFLICT");

    let paired = Paired {
        key: user.key("main").await,
        other: phones.create("Other").await,
        instance: "main".to_owned(),
        own,
        user,
    };
    exchange(&paired, &phones).await;
    stack.stop().await;
}

/// A code that was not entered leaves room for QR codes, and for another number.
#[tokio::test]
async fn a_code_gives_way_to_a_qr_code_and_to_another_code() {
    let data = tempfile::tempdir().expect("a directory");
    let (stack, phones, user) = with_an_instance(data.path()).await;
    let own = phones.create("Owner").await;
    let stranger = phones.create("Stranger").await;
    let path = "/api/instances/main/pairing-code";
    user.post(path, json!({"phone": stranger})).await.data(200);
    user.post("/api/instances/main/connect", ()).await.data(202);
    user.until_status("main", "AWAITING_QR").await;
    let data = user.post(path, json!({"phone": own})).await.data(200);
    phones
        .enter_code(&own, data["code"].as_str().expect("a code"))
        .await;
    let status = user.until_status("main", "CONNECTED").await;
    assert_eq!(status["phone"], own.as_str());
    stack.stop().await;
}
