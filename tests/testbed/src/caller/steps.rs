//! What callers do in many tests.

use std::ops::Deref;

use serde_json::{Value, json};

use super::Caller;
use crate::wait::until;

/// The password that users are registered with.
pub const PASSWORD: &str = "correct horse battery staple";

/// A user who is logged in.
#[derive(Debug, Clone)]
pub struct User {
    caller: Caller,
    /// The access token.
    pub token: String,
    /// What the next access token is had for.
    pub refresh_token: String,
    /// The id of the user's subscription.
    pub subscription: String,
}

/// A user calls with its access token.
impl Deref for User {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl From<User> for Caller {
    fn from(user: User) -> Self {
        user.caller
    }
}

impl Caller {
    /// Registers a user, with a subscription of its own.
    pub async fn register(&self, email: &str) -> User {
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada"});
        let data = self.post("/api/auth/register", body).await.data(201);
        self.user(&data, &data["subscription"]["id"])
    }

    /// Logs a user in.
    pub async fn login(&self, email: &str) -> User {
        let body = json!({"email": email, "password": PASSWORD});
        let data = self.post("/api/auth/login", body).await.data(200);
        self.user(&data, &data["user"]["subscriptionId"])
    }

    /// Asks for a mail with a code for a new password.
    pub async fn forget_password(&self, email: &str) {
        let asked = self
            .post("/api/auth/forgot-password", json!({"email": email}))
            .await;
        asked.data(202);
    }

    fn user(&self, data: &Value, subscription: &Value) -> User {
        let token = text(&data["tokens"]["accessToken"]);
        User {
            caller: self.with_token(&token),
            token,
            refresh_token: text(&data["tokens"]["refreshToken"]),
            subscription: text(subscription),
        }
    }

    /// Makes an instance: its id.
    pub async fn instance(&self, name: &str) -> String {
        let made = self.post("/api/instances", json!({"name": name})).await;
        text(&made.data(201)["id"])
    }

    /// Makes a key for an instance: a caller with it.
    pub async fn key(&self, instance: &str) -> Self {
        self.key_with(instance, json!({})).await
    }

    /// The same with more members of the request than a name.
    pub async fn key_with(&self, instance: &str, more: Value) -> Self {
        let mut body = json!({"name": "a key"});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let path = format!("/api/instances/{instance}/keys");
        let made = self.post(&path, body).await.data(201);
        self.with_token(&text(&made["key"]))
    }

    /// Sends a text: the message's id.
    pub async fn send_text(&self, to: &str, text: &str) -> String {
        let sent = self.send("text", json!({"to": to, "text": text})).await;
        let data = sent.data(202);
        assert_eq!(data["status"], "queued");
        self::text(&data["id"])
    }

    /// Waits until an instance has this status.
    pub async fn until_status(&self, instance: &str, wanted: &str) -> Value {
        let path = format!("/api/instances/{instance}/status");
        self.until_data(&format!("{wanted} of {instance}"), &path, |data| {
            data["status"] == wanted
        })
        .await
    }

    /// Waits until a message has this state.
    pub async fn until_state(&self, message: &str, wanted: &str) -> Value {
        let path = format!("/api/messages/{message}");
        self.until_data(&format!("{wanted} of {message}"), &path, |data| {
            data["status"] == wanted
        })
        .await
    }

    /// What `GET` answers at this path, once `enough` says so.
    async fn until_data(&self, what: &str, path: &str, enough: impl Fn(&Value) -> bool) -> Value {
        until(what, async || {
            let data = self.get(path).await.data(200);
            enough(&data).then_some(data)
        })
        .await
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
