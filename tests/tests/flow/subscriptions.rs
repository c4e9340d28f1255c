//! A subscription that is switched off, and one that is deleted, on the local stack.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use shared::domain::account::Role;
use shared::storage::Table;
use shared::storage::accounts::Accounts;
use shared::storage::item::Item;
use testbed::caller::{Bases, Caller};
use testbed::table::table;
use testbed::wait::{until, until_within};
use tests::flow::{Paired, exchange, pair, unique};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

/// How long a switch may take on a busy machine. A daemon that is told of it needs no sweep, of which there is one a minute.
const AT_ONCE: Duration = Duration::from_secs(30);

/// A stack, an administrator, and its table.
struct World {
    stack: Process,
    phones: Phones,
    root: Caller,
    table: Table,
    _data: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
        let table = table(&stack.database);
        let root = Caller::over_http(Bases::one(&stack.api));
        let root = root.register(&format!("{}@example.com", unique())).await;
        let (subscription, user) = ids(&root).await;
        Accounts::new(table.clone())
            .set_role(
                subscription.parse().expect("an id"),
                user.parse().expect("an id"),
                Role::Administrator,
            )
            .await
            .expect("stored");
        Self {
            phones: Phones::new(stack.admin.as_deref().expect("a sandbox")),
            stack,
            root: root.into(),
            table,
            _data: data,
        }
    }

    async fn pair(&self) -> Paired {
        pair(&Bases::one(&self.stack.api), &self.phones).await
    }

    async fn items(&self) -> BTreeMap<(String, String), Item> {
        testbed::table::items(&self.table).await
    }

    async fn stored(&self, instance: &str) -> Item {
        let key = shared::storage::keys::instance(instance.parse().expect("an id"));
        self.table.get(&key).await.expect("read").expect("an item")
    }
}

/// The ids of a user's subscription and of the user.
async fn ids(user: &Caller) -> (String, String) {
    let me = user.get("/api/auth/me").await.data(200);
    let text = |part: &str| me[part]["id"].as_str().expect("an id").to_owned();
    (text("subscription"), text("user"))
}

async fn instance(paired: &Paired) -> String {
    let path = format!("/api/instances/{}", paired.instance);
    let data = paired.user.get(&path).await.data(200);
    data["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_subscription_that_is_switched_off_has_no_socket_until_it_is_on_again() {
    let world = World::start().await;
    let paired = world.pair().await;
    exchange(&paired, &world.phones).await;
    let (subscription, _) = ids(&paired.user).await;
    let instance = instance(&paired).await;
    let path = format!("/api/subscriptions/{subscription}");
    let switch = async |active: bool| {
        let body = json!({"active": active});
        world.root.patch(&path, &body).await.data(200);
    };
    let until_online = async |online: bool| {
        let what = format!("a socket: {online}");
        until_within(AT_ONCE, &what, async || {
            (world.phones.linked(&paired.own).await == [online]).then_some(())
        })
        .await;
    };

    switch(false).await;
    until_online(false).await;
    let refused = paired.user.get("/api/instances").await;
    assert_eq!(refused.code(), "403 SUBSCRIPTION_INACTIVE");
    until("the status", async || {
        let item = world.stored(&instance).await;
        let is = |name: &str, value: &str| {
            item.get(name)
                .and_then(|v| v.as_s().ok())
                .is_some_and(|v| v == value)
        };
        (is("status", "DISCONNECTED") && is("reason", "SUBSCRIPTION_INACTIVE")).then_some(())
    })
    .await;

    switch(true).await;
    until_online(true).await;
    paired.user.until_status(&paired.instance, "CONNECTED").await;
    exchange(&paired, &world.phones).await;
    world.stack.stop().await;
}

#[tokio::test]
async fn with_its_last_user_everything_of_a_subscription_goes_and_nothing_of_another() {
    let world = World::start().await;
    // One that rests: nothing of it changes by itself.
    let other = world.pair().await;
    exchange(&other, &world.phones).await;
    let path = format!("/api/instances/{}/disconnect", other.instance);
    other.user.post(&path, ()).await.data(202);
    other.user.until_status(&other.instance, "DISCONNECTED").await;
    let paired = world.pair().await;
    exchange(&paired, &world.phones).await;
    assert_eq!(world.phones.linked(&paired.own).await, [true]);
    let (subscription, user) = ids(&paired.user).await;
    let instance = instance(&paired).await;
    let names = [subscription, user.clone(), instance.clone()];
    let before = world.items().await;

    let path = format!("/api/users/{user}");
    world.root.delete(&path).await.data(200);
    until("the end of the link", async || {
        world.phones.linked(&paired.own).await.is_empty().then_some(())
    })
    .await;
    until("the tombstone", async || {
        world.stored(&instance).await.contains_key("exp").then_some(())
    })
    .await;

    let after = world.items().await;
    assert_eq!(others(&after, &names), others(&before, &names));
    let others = others(&after, &names);
    let own = after
        .iter()
        .filter(|(key, _)| !others.contains_key(*key) && !is_nobodys(key));
    for (key, item) in own {
        assert!(item.contains_key("exp"), "{key:?} is left for ever");
        assert!(
            ["audit#", "session#", "code#", "key#", "sess#", "inst#", "idem#"]
                .iter()
                .any(|start| key.0.starts_with(start)),
            "{key:?} is left"
        );
        if key.0.starts_with("sess#") {
            assert!(!item.contains_key("v"), "{key:?} has a value");
        }
    }
    assert_eq!(
        paired.user.get("/api/auth/me").await.code(),
        "401 UNAUTHENTICATED"
    );
    assert_eq!(
        paired.key.get("/api/instance/info").await.code(),
        "401 UNAUTHENTICATED"
    );
    // The other's link stands as it did.
    let path = format!("/api/instances/{}/connect", other.instance);
    other.user.post(&path, ()).await.data(202);
    other.user.until_status(&other.instance, "CONNECTED").await;
    exchange(&other, &world.phones).await;
    world.stack.stop().await;
}

/// What changes by itself, or with each request: beats, leases, counts of requests.
fn is_nobodys(key: &(String, String)) -> bool {
    ["daemons#", "leases#", "rate#"]
        .iter()
        .any(|start| key.0.starts_with(start))
}

/// Those of the items that name none of these.
fn others(items: &BTreeMap<(String, String), Item>, names: &[String]) -> BTreeMap<(String, String), Item> {
    let mut others = items.clone();
    others.retain(|key, item| {
        let whole = format!("{key:?} {item:?}");
        !is_nobodys(key) && !names.iter().any(|name| whole.contains(name.as_str()))
    });
    others
}
