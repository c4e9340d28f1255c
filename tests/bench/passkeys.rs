//! The scene of an account that wants a passkey: its instance is linked once by its user, once by a link.

use serde_json::{Value, json};
use testbed::caller::Caller;
use testbed::wait::until;
use tests::flow::unique;

use crate::user::{Stop, User};

impl User {
    /// Links an instance, and deletes it.
    pub async fn links_with_a_passkey(&mut self) -> Result<(), Stop> {
        for by_link in [false, true] {
            let api = self.api.clone();
            let body = json!({"name": format!("p{}", unique().replace("req_", ""))});
            let made = self.call(&api, "POST /api/instances", &[], Some(body)).await?;
            let instance = [made["id"].as_str().expect("an id")];
            let phone = self.scans(&api, &instance).await?;
            if by_link {
                self.answers_by_link(&api, &instance, &phone).await?;
            } else {
                self.answers(&api, &instance, &phone).await?;
            }
            self.call(&api, "DELETE /api/instances/{instance}", &instance, None)
                .await?;
        }
        Ok(())
    }

    /// A phone that wants a passkey scans the instance's QR code, for as long as that takes.
    async fn scans(&mut self, api: &Caller, instance: &[&str]) -> Result<String, Stop> {
        self.call(api, "POST /api/instances/{instance}/connect", instance, None)
            .await?;
        let path = format!("/api/instances/{}/qr", instance[0]);
        let qr = until("a QR code", async || {
            let answer = api.get(&path).await;
            (answer.status == 200).then(|| answer.json()["data"]["code"].clone())
        });
        let qr = qr.await.as_str().expect("a text").to_owned();
        let phones = self.place.stack.phones.clone();
        let (phone, _) = phones.create_with_passkey("Owner").await;
        let number = phone.clone();
        tokio::spawn(async move { phones.scan(&number, &qr).await });
        Ok(phone)
    }

    /// What is wanted of the owner, once it is this.
    async fn wanted(&self, api: &Caller, instance: &[&str], stage: &str) -> Value {
        let path = format!("/api/instances/{}/passkey", instance[0]);
        until(stage, async || {
            let answer = api.get(&path).await;
            let wanted = (answer.status == 200).then(|| answer.json()["data"].clone());
            wanted.filter(|wanted| wanted["stage"] == stage)
        })
        .await
    }

    /// The owner's answer to what is wanted.
    async fn credential(&self, phone: &str, wanted: &Value) -> Value {
        let body = json!({"options": wanted["options"]});
        let path = format!("/admin/phones/{phone}/passkey");
        let credential = self.place.stack.phones.post(&path, &body).await;
        json!({"credential": credential})
    }

    async fn answers(&mut self, api: &Caller, instance: &[&str], phone: &str) -> Result<(), Stop> {
        self.wanted(api, instance, "assertion").await;
        let route = "GET /api/instances/{instance}/passkey";
        let wanted = self.call(api, route, instance, None).await?;
        let body = self.credential(phone, &wanted).await;
        let route = "POST /api/instances/{instance}/passkey";
        self.call(api, route, instance, Some(body)).await?;
        self.wanted(api, instance, "confirmation").await;
        let route = "POST /api/instances/{instance}/passkey/confirm";
        self.call(api, route, instance, None).await?;
        Ok(())
    }

    async fn answers_by_link(&mut self, api: &Caller, instance: &[&str], phone: &str) -> Result<(), Stop> {
        let route = "POST /api/instances/{instance}/pairing-link";
        let link = self.call(api, route, instance, None).await?;
        let url = link["url"].as_str().expect("a URL");
        let token = [url.rsplit('/').next().expect("a token")];
        let wanted = self.wanted(api, instance, "assertion").await;
        let body = self.credential(phone, &wanted).await;
        self.call(api, "POST /pair/{token}/passkey", &token, Some(body))
            .await?;
        self.wanted(api, instance, "confirmation").await;
        self.call(api, "POST /pair/{token}/passkey/confirm", &token, None)
            .await?;
        Ok(())
    }
}
