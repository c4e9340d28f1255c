//! The main job: register, pair, send, delivered, read; and a message back.

use serde_json::{Value, json};
use testbed::caller::{Bases, Caller};
use testbed::wait::until;

use crate::phones::Phones;

/// An instance that is paired with a phone, and a phone to write to.
#[derive(Debug, Clone)]
pub struct Paired {
    /// A client with the owner's access token.
    pub user: Caller,
    /// A client with the instance's key.
    pub key: Caller,
    /// The instance's name.
    pub instance: String,
    /// The number of the phone that the instance is linked to.
    pub own: String,
    /// The number of another person's phone.
    pub other: String,
}

impl Paired {
    /// The same instance through an API at another address: the stack was started again.
    #[must_use]
    pub fn at(self, bases: &Bases) -> Self {
        Self {
            user: self.user.at(bases),
            key: self.key.at(bases),
            ..self
        }
    }
}

/// Registers a user, creates an instance, and pairs it with a phone by QR.
pub async fn pair(api: &Bases, phones: &Phones) -> Paired {
    let unpaired = create(api, phones).await;
    link(&unpaired, phones).await;
    unpaired
}

/// Registers a user and creates an instance, with phones for it, and pairs nothing.
pub async fn create(api: &Bases, phones: &Phones) -> Paired {
    let api = Caller::over_http(api.clone());
    let user = Caller::from(api.register(&format!("{}@example.com", unique())).await);
    let instance = "main".to_owned();
    let created = user
        .post("/api/instances", json!({"name": "Main"}))
        .await
        .data(201);
    assert_eq!(created["name"], "main", "names are lower-cased");
    assert_eq!(created["network"], "sandbox");
    assert_eq!(created["status"], "DISCONNECTED");

    let key = user.key(&instance).await;
    let unpaired = key
        .post("/api/messages/text", json!({"to": "15550100001", "text": "x"}))
        .await;
    assert_eq!(unpaired.code(), "409 INSTANCE_NOT_CONNECTED");

    Paired {
        user,
        key,
        instance,
        own: phones.create("Owner").await,
        other: phones.create("Other").await,
    }
}

/// Pairs an instance that has no account with its phone.
pub async fn link(paired: &Paired, phones: &Phones) {
    let Paired {
        user, instance, own, ..
    } = paired;
    user.post(&format!("/api/instances/{instance}/connect"), ())
        .await
        .data(202);
    let qr = until("a QR code", async || {
        let answer = user.get(&format!("/api/instances/{instance}/qr")).await;
        (answer.status == 200).then(|| answer.data(200))
    })
    .await;
    assert_eq!(qr["maxAttempts"], 3);
    phones.scan(own, qr["code"].as_str().expect("a code")).await;
    let status = user.until_status(instance, "CONNECTED").await;
    assert_eq!(&status["phone"], own);
}

/// The instance's owner saves a person as a contact, and the instance hears of that.
pub async fn save_contact(paired: &Paired, phones: &Phones, person: &str) {
    let contact = json!({"action": "contact", "phone": person, "fullName": "A friend"});
    let app_state = format!("/admin/phones/{}/app-state", paired.own);
    let mut looks = 0;
    // A change that comes while the client takes in another waits for the next: its person saves once more.
    until("the contact", async || {
        if looks % 50 == 0 {
            phones.post(&app_state, &contact).await;
        }
        looks += 1;
        let listed = paired.key.get("/api/contacts").await.data(200);
        listed
            .as_array()
            .is_some_and(|listed| !listed.is_empty())
            .then_some(())
    })
    .await;
}

/// Sends a text through a paired instance and follows it until it is read, and a text back.
pub async fn exchange(paired: &Paired, phones: &Phones) {
    let text = format!("Hello {}", unique());
    let message = paired.key.send_text(&paired.other, &text).await;
    let shown = phones.until_shown(&paired.other, &text).await;
    assert_eq!(
        shown["from"], paired.own,
        "the phone decrypted it as from the instance's number"
    );
    assert_eq!(shown["copies"], 1);
    let delivered = paired.key.until_state(&message, "delivered").await;
    assert!(
        delivered["sentAt"].is_string() && delivered["deliveredAt"].is_string(),
        "{delivered}"
    );
    assert_eq!(delivered["to"]["phone"], paired.other);
    phones.read_all(&paired.other).await;
    paired.key.until_state(&message, "read").await;

    let before = received(&paired.key).await;
    phones.send(&paired.other, &paired.own, "And back").await;
    until("the received message's count", async || {
        (received(&paired.key).await > before).then_some(())
    })
    .await;
    // A state is stored first, and counted then.
    until("the counts of the sent message", async || {
        let totals = &stats(&paired.key).await["totals"];
        let is_counted = ["sent", "read"]
            .iter()
            .all(|state| totals[state].as_u64() >= Some(1));
        is_counted.then_some(())
    })
    .await;
}

async fn received(key: &Caller) -> u64 {
    stats(key).await["totals"]["received"].as_u64().expect("a count")
}

/// The instance's statistics.
pub async fn stats(key: &Caller) -> Value {
    key.get("/api/stats").await.data(200)
}

/// A text that no other test has.
pub fn unique() -> String {
    let id = shared::ids::RequestId::new(chrono::DateTime::UNIX_EPOCH);
    id.to_string().to_lowercase()
}
