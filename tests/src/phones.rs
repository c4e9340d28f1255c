//! A client of the sandbox's admin API.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use testbed::wait::until;

use testbed::caller::http;

/// The sandbox's phones.
#[derive(Debug, Clone)]
pub struct Phones {
    base: String,
    http: Client,
}

impl Phones {
    /// The phones behind this admin API's base URL.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            http: http(),
        }
    }

    /// A new phone: its number.
    pub async fn create(&self, name: &str) -> String {
        let phone = self.post("/admin/phones", &json!({"name": name})).await;
        phone["phone"].as_str().expect("a number").to_owned()
    }

    /// A new phone whose account wants a passkey before it links a device: its number, and the passkey for an authenticator.
    pub async fn create_with_passkey(&self, name: &str) -> (String, Value) {
        let body = json!({"name": name, "passkey": true});
        let phone = self.post("/admin/phones", &body).await;
        let number = phone["phone"].as_str().expect("a number").to_owned();
        (number, phone["passkey"].clone())
    }

    /// Lets the named phone scan a QR code. Where it wants a passkey, that takes as long as the passkey does.
    pub async fn scan(&self, phone: &str, qr: &str) {
        let url = format!("{}/admin/mock-phone/scan-qr?phone={phone}", self.base);
        let answer = self
            .http
            .post(url)
            .body(qr.to_owned())
            .send()
            .await
            .expect("the sandbox answers");
        assert!(
            answer.status().is_success(),
            "{}",
            answer.text().await.unwrap_or_default()
        );
    }

    /// The named phone's person enters a pairing code.
    pub async fn enter_code(&self, phone: &str, code: &str) {
        let path = format!("/admin/phones/{phone}/link-code");
        self.post(&path, &json!({"code": code})).await;
    }

    /// For each device that is linked to a phone, whether it is connected.
    pub async fn linked(&self, phone: &str) -> Vec<bool> {
        let own = self.phone(phone).await;
        let companions = own["companions"].as_array().expect("a list").iter();
        companions.map(|one| one["connected"] == true).collect()
    }

    /// A person's LID, its digits alone.
    pub async fn lid(&self, phone: &str) -> String {
        let own = self.phone(phone).await;
        let lid = own["lid"].as_str().expect("a LID");
        lid.split('@').next().unwrap_or(lid).to_owned()
    }

    /// What the network has of a phone.
    pub async fn phone(&self, phone: &str) -> Value {
        let phones = self.list("/admin/phones").await;
        let found = phones.into_iter().find(|one| one["phone"] == phone);
        found.expect("the phone")
    }

    /// A phone's inbox, oldest first.
    pub async fn inbox(&self, phone: &str) -> Vec<Value> {
        self.list(&format!("/admin/phones/{phone}/inbox")).await
    }

    /// A group as a phone sees it; `None` where its person is not in it.
    pub async fn group(&self, phone: &str, group: &str) -> Option<Value> {
        let groups = self.list(&format!("/admin/phones/{phone}/groups")).await;
        groups.into_iter().find(|one| one["id"] == group)
    }

    /// What a phone's person wrote with this text, once it looks like this.
    pub async fn until_sent(&self, phone: &str, text: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/admin/phones/{phone}/inbox?sent=true");
        until(&format!("the text from {phone}"), async || {
            let shown = self.list(&path).await;
            shown
                .into_iter()
                .find(|message| message["text"] == text && wanted(message))
        })
        .await
    }

    /// A setting that a phone shares with its companions, once it looks like this.
    pub async fn until_set(&self, phone: &str, index: &Value, wanted: impl Fn(&Value) -> bool) {
        let path = format!("/admin/phones/{phone}/app-state");
        until(&format!("the setting {index}"), async || {
            let settings = self.list(&path).await;
            settings
                .iter()
                .any(|setting| setting["index"] == *index && wanted(&setting["value"]))
                .then_some(())
        })
        .await;
    }

    /// A list of the admin API.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let url = format!("{}{path}", self.base);
        let answer = self.http.get(url).send().await.expect("the sandbox answers");
        answer.json().await.expect("a list")
    }

    /// A person's picture: these bytes of a JPEG.
    pub async fn set_picture(&self, phone: &str, jpeg: &[u8]) {
        let url = format!("{}/admin/phones/{phone}/picture", self.base);
        let request = self.http.post(url).body(jpeg.to_vec());
        let answer = request.send().await.expect("the sandbox answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// Waits until the phone shows this text; answers the message.
    pub async fn until_shown(&self, phone: &str, text: &str) -> Value {
        until(&format!("the text on {phone}"), async || {
            self.inbox(phone)
                .await
                .into_iter()
                .find(|message| message["text"] == text)
        })
        .await
    }

    /// The phone's person reads everything.
    pub async fn read_all(&self, phone: &str) {
        self.post(&format!("/admin/phones/{phone}/read"), &json!({"all": true}))
            .await;
    }

    /// The phone's person sends a text.
    pub async fn send(&self, phone: &str, to: &str, text: &str) {
        let body = json!({"to": to, "kind": "text", "text": text});
        self.post(&format!("/admin/phones/{phone}/send"), &body).await;
    }

    /// A `GET` of the admin API.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await;
        answer.expect("the sandbox answers").json().await.expect("JSON")
    }

    /// A `POST` to the admin API.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.send_to(Method::POST, path, body).await
    }

    /// A `PATCH` to the admin API.
    pub async fn patch(&self, path: &str, body: &Value) -> Value {
        self.send_to(Method::PATCH, path, body).await
    }

    /// A `DELETE` of the admin API.
    pub async fn delete(&self, path: &str) {
        self.send_to(Method::DELETE, path, &json!({})).await;
    }

    async fn send_to(&self, method: Method, path: &str, body: &Value) -> Value {
        let request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .json(body);
        let answer = request.send().await.expect("the sandbox answers");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}
