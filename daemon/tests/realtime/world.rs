//! A table with a subscription, its users, instances and keys, and a feed that a test shows events to.

use std::ops::Deref;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use chrono::TimeDelta;
use daemon::announce::hub::{Hub, Shown};
use daemon::lease::HeldShards;
use daemon::meter::Events;
use daemon::realtime::{self, Realtime};
use daemon::web;
use daemon::web::health::{self, Health};
use daemon::web::metrics::{self, Metrics};
use serde_json::{Value, json};
use shared::auth::api_key::{Grant, KeySecret, Scope};
use shared::auth::jwt::{DEFAULT_LIFETIME, Jwts};
use shared::auth::password::PasswordHash;
use shared::auth::session::{LIFETIME, RefreshToken, Session};
use shared::clock::SystemClock;
use shared::config;
use shared::domain::account::{Role, Subscription, Tier, User};
use shared::domain::event::{EventType, Told, Whose};
use shared::domain::feed::FeedEvent;
use shared::domain::instance::Instance;
use shared::domain::network::Network;
use shared::domain::shard::Shard;
use shared::ids::{EventId, InstanceId, KeyId, SubscriptionId, UserId};
use shared::queue::QueueNames;
use shared::queue::embedded::EmbeddedQueue;
use shared::storage::Table;
use shared::storage::accounts::{Accounts, Registered};
use shared::storage::api_keys::{ApiKeys, KeyCreated};
use shared::storage::instances::{Created, Instances};
use shared::storage::keys;
use shared::storage::leases::{Beat, Leases};
use shared::storage::sessions::Sessions;
use testbed::config::jwt_secret;
use testbed::queues::queues;
use testbed::socket_io::Client;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub const NETWORK: Network = Network::Sandbox;

/// A table, and whoever is in it.
pub struct World {
    base: testbed::world::World,
    queue: Arc<EmbeddedQueue>,
    names: QueueNames,
}

impl Deref for World {
    type Target = testbed::world::World;

    fn deref(&self) -> &Self::Target {
        &self.base
    }
}

/// The feed of a daemon. Its listener is there after it as well, as that of a process that hands over; both end with this.
pub struct Feed {
    pub address: String,
    pub hub: Arc<Hub>,
    pub realtime: Realtime,
    stop: CancellationToken,
    handed_over: CancellationToken,
    _ended: [DropGuard; 3],
}

/// A user, and the subscription that is theirs.
#[derive(Clone)]
pub struct Owner {
    pub user: User,
    pub subscription: Subscription,
    pub session: RefreshToken,
    pub token: String,
}

/// An API key and its secret.
pub struct Key {
    pub grant: Grant,
    pub secret: KeySecret,
}

impl World {
    pub async fn new() -> Self {
        let base = testbed::world::World::new().await;
        let (queue, names) = queues(Arc::new(SystemClock), NETWORK, 1).await;
        Self {
            base,
            queue: Arc::new(queue),
            names,
        }
    }

    /// A feed with the usual settings.
    pub async fn feed(&self) -> Feed {
        self.feed_with("a", &self.table, |settings| settings).await
    }

    /// The feed of the daemon of this name, which reaches the table so.
    pub async fn feed_with(
        &self,
        daemon: &str,
        table: &Table,
        change: impl FnOnce(config::Realtime) -> config::Realtime,
    ) -> Feed {
        let hub = Arc::new(Hub::default());
        let clock = Arc::new(self.clock.clone());
        let realtime = Realtime::new(realtime::Parts {
            table: table.clone(),
            hub: hub.clone(),
            clock: clock.clone(),
            network: NETWORK,
            daemon: daemon.to_owned(),
            jwts: Jwts::new(&[jwt_secret()], DEFAULT_LIFETIME),
            settings: change(config::Realtime::new(vec![jwt_secret()])),
        });
        let realtime = realtime.expect("a feed");
        let metrics = Arc::new(Metrics::new(metrics::Parts {
            meter: Arc::default(),
            round_trips: Arc::default(),
            events: Events::default(),
            holding: HeldShards::default(),
            shards: 1,
            prefix: self.names.prefix().to_owned(),
            network: NETWORK,
            clock: clock.clone(),
            realtime: Some(realtime.clone()),
        }));
        let health = Arc::new(Health::new(health::Parts {
            table: table.clone(),
            leases: Leases::new(table.clone(), NETWORK),
            queue: self.queue.clone(),
            names: self.names.clone(),
            clock,
            daemon: daemon.to_owned(),
            holding: HeldShards::default(),
            realtime: Some(realtime.clone()),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let [stop, handed_over, ended] = std::array::from_fn(|_| CancellationToken::new());
        let routes: Router = realtime.over(web::probes(health.clone()).merge(metrics::routes(metrics)));
        tokio::spawn(web::serve(listener, routes, ended.clone()));
        let (running, until, last) = (realtime.clone(), stop.clone(), handed_over.clone());
        tokio::spawn(async move { Box::pin(running.run(&*health, &until, &last)).await });
        Feed {
            address,
            hub,
            realtime,
            _ended: [&stop, &handed_over, &ended].map(|token| token.clone().drop_guard()),
            stop,
            handed_over,
        }
    }

    /// The daemon of this name beats.
    pub async fn beats(&self, daemon: &str) {
        let beat = Beat {
            daemon: daemon.to_owned(),
            counter: 1,
            duration_ms: 4_000,
            at: self.now(),
            round_trips_since: None,
            draining: false,
            vitals: None,
        };
        let beats = Leases::new(self.table.clone(), NETWORK);
        beats.beat(&beat).await.expect("stored");
    }

    /// A user with a subscription, who is logged in.
    pub async fn owner(&self, email: &str) -> Owner {
        let now = self.now();
        let (id, subscription) = (UserId::new(now), SubscriptionId::new(now));
        let user = User {
            id,
            subscription,
            email: email.parse().expect("an address"),
            name: "Ada".parse().expect("a name"),
            role: Role::User,
            active: true,
            email_verified_at: None,
            credentials: 1,
            created_at: now,
        };
        let subscription = Subscription {
            id: subscription,
            owner: id,
            tier: Tier::Max,
            active: true,
            created_at: now,
        };
        let accounts = Accounts::new(self.table.clone());
        let password = PasswordHash::from_stored("a hash");
        let registered = accounts.register(&user, &password, &subscription).await;
        assert_eq!(registered.expect("stored"), Registered::Created);
        let session = RefreshToken::generate();
        let mut owner = Owner {
            user,
            subscription,
            session,
            token: String::new(),
        };
        let begun = Session {
            name: owner.session.session(),
            user: id,
            subscription: owner.subscription.id,
            credentials: 1,
            created_at: now,
            expires_at: now + LIFETIME,
        };
        let sessions = Sessions::new(self.table.clone());
        sessions.begin(&owner.session, &begun).await.expect("stored");
        owner.token = self.token(&owner);
        owner
    }

    /// An access token of now.
    pub fn token(&self, owner: &Owner) -> String {
        let jwts = Jwts::new(&[jwt_secret()], DEFAULT_LIFETIME);
        let (user, family) = (&owner.user, owner.session.session());
        jwts.sign(user.id, user.subscription, user.role, &family, self.now())
            .expect("signed")
    }

    /// An instance of this owner.
    pub async fn instance(&self, owner: &Owner, name: &str) -> Instance {
        let (now, name) = (self.now(), name.parse().expect("a name"));
        let (id, subscription) = (InstanceId::new(now), owner.subscription.id);
        let instance = Instance::new(id, subscription, name, NETWORK, Shard(0), now);
        let created = Instances::new(self.table.clone()).create(&instance, 40).await;
        assert_eq!(created.expect("stored"), Created::Created);
        instance
    }

    /// A key of this instance.
    pub async fn key(&self, owner: &Owner, instance: &Instance, scopes: &[Scope]) -> Key {
        self.key_with(owner, instance, |grant| {
            grant.scopes = scopes.iter().copied().collect();
        })
        .await
    }

    pub async fn key_with(&self, owner: &Owner, instance: &Instance, change: impl FnOnce(&mut Grant)) -> Key {
        let secret = KeySecret::generate(instance.network);
        let mut grant = Grant {
            key: KeyId::new(self.now()),
            instance: instance.id,
            subscription: instance.subscription,
            instance_name: instance.name.clone(),
            network: instance.network,
            shard: instance.shard,
            scopes: Scope::defaults(),
            allowed_cidrs: Vec::new(),
            expires_at: None,
            rate_limit: 1_000,
            revoked_at: None,
        };
        change(&mut grant);
        let name = "a key".parse().expect("a name");
        let keys = ApiKeys::new(self.table.clone());
        let created = keys.create(&grant, &secret, &name, &owner.user, self.now()).await;
        assert_eq!(created.expect("stored"), KeyCreated::Created);
        Key { grant, secret }
    }

    /// Revokes a key.
    pub async fn revoke(&self, key: &Key) {
        let keys = ApiKeys::new(self.table.clone());
        let listed = keys.get(key.grant.instance, key.grant.key).await.expect("read");
        let revoked = keys.revoke(&listed.expect("listed"), self.now()).await;
        revoked.expect("revoked");
    }

    /// Switches a subscription on or off.
    pub async fn set_active(&self, owner: &Owner, active: bool) {
        let subscription = keys::subscription(owner.subscription.id);
        self.set(&subscription, "active", AttributeValue::Bool(active))
            .await;
    }

    /// Moves the time of day.
    pub fn passes(&self, time: TimeDelta) {
        self.clock.advance(time);
    }
}

impl Feed {
    /// The daemon is asked to stop.
    pub fn stops(&self) {
        self.stop.cancel();
    }

    /// The daemon has handed its shards over.
    pub fn has_handed_over(&self) {
        self.handed_over.cancel();
    }

    /// A socket with this token, which has asked for all that is its.
    pub async fn follower(&self, token: &str) -> Client {
        let mut client = Client::join(&self.address, token).await.expect("let in");
        client.subscribe(json!({})).await;
        client
    }

    /// Shows an event of this instance under this number.
    pub fn show(&self, instance: &Instance, event: FeedEvent, number: u8) -> EventId {
        self.show_saying(instance, event, number, &json!({"number": number}))
    }

    pub fn show_saying(&self, instance: &Instance, event: FeedEvent, number: u8, data: &Value) -> EventId {
        let shown = shown(instance, event, number, data);
        let id = shown.id;
        self.hub.show(shown);
        id
    }
}

/// An event of this instance.
pub fn shown(instance: &Instance, event: FeedEvent, number: u8, data: &Value) -> Shown {
    let id = EventId::derived(
        instance.created_at,
        &[&instance.id.to_string(), &number.to_string()],
    );
    let told = Told {
        id,
        kind: EventType::MessageStatus.as_str(),
        timestamp: instance.created_at,
        instance: Whose::of(instance),
        data,
    };
    Shown::told(instance.subscription, Some(instance.id), event, &told)
}
