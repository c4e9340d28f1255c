//! A stack, an instance, and groups of it.

use reqwest::Method;
use serde_json::{Value, json};
use testbed::caller::Bases;
use testbed::wait::until;
use tests::flow::{Paired, pair, unique};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

pub struct Scene {
    pub stack: Process,
    pub phones: Phones,
    pub paired: Paired,
    _data: tempfile::TempDir,
}

impl Scene {
    pub async fn new() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
        let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
        let paired = pair(&Bases::one(&stack.api), &phones).await;
        Self {
            stack,
            phones,
            paired,
            _data: data,
        }
    }

    /// A group of the account and these people, made through the API.
    pub async fn group(&self, subject: &str, participants: &[&str]) -> String {
        let body = json!({"subject": subject, "participants": participants});
        let made = self.paired.key.post("/api/groups", body).await.data(201);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// A call of a route of the group; `null` is no body.
    pub async fn call(&self, method: Method, group: &str, end: &str, body: Value) -> Value {
        let path = format!("/api/groups/{group}{end}");
        let body = Some(body).filter(|body| !body.is_null());
        self.paired.key.request(method, &path, body).await.data(200)
    }

    /// What became of each participant, in turn.
    pub async fn change(&self, method: Method, group: &str, end: &str, participants: &[&str]) -> Vec<String> {
        let body = json!({"participants": participants});
        statuses(&self.call(method, group, end, body).await)
    }

    /// A text to the group, which all of these read.
    pub async fn all_read(&self, group: &str, readers: &[&str]) -> String {
        let text = format!("To all {}", unique());
        let message = self.paired.key.send_text(group, &text).await;
        for reader in readers {
            let shown = self.phones.until_shown(reader, &text).await;
            assert_eq!(shown["from"], self.paired.own);
        }
        self.paired.key.until_state(&message, "delivered").await;
        text
    }

    /// Waits until a phone sees the group so.
    pub async fn until_seen(&self, phone: &str, group: &str, what: &str, seen: impl Fn(&Value) -> bool) {
        until(what, async || {
            let found = self.phones.group(phone, group).await;
            found.filter(&seen).map(|_| ())
        })
        .await;
    }

    pub async fn end(self) {
        self.stack.stop().await;
    }
}

pub fn statuses(data: &Value) -> Vec<String> {
    let results = data["results"].as_array().expect("a list").iter();
    results
        .map(|result| result["status"].as_str().expect("a text").to_owned())
        .collect()
}

/// The role of somebody in a group that a phone sees.
pub fn role<'a>(group: &'a Value, phone: &str) -> Option<&'a str> {
    let participants = group["participants"].as_array().expect("a list");
    let one = participants.iter().find(|one| one["phone"] == phone)?;
    one["role"].as_str()
}
