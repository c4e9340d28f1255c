//! What users do: scenes of requests that build on each other, so that each succeeds.

use serde_json::{Value, json};
use testbed::caller::{Caller, PASSWORD};
use tests::flow::{Paired, unique};
use tests::routes::sends;

use crate::user::{Stop, User};

/// A GIF of one pixel.
const PICTURE: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
const NEXT_PASSWORD: &str = "another horse battery";

/// The routes of a webhook, in the order in which its scene calls them.
const HOOKS_OF_USERS: [&str; 9] = [
    "PUT /api/instances/{instance}/webhook",
    "POST /api/instances/{instance}/webhook",
    "GET /api/instances/{instance}/webhook",
    "POST /api/instances/{instance}/webhook/rotate-secret",
    "POST /api/instances/{instance}/webhook/test",
    "POST /api/instances/{instance}/webhook/replay",
    "GET /api/instances/{instance}/webhook/deliveries",
    "POST /api/instances/{instance}/webhook/deliveries/{delivery}/replay",
    "DELETE /api/instances/{instance}/webhook",
];

/// The same for programs.
const HOOKS_OF_PROGRAMS: [&str; 9] = [
    "PUT /api/webhook",
    "POST /api/webhook",
    "GET /api/webhook",
    "POST /api/webhook/rotate-secret",
    "POST /api/webhook/test",
    "POST /api/webhook/replay",
    "GET /api/webhook/deliveries",
    "POST /api/webhook/deliveries/{delivery}/replay",
    "DELETE /api/webhook",
];

impl User {
    /// Plays scenes until the time is over. Mostly users look, and programs send.
    pub async fn work(mut self) {
        loop {
            let played = match self.random(40) {
                0..=15 => self.looks().await,
                16..=27 => self.sends().await,
                28..=30 => self.handles_keys().await,
                31 => self.handles_a_webhook().await,
                32..=34 => self.handles_members().await,
                35..=37 => self.comes_and_goes().await,
                38 if self.random(4) == 0 => self.links_with_a_passkey().await,
                38 => self.handles_an_instance().await,
                _ => self.administers().await,
            };
            if played == Err(Stop::Over) {
                return;
            }
        }
    }

    async fn looks(&mut self) -> Result<(), Stop> {
        let (api, instance) = (self.api.clone(), self.instance.clone());
        let mut routes = [
            "GET /api/auth/me",
            "GET /api/subscription",
            "GET /api/instances",
            "GET /api/instances/{instance}",
            "GET /api/instances/{instance}/status",
            "GET /api/instances/{instance}/stats",
            "GET /api/instances/{instance}/messages",
            "GET /api/instances/{instance}/keys",
            "GET /api/subscription/usage",
            "GET /api/subscription/members",
            "GET /api/audit-logs",
            "GET /health",
            "GET /ready",
            "GET /api/version",
        ];
        // A thousand users do not look at the same page at the same time.
        let first = self.random(routes.len());
        routes.rotate_left(first);
        for route in routes {
            self.call(&api, route, &[&instance], None).await?;
        }
        Ok(())
    }

    async fn sends(&mut self) -> Result<(), Stop> {
        let number = self.random(self.place.senders.len());
        let place = self.place.clone();
        let (sender, came) = (&place.senders[number], place.came[number].as_str());
        let kinds = sends();
        let kind = &kinds[self.random(kinds.len())];
        let body = kind.to(&sender.other);
        let sent = self.call(&sender.key, &kind.route, &[], Some(body)).await?;
        let message = [id(&sent)];
        for route in [
            "GET /api/messages",
            "GET /api/messages/{message}",
            "GET /api/messages/{message}/timeline",
        ] {
            self.call(&sender.key, route, &message, None).await?;
        }
        if self.random(10) == 0 {
            self.changes_a_message(sender).await?;
        }
        let text = json!({"kind": "text", "to": sender.other, "text": "one of two"});
        let body = json!({"messages": [text, text]});
        self.call(&sender.key, "POST /api/messages/bulk", &[], Some(body))
            .await?;
        self.call(&sender.key, "GET /api/instance/info", &[], None)
            .await?;
        self.call(&sender.key, "GET /api/stats", &[], None).await?;
        let file = json!({"fileName": "photo.jpg", "mimeType": "image/jpeg", "size": 845_861});
        let media = self.call(&sender.key, "POST /api/media", &[], Some(file)).await?;
        self.call(&sender.key, "DELETE /api/media/{media}", &[id(&media)], None)
            .await?;
        let file = came.replace("msg_", "med_");
        self.call(&sender.key, "GET /api/media/{media}", &[&file], None)
            .await?;
        let body = json!({"to": sender.other, "messageId": came});
        self.call(&sender.key, "POST /api/messages/forward", &[], Some(body))
            .await?;
        // Mostly answered from memory.
        let body = json!({"contacts": [sender.other]});
        self.call(&sender.key, "POST /api/contacts/check", &[], Some(body))
            .await?;
        if self.random(10) == 0 {
            let contact = [sender.other.as_str()];
            for route in [
                "GET /api/contacts/{contact}",
                "GET /api/contacts/{contact}/picture",
                "POST /api/contacts/{contact}/block",
                "DELETE /api/contacts/{contact}/block",
                "POST /api/chats/{chat}/typing",
                "POST /api/chats/{chat}/recording",
                "POST /api/chats/{chat}/paused",
                "POST /api/chats/{chat}/read",
                "POST /api/chats/{chat}/archive",
                "DELETE /api/chats/{chat}/archive",
                "POST /api/chats/{chat}/pin",
                "DELETE /api/chats/{chat}/pin",
                "POST /api/chats/{chat}/mute",
                "DELETE /api/chats/{chat}/mute",
            ] {
                self.call(&sender.key, route, &contact, None).await?;
            }
            self.meets(&sender.key, &sender.other).await?;
            for route in ["GET /api/contacts", "GET /api/contacts/blocked"] {
                self.call(&sender.key, route, &[], None).await?;
            }
            let body = json!({"presence": "unavailable"});
            self.call(&sender.key, "PUT /api/presence", &[], Some(body))
                .await?;
        }
        Ok(())
    }

    /// A group from its beginning to its end.
    async fn meets(&mut self, key: &Caller, other: &str) -> Result<(), Stop> {
        let people = json!({"participants": [other]});
        let body = json!({"subject": "Engines", "participants": [other]});
        let group = self.call(key, "POST /api/groups", &[], Some(body)).await?;
        let group = [id(&group)];
        let decision = json!({"action": "approve", "participants": [other]});
        for (route, body) in [
            ("GET /api/groups", None),
            ("GET /api/groups/{group}", None),
            ("PATCH /api/groups/{group}", Some(json!({"announce": true}))),
            ("POST /api/groups/{group}/promote", Some(people.clone())),
            ("POST /api/groups/{group}/demote", Some(people.clone())),
            ("DELETE /api/groups/{group}/participants", Some(people.clone())),
            ("POST /api/groups/{group}/participants", Some(people)),
            (
                "PUT /api/groups/{group}/picture",
                Some(json!({"base64": PICTURE})),
            ),
            ("DELETE /api/groups/{group}/picture", None),
            ("GET /api/groups/{group}/requests", None),
            ("POST /api/groups/{group}/requests", Some(decision)),
            ("DELETE /api/groups/{group}/invite-link", None),
        ] {
            self.call(key, route, &group, body).await?;
        }
        let invite = self
            .call(key, "GET /api/groups/{group}/invite-link", &group, None)
            .await?;
        self.call(key, "POST /api/groups/{group}/leave", &group, None)
            .await?;
        // The group goes on with whoever is left in it.
        let body = json!({"invite": invite["code"]});
        self.call(key, "POST /api/groups/join", &[], Some(body)).await?;
        self.call(key, "POST /api/groups/{group}/leave", &group, None)
            .await?;
        Ok(())
    }

    /// A text, and what is said about it.
    async fn changes_a_message(&mut self, sender: &Paired) -> Result<(), Stop> {
        let body = json!({"to": sender.other, "text": "Hello"});
        let sent = self
            .call(&sender.key, "POST /api/messages/text", &[], Some(body))
            .await?;
        let message = [id(&sent)];
        let route = "POST /api/messages/{message}/reaction";
        self.call(&sender.key, route, &message, Some(json!({"emoji": "👍"})))
            .await?;
        let route = "PATCH /api/messages/{message}";
        self.call(&sender.key, route, &message, Some(json!({"text": "Hello again"})))
            .await?;
        self.call(&sender.key, "DELETE /api/messages/{message}", &message, None)
            .await?;
        Ok(())
    }

    async fn handles_keys(&mut self) -> Result<(), Stop> {
        let (api, instance) = (self.api.clone(), self.instance.clone());
        let body = json!({"name": "a key"});
        let route = "POST /api/instances/{instance}/keys";
        let key = self.call(&api, route, &[&instance], Some(body)).await?;
        let key = [instance.as_str(), id(&key)];
        let body = json!({"name": "the key"});
        let route = "PATCH /api/instances/{instance}/keys/{key}";
        self.call(&api, route, &key, Some(body)).await?;
        let body = json!({"graceSeconds": 0});
        let route = "POST /api/instances/{instance}/keys/{key}/rotate";
        self.call(&api, route, &key, Some(body)).await?;
        let route = "DELETE /api/instances/{instance}/keys/{key}";
        self.call(&api, route, &key, None).await?;
        Ok(())
    }

    /// A webhook from its beginning to its end, once by its owner and once by a program. Nobody listens at its URL, so a test
    /// event fails, and can be sent again.
    async fn handles_a_webhook(&mut self) -> Result<(), Stop> {
        let api = self.api.clone();
        let body = json!({"name": format!("i{}", unique().replace("req_", ""))});
        let made = self.call(&api, "POST /api/instances", &[], Some(body)).await?;
        let instance = id(&made).to_owned();
        let scopes = json!({"name": "keeper", "scopes": ["webhook:read", "webhook:write"]});
        let route = "POST /api/instances/{instance}/keys";
        let keeper = self.call(&api, route, &[&instance], Some(scopes)).await?;
        let keeper = api.with_token(keeper["key"].as_str().expect("a secret"));
        self.keeps_a_webhook(&api, &HOOKS_OF_USERS, &[&instance]).await?;
        self.keeps_a_webhook(&keeper, &HOOKS_OF_PROGRAMS, &[]).await?;
        self.call(&api, "DELETE /api/instances/{instance}", &[&instance], None)
            .await?;
        Ok(())
    }

    async fn keeps_a_webhook(
        &mut self,
        caller: &Caller,
        routes: &[&'static str; 9],
        names: &[&str],
    ) -> Result<(), Stop> {
        let [
            put,
            post,
            get,
            rotate,
            test,
            replay,
            deliveries,
            replay_one,
            delete,
        ] = *routes;
        let hook = json!({"url": "http://127.0.0.1:9999/hook", "events": ["webhook.test"]});
        let from = json!({"from": "2026-01-01T00:00:00Z"});
        for (route, body) in [
            (put, Some(hook.clone())),
            (post, Some(hook)),
            (get, None),
            (rotate, None),
            (test, None),
            (replay, Some(from)),
        ] {
            self.call(caller, route, names, body).await?;
        }
        let log = self.call(caller, deliveries, names, None).await?;
        let kept = |delivery: &&Value| !delivery["replayableUntil"].is_null();
        if let Some(delivery) = log.as_array().and_then(|log| log.iter().find(kept)) {
            let mut one = names.to_vec();
            one.push(id(delivery));
            self.call(caller, replay_one, &one, None).await?;
        }
        self.call(caller, delete, names, None).await?;
        Ok(())
    }

    async fn handles_members(&mut self) -> Result<(), Stop> {
        let api = self.api.clone();
        let body = json!({"email": format!("{}@example.com", unique()), "name": "Grace"});
        let member = self
            .call(&api, "POST /api/subscription/members", &[], Some(body))
            .await?;
        let member = [id(&member)];
        let route = "DELETE /api/subscription/members/{user}";
        self.call(&api, route, &member, None).await?;
        Ok(())
    }

    /// A new user, from its registration to its logout.
    async fn comes_and_goes(&mut self) -> Result<(), Stop> {
        let (nobody, place) = (self.place.stack.api.clone(), self.place.clone());
        let token =
            |data: &Value| nobody.with_token(data["tokens"]["accessToken"].as_str().expect("a token"));
        let email = format!("{}@example.com", unique());
        let body = json!({"email": email, "password": PASSWORD, "name": "Alan"});
        let data = self
            .call(&nobody, "POST /api/auth/register", &[], Some(body))
            .await?;
        let user = token(&data);
        self.call(&user, "POST /api/auth/resend-verification", &[], None)
            .await?;
        if let Some(code) = place.stack.code(&email).await {
            let body = json!({"token": code});
            self.call(&user, "POST /api/auth/verify-email", &[], Some(body))
                .await?;
        }
        let body = json!({"name": "Alan Turing"});
        self.call(&user, "PATCH /api/auth/me", &[], Some(body)).await?;
        let body = json!({"email": email});
        self.call(&nobody, "POST /api/auth/forgot-password", &[], Some(body))
            .await?;
        let mut password = PASSWORD;
        if let Some(code) = place.stack.code(&email).await {
            password = NEXT_PASSWORD;
            let body = json!({"token": code, "password": password});
            self.call(&nobody, "POST /api/auth/reset-password", &[], Some(body))
                .await?;
        }
        let body = json!({"email": email, "password": password});
        let login = self
            .call(&nobody, "POST /api/auth/login", &[], Some(body))
            .await?;
        let body = json!({"refreshToken": login["tokens"]["refreshToken"]});
        let data = self
            .call(&nobody, "POST /api/auth/refresh", &[], Some(body))
            .await?;
        let body = json!({"currentPassword": password, "newPassword": "a last horse battery"});
        let route = "POST /api/auth/change-password";
        let data = self.call(&token(&data), route, &[], Some(body)).await?;
        self.call(&token(&data), "POST /api/auth/logout", &[], None)
            .await?;
        Ok(())
    }

    /// An instance that is connected until it shows a QR code, which nobody scans.
    async fn handles_an_instance(&mut self) -> Result<(), Stop> {
        let api = self.api.clone();
        let body = json!({"name": format!("i{}", unique().replace("req_", ""))});
        let made = self.call(&api, "POST /api/instances", &[], Some(body)).await?;
        let instance = [id(&made)];
        let body = json!({"metadata": {"team": "sales"}});
        self.call(&api, "PUT /api/instances/{instance}", &instance, Some(body))
            .await?;
        for route in [
            "POST /api/instances/{instance}/connect",
            "GET /api/instances/{instance}/qr",
        ] {
            self.call(&api, route, &instance, None).await?;
        }
        let sender = self.random(self.place.senders.len());
        let body = json!({"phone": self.place.senders[sender].other});
        self.call(
            &api,
            "POST /api/instances/{instance}/pairing-code",
            &instance,
            Some(body),
        )
        .await?;
        self.pairs_by_link(&instance).await?;
        for route in [
            "POST /api/instances/{instance}/restart",
            "POST /api/instances/{instance}/disconnect",
            "POST /api/instances/{instance}/logout",
            "DELETE /api/instances/{instance}",
        ] {
            self.call(&api, route, &instance, None).await?;
        }
        Ok(())
    }

    /// The pairing page, which shows the pairing code that waits, and another QR code.
    async fn pairs_by_link(&mut self, instance: &[&str]) -> Result<(), Stop> {
        let api = self.api.clone();
        let route = "POST /api/instances/{instance}/pairing-link";
        let link = self.call(&api, route, instance, None).await?;
        let url = link["url"].as_str().expect("a URL");
        let token = [url.rsplit('/').next().expect("a token")];
        let phone = self.random(self.place.senders.len());
        let phone = json!({"phone": self.place.senders[phone].other});
        self.call(&api, "GET /pair/{token}/state", &token, None).await?;
        self.call(&api, "POST /pair/{token}/code", &token, Some(phone))
            .await?;
        self.call(&api, "POST /pair/{token}/connect", &token, None)
            .await?;
        Ok(())
    }

    async fn administers(&mut self) -> Result<(), Stop> {
        let api = self.place.administrator.clone();
        for route in ["GET /api/admin/overview", "GET /api/admin/workers"] {
            self.call(&api, route, &[], None).await?;
        }
        let list = self.call(&api, "GET /api/subscriptions", &[], None).await?;
        let subscription = [id(&list[0])];
        let route = "GET /api/subscriptions/{subscription}";
        self.call(&api, route, &subscription, None).await?;
        let route = "PATCH /api/subscriptions/{subscription}";
        self.call(&api, route, &subscription, Some(json!({"tier": "PRO"})))
            .await?;
        let body = json!({
            "email": format!("{}@example.com", unique()), "password": PASSWORD, "name": "Mary",
            "role": "USER", "subscriptionId": subscription[0],
        });
        let user = self.call(&api, "POST /api/users", &[], Some(body)).await?;
        let user = [id(&user)];
        self.call(&api, "GET /api/users", &[], None).await?;
        self.call(&api, "GET /api/users/{user}", &user, None).await?;
        let body = json!({"name": "Mary Ann"});
        self.call(&api, "PATCH /api/users/{user}", &user, Some(body))
            .await?;
        self.call(&api, "DELETE /api/users/{user}", &user, None).await?;
        Ok(())
    }
}

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}
