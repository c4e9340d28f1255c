//! Pairing an account that wants a passkey, by whoever has the link to the pairing page.

use std::path::Path;

use serde_json::{Value, json};
use testbed::caller::{Bases, Caller};
use testbed::wait::until;
use tests::authenticator::Authenticator;
use tests::flow::{Paired, exchange, unique};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

/// A stack with an instance, and its pairing page as whoever has the link sees it.
struct Page {
    stack: Process,
    phones: Phones,
    user: Caller,
    nobody: Caller,
    path: String,
}

impl Page {
    async fn open(data: &Path) -> Self {
        let stack = Process::start(STACK, data, &["--sandbox-port", "0"], &[]).await;
        let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
        let nobody = Caller::over_http(Bases::one(&stack.api));
        let user = nobody.register(&format!("{}@example.com", unique())).await;
        user.post("/api/instances", json!({"name": "main"}))
            .await
            .data(201);
        let link = user.post("/api/instances/main/pairing-link", ()).await.data(201);
        let url = link["url"].as_str().expect("a URL");
        let (_, token) = url.rsplit_once("/pair/").expect("a page's URL");
        Self {
            path: format!("/pair/{token}"),
            stack,
            phones,
            user: user.into(),
            nobody,
        }
    }

    /// The state, once it looks like this.
    async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, async || {
            let state = self.nobody.get(&format!("{}/state", self.path)).await.data(200);
            wanted(&state).then_some(state)
        })
        .await
    }

    async fn post(&self, what: &str, body: Option<Value>) -> Value {
        self.nobody
            .post(&format!("{}/{what}", self.path), body)
            .await
            .data(202)
    }

    /// The text of the QR code that the page shows.
    async fn qr(&self) -> String {
        self.post("connect", None).await;
        self.until("a QR code", |state| !state["qr"].is_null()).await;
        let qr = self.user.get("/api/instances/main/qr").await.data(200);
        qr["code"].as_str().expect("a text").to_owned()
    }

    /// Uses a passkey on a page of this origin. Answers what the page then waits for.
    async fn use_passkey(&self, passkey: &Authenticator, origin: &str) {
        let state = self
            .until("a passkey", |state| !state["passkey"]["options"].is_null())
            .await;
        assert_eq!(state["status"], "AWAITING_PASSKEY");
        let credential = passkey.get(&state["passkey"]["options"], origin);
        self.post("passkey", Some(json!({"credential": credential})))
            .await;
    }
}

#[tokio::test]
async fn a_passkey_and_a_look_at_the_phone_pair_the_instance() {
    let data = tempfile::tempdir().expect("a directory");
    let page = Page::open(data.path()).await;
    let (own, passkey) = page.phones.create_with_passkey("Owner").await;
    let passkey = Authenticator::with(&passkey);
    let qr = page.qr().await;
    let person = async {
        page.use_passkey(&passkey, "http://localhost:3000").await;
        let state = page
            .until("a code to compare", |state| !state["passkey"]["code"].is_null())
            .await;
        // The person compares it with the phone's.
        let shown = page.phones.phone(&own).await["linkingCode"].clone();
        assert_eq!(state["passkey"]["code"], shown);
        page.post("passkey/confirm", Some(json!({"code": shown}))).await;
    };
    tokio::join!(page.phones.scan(&own, &qr), person);
    page.until("the link's end", |state| state["link"] == "used")
        .await;
    let status = page.user.until_status("main", "CONNECTED").await;
    assert_eq!(status["phone"], own.as_str());

    let paired = Paired {
        key: page.user.key("main").await,
        other: page.phones.create("Other").await,
        instance: "main".to_owned(),
        own,
        user: page.user.clone(),
    };
    exchange(&paired, &page.phones).await;
    page.stack.stop().await;
}

#[tokio::test]
async fn a_passkey_used_on_another_page_is_refused_and_the_next_attempt_may_be_right() {
    let data = tempfile::tempdir().expect("a directory");
    let page = Page::open(data.path()).await;
    let (own, passkey) = page.phones.create_with_passkey("Owner").await;
    let passkey = Authenticator::with(&passkey);
    let qr = page.qr().await;
    let phones = page.phones.clone();
    // The phone's person waits in vain.
    let scanning = tokio::spawn({
        let own = own.clone();
        async move { phones.scan(&own, &qr).await }
    });
    page.use_passkey(&passkey, "https://evil.example").await;
    let over = page
        .until("the end", |state| state["status"] == "FORCE_DISCONNECTED")
        .await;
    assert_eq!(over["reason"], "PASSKEY_REFUSED");
    assert!(scanning.await.is_err(), "the scan has failed");

    // The same by a code that is typed.
    let code = page
        .nobody
        .post(&format!("{}/code", page.path), json!({"phone": own}))
        .await
        .data(200);
    let code = code["code"].as_str().expect("a code").to_owned();
    let person = async {
        page.use_passkey(&passkey, "http://localhost").await;
        let state = page
            .until("a code to compare", |state| !state["passkey"]["code"].is_null())
            .await;
        let shown = &state["passkey"]["code"];
        page.post("passkey/confirm", Some(json!({"code": shown}))).await;
    };
    tokio::join!(page.phones.enter_code(&own, &code), person);
    page.user.until_status("main", "CONNECTED").await;
    page.stack.stop().await;
}
