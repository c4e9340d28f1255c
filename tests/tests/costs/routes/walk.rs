//! One request to each route, in an order in which each succeeds. Each does what the policies of its function allow.

use std::collections::BTreeMap;

use functions::service;
use serde_json::{Value, json};
use shared::config::Function;
use shared::ids::InstanceId;
use testbed::caller::{Caller, PASSWORD};
use testbed::relay::meter::Charge;
use testbed::rights;
use tests::routes::{request, sends};

use super::of_request;
use super::office::{Office, text};

const EMAIL: &str = "ada@example.com";
const NEXT_PASSWORD: &str = "another horse battery";
const CONTACT: &str = "15550100008";
const INVITE: &str = "AbCdEfGhIjKlMnOpQrStUv";
const PHONE: &str = "15550100009";
const OTHER_PHONE: &str = "15550100002";

/// The function that has a route. What all have is looked at as the first one's.
fn function_of(route: &str) -> Function {
    let has = |function: &Function| {
        let operations = service::operations(*function);
        let mut routes = operations
            .iter()
            .map(|operation| format!("{} {}", operation.method(), operation.path()));
        routes.any(|of| of == route)
    };
    let found = Function::ALL.into_iter().find(has);
    found.unwrap_or_else(|| panic!("no function has {route}"))
}

struct Walk<'a> {
    office: &'a Office,
    rows: BTreeMap<String, Charge>,
}

/// What a request to each route costs.
pub async fn every_route(office: &Office) -> BTreeMap<String, Charge> {
    let mut walk = Walk {
        office,
        rows: BTreeMap::new(),
    };
    let administrator = office.administrator().await;
    walk.operations().await;
    let user = walk.accounts().await;
    walk.instances(&user).await;
    walk.subscription(&user).await;
    walk.administration(&administrator).await;
    walk.rows
}

impl Walk<'_> {
    /// A request that succeeds, at the route's own path with `ids` for its parameters.
    async fn call(&mut self, api: &Caller, route: &str, ids: &[&str], body: Option<Value>) -> Value {
        let (method, path) = request(route, ids);
        self.office.wait();
        let meter = &self.office.meter;
        meter.settled_bill().await;
        meter.take_calls();
        let answer = api.request(method, &path, body).await;
        assert!(answer.is_success(), "{route}: {}", answer.json());
        let charge = of_request(&meter.settled_bill().await);
        let denied = rights::denied(function_of(route).into(), &meter.take_calls());
        assert!(denied.is_empty(), "{route}: {denied:?}");
        self.rows.insert(route.to_owned(), charge);
        answer.json()["data"].clone()
    }

    async fn operations(&mut self) {
        let api = self.office.api.clone();
        for route in ["GET /health", "GET /ready", "GET /api/version"] {
            self.call(&api, route, &[], None).await;
        }
    }

    /// Everything about a user, who is logged in at the end.
    async fn accounts(&mut self) -> Caller {
        let api = self.office.api.clone();
        let token = |data: &Value| api.with_token(data["tokens"]["accessToken"].as_str().expect("a token"));
        let body = json!({"email": EMAIL, "password": PASSWORD, "name": "Ada"});
        let registered = self.call(&api, "POST /api/auth/register", &[], Some(body)).await;
        let user = token(&registered);
        self.call(&user, "POST /api/auth/resend-verification", &[], None)
            .await;
        let body = json!({"token": self.office.code(EMAIL).await});
        self.call(&user, "POST /api/auth/verify-email", &[], Some(body))
            .await;
        self.call(&user, "GET /api/auth/me", &[], None).await;
        let body = json!({"name": "Ada Lovelace"});
        self.call(&user, "PATCH /api/auth/me", &[], Some(body)).await;
        self.call(&user, "POST /api/auth/logout", &[], None).await;

        let body = json!({"email": EMAIL});
        self.call(&api, "POST /api/auth/forgot-password", &[], Some(body))
            .await;
        let body = json!({"token": self.office.code(EMAIL).await, "password": NEXT_PASSWORD});
        self.call(&api, "POST /api/auth/reset-password", &[], Some(body))
            .await;
        let body = json!({"email": EMAIL, "password": NEXT_PASSWORD});
        let login = self.call(&api, "POST /api/auth/login", &[], Some(body)).await;
        let body = json!({"refreshToken": login["tokens"]["refreshToken"]});
        let refreshed = self.call(&api, "POST /api/auth/refresh", &[], Some(body)).await;
        let body = json!({"currentPassword": NEXT_PASSWORD, "newPassword": PASSWORD});
        let route = "POST /api/auth/change-password";
        let changed = self.call(&token(&refreshed), route, &[], Some(body)).await;
        token(&changed)
    }

    async fn instances(&mut self, user: &Caller) {
        let (instance, key) = self.office.paired(user).await;
        // The first message makes the instance's data key.
        key.send("text", text()).await.data(202);
        self.messages(user, instance, &key).await;
        let contact = [CONTACT];
        let body = json!({"contacts": contact});
        self.call(&key, "POST /api/contacts/check", &[], Some(body)).await;
        self.call(&key, "GET /api/contacts/{contact}", &contact, None)
            .await;
        for method in ["POST", "DELETE"] {
            let route = format!("{method} /api/contacts/{{contact}}/block");
            self.call(&key, &route, &contact, None).await;
        }
        self.groups(&key).await;
        self.call(&key, "GET /api/contacts/{contact}/picture", &contact, None)
            .await;
        for route in ["GET /api/contacts", "GET /api/contacts/blocked"] {
            self.call(&key, route, &[], None).await;
        }
        self.chats(&key).await;
        self.call(&key, "GET /api/instance/info", &[], None).await;
        self.call(&key, "GET /api/stats", &[], None).await;

        let all = json!({"scopes": ["webhook:read", "webhook:write"]});
        let keeper = user.key_with(&instance.to_string(), all).await;
        // The process is to have met the key.
        keeper.get("/api/webhook").await;
        self.webhook(user, Some(instance), instance).await;
        self.webhook(&keeper, None, instance).await;
        let instance = instance.to_string();
        let main = [instance.as_str()];
        for route in [
            "GET /api/instances",
            "GET /api/instances/{instance}",
            "GET /api/instances/{instance}/status",
            "GET /api/instances/{instance}/stats",
            "GET /api/instances/{instance}/messages",
        ] {
            self.call(user, route, &main, None).await;
        }
        let route = "POST /api/instances/{instance}/keys";
        let key = self
            .call(user, route, &main, Some(json!({"name": "a key"})))
            .await;
        let key = [instance.as_str(), key["id"].as_str().expect("an id")];
        self.call(user, "GET /api/instances/{instance}/keys", &main, None)
            .await;
        let body = json!({"name": "the key"});
        self.call(
            user,
            "PATCH /api/instances/{instance}/keys/{key}",
            &key,
            Some(body),
        )
        .await;
        let body = json!({"graceSeconds": 60});
        let route = "POST /api/instances/{instance}/keys/{key}/rotate";
        self.call(user, route, &key, Some(body)).await;
        self.call(user, "DELETE /api/instances/{instance}/keys/{key}", &key, None)
            .await;

        let body = json!({"name": "support"});
        let other = self.call(user, "POST /api/instances", &[], Some(body)).await;
        let other = [other["id"].as_str().expect("an id")];
        let body = json!({"metadata": {"team": "support"}});
        self.call(user, "PUT /api/instances/{instance}", &other, Some(body))
            .await;
        self.call(user, "POST /api/instances/{instance}/connect", &other, None)
            .await;
        self.office.shows_qr(other[0].parse().expect("an id")).await;
        self.call(user, "GET /api/instances/{instance}/qr", &other, None)
            .await;
        self.office
            .shows_pairing_code(other[0].parse().expect("an id"), PHONE)
            .await;
        let route = "POST /api/instances/{instance}/pairing-code";
        self.call(user, route, &other, Some(json!({"phone": PHONE})))
            .await;
        self.by_link(user, &other).await;
        for route in [
            "POST /api/instances/{instance}/restart",
            "POST /api/instances/{instance}/disconnect",
            "POST /api/instances/{instance}/logout",
            "DELETE /api/instances/{instance}",
        ] {
            self.call(user, route, &main, None).await;
        }
    }

    /// What the pairing page asks of an instance that shows a pairing code.
    async fn by_link(&mut self, user: &Caller, instance: &[&str]) {
        let nobody = self.office.api.clone();
        let route = "POST /api/instances/{instance}/pairing-link";
        let link = self.call(user, route, instance, None).await;
        let url = link["url"].as_str().expect("a URL");
        let token = [url.rsplit('/').next().expect("a token")];
        self.call(&nobody, "GET /pair/{token}/state", &token, None).await;
        let phone = json!({"phone": PHONE});
        self.call(&nobody, "POST /pair/{token}/code", &token, Some(phone))
            .await;
        self.call(&nobody, "POST /pair/{token}/connect", &token, None)
            .await;
        let (by_user, by_link) = ("/api/instances/{instance}/passkey", "/pair/{token}/passkey");
        let id = instance[0].parse().expect("an id");
        for (caller, route, ids) in [(user, by_user, instance), (&nobody, by_link, &token[..])] {
            let credential = self.office.wants_passkey(id).await;
            if route == by_user {
                self.call(caller, &format!("GET {route}"), ids, None).await;
            }
            let body = json!({"credential": credential});
            self.call(caller, &format!("POST {route}"), ids, Some(body)).await;
            let code = self.office.wants_confirmation(id).await;
            let route = format!("POST {route}/confirm");
            self.call(caller, &route, ids, Some(json!({"code": code}))).await;
        }
    }

    async fn messages(&mut self, user: &Caller, instance: InstanceId, key: &Caller) {
        let mut sent = Value::Null;
        for send in sends() {
            let body = send.to(OTHER_PHONE);
            let accepted = self.call(key, &send.route, &[], Some(body)).await;
            if send.route.ends_with("/text") {
                sent = accepted;
            }
        }
        let sent = [sent["id"].as_str().expect("an id")];
        self.call(key, "GET /api/messages", &[], None).await;
        for route in [
            "GET /api/messages/{message}",
            "GET /api/messages/{message}/timeline",
        ] {
            self.call(key, route, &sent, None).await;
        }
        let file = json!({"fileName": "photo.jpg", "mimeType": "image/jpeg", "size": 845_861});
        let media = self.call(key, "POST /api/media", &[], Some(file)).await;
        let media = [media["id"].as_str().expect("an id")];
        self.call(key, "DELETE /api/media/{media}", &media, None).await;
        let came = self.office.file_came(instance).await.to_string();
        self.call(key, "GET /api/media/{media}", &[&came], None).await;
        self.office.keeps(user, instance, sent[0]).await;
        let forward = json!({"to": OTHER_PHONE, "messageId": sent[0]});
        self.call(key, "POST /api/messages/forward", &[], Some(forward))
            .await;
        let route = "POST /api/messages/{message}/reaction";
        self.call(key, route, &sent, Some(json!({"emoji": "👍"}))).await;
        let edited = key.send("text", text()).await.data(202);
        let edited = [edited["id"].as_str().expect("an id")];
        let route = "PATCH /api/messages/{message}";
        self.call(key, route, &edited, Some(json!({"text": "Hello again"})))
            .await;
        self.call(key, "DELETE /api/messages/{message}", &edited, None)
            .await;
        let body = json!({"messages": [{"kind": "text", "to": OTHER_PHONE, "text": "one of many"}]});
        self.call(key, "POST /api/messages/bulk", &[], Some(body)).await;
    }

    async fn groups(&mut self, key: &Caller) {
        let people = json!({"participants": [CONTACT]});
        let body = json!({"subject": "Engines", "participants": [CONTACT]});
        let group = self.call(key, "POST /api/groups", &[], Some(body)).await;
        let group = [group["id"].as_str().expect("an id")];
        let decision = json!({"action": "approve", "participants": [CONTACT]});
        for (route, body) in [
            ("GET /api/groups", None),
            ("GET /api/groups/{group}", None),
            ("PATCH /api/groups/{group}", Some(json!({"announce": true}))),
            ("POST /api/groups/{group}/participants", Some(people.clone())),
            ("POST /api/groups/{group}/promote", Some(people.clone())),
            ("POST /api/groups/{group}/demote", Some(people.clone())),
            ("DELETE /api/groups/{group}/participants", Some(people)),
            ("PUT /api/groups/{group}/picture", Some(json!({"base64": "/9j/"}))),
            ("DELETE /api/groups/{group}/picture", None),
            ("GET /api/groups/{group}/invite-link", None),
            ("DELETE /api/groups/{group}/invite-link", None),
            ("GET /api/groups/{group}/requests", None),
            ("POST /api/groups/{group}/requests", Some(decision)),
            ("POST /api/groups/join", Some(json!({"invite": INVITE}))),
            ("POST /api/groups/{group}/leave", None),
        ] {
            let ids: &[&str] = if route.contains('{') { &group } else { &[] };
            self.call(key, route, ids, body).await;
        }
    }

    async fn chats(&mut self, key: &Caller) {
        let chat = [CONTACT];
        for activity in ["typing", "recording", "paused", "read"] {
            let route = format!("POST /api/chats/{{chat}}/{activity}");
            self.call(key, &route, &chat, None).await;
        }
        for setting in ["archive", "pin", "mute"] {
            for method in ["POST", "DELETE"] {
                let route = format!("{method} /api/chats/{{chat}}/{setting}");
                self.call(key, &route, &chat, None).await;
            }
        }
        let body = json!({"presence": "available"});
        self.call(key, "PUT /api/presence", &[], Some(body)).await;
    }

    /// The webhook of an instance, from its beginning to its end: by a user, who names it, or by a key of it.
    async fn webhook(&mut self, caller: &Caller, named: Option<InstanceId>, instance: InstanceId) {
        let named = named.map(|instance| instance.to_string());
        let in_path: Vec<&str> = named.as_deref().into_iter().collect();
        let webhook = match &named {
            Some(_) => "/api/instances/{instance}/webhook",
            None => "/api/webhook",
        };
        let hook = json!({"url": "https://example.com/waxwing", "events": ["*"]});
        let from = json!({"from": "2026-01-01T00:00:00Z"});
        self.call(caller, &format!("PUT {webhook}"), &in_path, Some(hook.clone()))
            .await;
        let delivery = self.office.delivered(instance).await.to_string();
        for (route, body) in [
            (format!("POST {webhook}"), Some(hook)),
            (format!("GET {webhook}"), None),
            (format!("POST {webhook}/test"), None),
            (format!("POST {webhook}/rotate-secret"), None),
            (format!("GET {webhook}/deliveries"), None),
            (format!("POST {webhook}/replay"), Some(from)),
        ] {
            self.call(caller, &route, &in_path, body).await;
        }
        let mut one = in_path.clone();
        one.push(&delivery);
        let route = format!("POST {webhook}/deliveries/{{delivery}}/replay");
        self.call(caller, &route, &one, None).await;
        self.call(caller, &format!("DELETE {webhook}"), &in_path, None)
            .await;
    }

    async fn subscription(&mut self, user: &Caller) {
        self.call(user, "GET /api/subscription", &[], None).await;
        self.call(user, "GET /api/subscription/usage", &[], None).await;
        let body = json!({"email": "grace@example.com", "name": "Grace"});
        let member = self
            .call(user, "POST /api/subscription/members", &[], Some(body))
            .await;
        let member = [member["id"].as_str().expect("an id")];
        self.call(user, "GET /api/subscription/members", &[], None).await;
        self.call(user, "DELETE /api/subscription/members/{user}", &member, None)
            .await;
        self.call(user, "GET /api/audit-logs", &[], None).await;
    }

    async fn administration(&mut self, administrator: &Caller) {
        for route in ["GET /api/admin/overview", "GET /api/admin/workers"] {
            self.call(administrator, route, &[], None).await;
        }
        let list = self
            .call(administrator, "GET /api/subscriptions", &[], None)
            .await;
        // The newest is the other user's.
        let subscription = list[0]["id"].as_str().expect("an id");
        let one = [subscription];
        self.call(administrator, "GET /api/subscriptions/{subscription}", &one, None)
            .await;
        let body = json!({"tier": "PRO"});
        let route = "PATCH /api/subscriptions/{subscription}";
        self.call(administrator, route, &one, Some(body)).await;
        let body = json!({
            "email": "alan@example.com", "password": PASSWORD, "name": "Alan", "role": "USER",
            "subscriptionId": list[0]["id"],
        });
        let user = self.call(administrator, "POST /api/users", &[], Some(body)).await;
        let user = [user["id"].as_str().expect("an id")];
        self.call(administrator, "GET /api/users", &[], None).await;
        self.call(administrator, "GET /api/users/{user}", &user, None)
            .await;
        let body = json!({"name": "Alan Turing"});
        self.call(administrator, "PATCH /api/users/{user}", &user, Some(body))
            .await;
        self.call(administrator, "DELETE /api/users/{user}", &user, None)
            .await;
    }
}
