//! The scene of an account that wants a passkey: its instance is linked once by its user, once by a link.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::caller::Caller;
use tests::flow::unique;
use tokio::time::Instant;

use crate::user::{Stop, User};

/// How long a step of linking may take.
const STEP_DEADLINE: Duration = Duration::from_mins(1);

/// The pause between two looks for it.
const LOOK: Duration = Duration::from_millis(200);

/// What a path answers, once it is there and of this stage.
///
/// # Panics
/// If that takes longer than `STEP_DEADLINE`.
async fn polled(api: &Caller, path: &str, stage: Option<&str>) -> Value {
    let deadline = Instant::now() + STEP_DEADLINE;
    loop {
        let answer = api.get(path).await;
        if answer.status == 200 {
            let told = answer.json()["data"].clone();
            if stage.is_none_or(|stage| told["stage"] == stage) {
                return told;
            }
        }
        assert!(Instant::now() < deadline, "{path} did not answer in time");
        tokio::time::sleep(LOOK).await;
    }
}

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
        let qr = polled(api, &path, None).await;
        let qr = qr["code"].as_str().expect("a text").to_owned();
        let phones = self.place.stack.phones.clone();
        let (phone, _) = phones.create_with_passkey("Owner").await;
        let number = phone.clone();
        tokio::spawn(async move { phones.scan(&number, &qr).await });
        Ok(phone)
    }

    /// What is wanted of the owner, once it is this.
    async fn wanted(&self, api: &Caller, instance: &[&str], stage: &str) -> Value {
        polled(
            api,
            &format!("/api/instances/{}/passkey", instance[0]),
            Some(stage),
        )
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
        let wanted = self.wanted(api, instance, "confirmation").await;
        let route = "POST /api/instances/{instance}/passkey/confirm";
        let compared = json!({"code": wanted["code"]});
        self.call(api, route, instance, Some(compared)).await?;
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
        let wanted = self.wanted(api, instance, "confirmation").await;
        let compared = json!({"code": wanted["code"]});
        self.call(api, "POST /pair/{token}/passkey/confirm", &token, Some(compared))
            .await?;
        Ok(())
    }
}
