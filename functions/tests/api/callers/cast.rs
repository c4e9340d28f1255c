//! Everyone who may come, in one deployment, and the things that they ask for.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use chrono::TimeDelta;
use serde_json::json;
use shared::auth::api_key::Scope;
use shared::auth::pairing_link::{LIFETIME, PairingToken};
use shared::auth::session::RefreshToken;
use shared::clock::Clock;
use shared::domain::account::Role;
use shared::domain::content::Said;
use shared::domain::instance::PairingRequest;
use shared::ids::InstanceId;
use shared::storage::instances::{LinkMade, PairingLink};

use super::table::{Route, Takes};
use crate::management::people::{self, administrator, member, text};
use testbed::asked::{Asked, willing};

use crate::support::{Answer, User, World, request};

/// Who calls: the columns of the table.
#[derive(Debug, Clone, Copy)]
pub enum Caller {
    Nobody,
    Garbage,
    ExpiredToken,
    OtherTenant,
    User,
    Administrator,
    Key,
    KeyOfAnotherInstance,
    KeyWithoutTheScope,
    RevokedKey,
    KeyFromElsewhere,
}

impl Caller {
    /// In the order of the table's columns.
    pub const ALL: [Self; 11] = [
        Self::Nobody,
        Self::Garbage,
        Self::ExpiredToken,
        Self::OtherTenant,
        Self::User,
        Self::Administrator,
        Self::Key,
        Self::KeyOfAnotherInstance,
        Self::KeyWithoutTheScope,
        Self::RevokedKey,
        Self::KeyFromElsewhere,
    ];
}

/// Ada owns the subscription; Bob is its member, whom routes about users are called about. Eve owns another, and so
/// does Root, the administrator. The instance `sales` is connected, `support` is not paired.
pub struct Cast {
    pub world: World,
    pub ada: User,
    pub eve: User,
    pub sales: InstanceId,
    /// The instance that is not paired.
    support: InstanceId,
    /// The key of `sales`, with all scopes.
    pub key: testbed::caller::Caller,
    root: User,
    bobs_id: String,
    spare_key: String,
    message: String,
    key_of_support: String,
    key_from_elsewhere: String,
    revoked_key: String,
    /// The daemon answers what it is asked.
    _asked: Asked,
    /// The keys of `sales` that were made, by their scopes: an instance has a hundred at most.
    keys: Mutex<Vec<(Vec<Scope>, String)>>,
    /// How many names of people were made up.
    strangers: AtomicU32,
}

impl Cast {
    pub async fn new() -> Self {
        // All come from one address, and in one minute.
        let world = World::with(|mut config| {
            config.auth.auth_rate = 10_000;
            config.users.user_rate = 10_000;
            config
        })
        .await;
        let (ada, sales, _) = world.ready().await;
        let all = json!({"scopes": Scope::ALL});
        let key = world.key(&ada, sales, all.clone()).await;
        let bob = member(&world, &ada, "bob@example.com").await;
        let eve = world.register("eve@example.com").await;
        let root = administrator(&world, "root@example.com").await;
        // Who invites has shown that its own address is its own.
        for user in [&ada, &eve, &root] {
            world.verify(user).await;
        }
        let support = world.instance(&ada, "support").await;

        let keys = format!("/api/instances/{sales}/keys");
        let spare = ada.post(&keys, json!({"name": "spare"})).await;
        let revoked = ada.post(&keys, json!({"name": "revoked"})).await;
        let revoked = revoked.data(201);
        let path = format!("{keys}/{}", text(&revoked["id"]));
        ada.delete(&path).await.data(200);

        let body = json!({"to": "15550100002", "text": "Hello"});
        let message = key.send("text", body).await.data(202);
        // It keeps contents, and has kept this one.
        let path = format!("/api/instances/{sales}");
        ada.put(&path, json!({"contentDays": 7})).await.data(200);
        let kept = text(&message["id"]).parse().expect("an id");
        let stores = (&world.state.table, &*world.state.sealer);
        let said = Said::text("Hello");
        testbed::kept::content(stores, (sales, kept), &said, world.clock.now(), 7).await;
        let elsewhere = json!({"allowedCidrs": ["198.51.100.0/24", "2001:db8::/32"]});
        Self {
            key_of_support: world.key(&ada, support, all).await.token().to_owned(),
            key_from_elsewhere: world.key(&ada, sales, elsewhere).await.token().to_owned(),
            bobs_id: people::id(&bob).await,
            spare_key: text(&spare.data(201)["id"]),
            revoked_key: text(&revoked["key"]),
            message: text(&message["id"]),
            _asked: world.answering(willing),
            world,
            ada,
            sales,
            support,
            key,
            eve,
            root,
            keys: Mutex::default(),
            strangers: AtomicU32::new(0),
        }
    }

    /// A call of a route with a body that a caller who may would send.
    pub async fn call(&self, route: &Route, caller: Caller) -> Answer {
        let token = self.token(route, caller).await;
        self.send(route, &token).await
    }

    /// The token of a caller who may call a route.
    pub async fn token_for(&self, route: &Route) -> String {
        let caller = match route.takes {
            Takes::Anyone => Caller::Nobody,
            Takes::User => Caller::User,
            Takes::Administrator => Caller::Administrator,
            Takes::Key(_) => Caller::Key,
        };
        self.token(route, caller).await
    }

    async fn token(&self, route: &Route, caller: Caller) -> String {
        match caller {
            Caller::Nobody => String::new(),
            Caller::Garbage => "not-a-token".to_owned(),
            Caller::ExpiredToken => self.expired_token().await,
            Caller::OtherTenant => self.eve.token.clone(),
            Caller::User => self.ada.token.clone(),
            Caller::Administrator => self.root.token.clone(),
            Caller::Key => self.key.token().to_owned(),
            Caller::KeyOfAnotherInstance => self.key_of_support.clone(),
            Caller::KeyWithoutTheScope => self.key_without(route).await,
            Caller::RevokedKey => self.revoked_key.clone(),
            Caller::KeyFromElsewhere => self.key_from_elsewhere.clone(),
        }
    }

    pub async fn send(&self, route: &Route, token: &str) -> Answer {
        let path = self.fill(route.path).await;
        self.send_to(route, &path, token).await
    }

    /// The same at another path than the route's own.
    pub async fn send_to(&self, route: &Route, path: &str, token: &str) -> Answer {
        let body = Body::from(self.fill(route.body).await);
        self.world.send(request(route.method, token, path, body)).await
    }

    /// A key of `sales` with these scopes alone.
    pub async fn key_with(&self, scopes: &[Scope]) -> String {
        let keys = || self.keys.lock().expect("no holder panics");
        let known = keys()
            .iter()
            .find(|(of, _)| of == scopes)
            .map(|(_, key)| key.clone());
        if let Some(key) = known {
            return key;
        }
        let body = json!({"scopes": scopes});
        let key = self
            .world
            .key(&self.ada, self.sales, body)
            .await
            .token()
            .to_owned();
        keys().push((scopes.to_vec(), key.clone()));
        key
    }

    /// A key that has all scopes but the route's.
    async fn key_without(&self, route: &Route) -> String {
        let mut scopes = Scope::ALL.to_vec();
        scopes.retain(|scope| route.takes != Takes::Key(*scope));
        self.key_with(&scopes).await
    }

    /// A token of Ada's, good but for its age.
    async fn expired_token(&self) -> String {
        let id = people::id(&self.ada).await.parse().expect("an id");
        let subscription = self.ada.subscription.parse().expect("an id");
        let session = RefreshToken::parse(&self.ada.refresh_token).expect("a token");
        let jwts = &self.world.state.jwts;
        let signed = self.world.clock.now() - jwts.lifetime() - TimeDelta::seconds(1);
        jwts.sign(id, subscription, Role::User, &session.session(), signed)
            .expect("signed")
    }

    /// The token of a pairing link of `support`, which shows a pairing code.
    async fn pairing_token(&self) -> String {
        let world = &self.world;
        let instances = &world.state.instances;
        let request = PairingRequest {
            phone: "15550100001".parse().expect("a number"),
            asked_at: world.clock.now(),
        };
        let wanted = instances.want_pairing(self.support, &request).await;
        wanted.expect("stored");
        world.daemon.show_pairing_code(self.support, "ABCD1234").await;
        let subscription = self.ada.subscription.parse().expect("an id");
        let id = people::id(&self.ada).await.parse().expect("an id");
        let ada = world.state.accounts.get_user(subscription, id).await;
        let ada = ada.expect("read").expect("there");
        let token = PairingToken::generate(self.support);
        let link = PairingLink {
            user: ada.id,
            credentials: ada.credentials,
            expires_at: world.clock.now() + LIFETIME,
        };
        let made = instances.set_pairing_link(&token, &link).await;
        assert_eq!(made.expect("stored"), LinkMade::Made);
        token.reveal().to_owned()
    }

    /// Puts the names of things that are there in the place of those in braces. What can be used once is made for it.
    pub async fn fill(&self, template: &str) -> String {
        let world = &self.world;
        let filled = template
            .replace("{instance}", &self.sales.to_string())
            .replace("{key}", &self.spare_key)
            .replace("{message}", &self.message)
            .replace("{contact}", "15550100002")
            .replace("{group}", "120363021033254949@g.us")
            .replace("{chat}", "15550100002")
            .replace("{file}", "start.js")
            .replace("{code}", "CONFLICT")
            .replace("{user}", &self.bobs_id)
            .replace("{subscription}", &self.ada.subscription);
        let now = world.clock.now();
        if filled.contains("/webhook") {
            // It is there, unless nobody is served.
            let hook = json!({"url": "https://example.com/waxwing", "events": ["*"]});
            let path = format!("/api/instances/{}/webhook", self.sales);
            self.ada.put(&path, hook).await;
        }
        let number = self.strangers.fetch_add(1, Ordering::Relaxed);
        let email = format!("stranger-{number}@example.com");
        if filled.contains("{token}") {
            filled.replace("{token}", &self.pairing_token().await)
        } else if filled.contains("{media}") {
            let state = &world.state;
            let media = testbed::kept::file(&state.table, &state.sealer, self.sales, now).await;
            filled.replace("{media}", &media.to_string())
        } else if filled.contains("{delivery}") {
            let delivery = testbed::kept::delivery(&world.state.table, self.sales, now).await;
            filled.replace("{delivery}", &delivery.id.to_string())
        } else if filled.contains("{stranger}") {
            filled.replace("{stranger}", &email)
        } else if filled.contains("{registered}") {
            world.register(&email).await;
            filled.replace("{registered}", &email)
        } else if filled.contains("{verification}") {
            world.register(&email).await;
            filled.replace("{verification}", &world.mail.code(&email))
        } else if filled.contains("{reset}") {
            world.register(&email).await;
            let body = json!({"email": email});
            let sent = world.nobody.post("/api/auth/forgot-password", body).await;
            assert_eq!(sent.status, 202);
            filled.replace("{reset}", &world.mail.code(&email))
        } else if filled.contains("{refresh}") {
            filled.replace("{refresh}", &world.register(&email).await.refresh_token)
        } else {
            filled
        }
    }
}
