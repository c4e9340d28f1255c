//! `DELETE /api/users/{user}` of a subscription's last user: the subscription goes with it.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};
use shared::domain::audit::Action;
use shared::domain::instance::Wanted;
use shared::ids::SubscriptionId;
use shared::storage::accounts::Marked;
use shared::storage::item::Item;

use crate::management::people::{administrator, audited, id, text};
use crate::support::{Answer, PASSWORD, User, World};

type Items = BTreeMap<(String, String), Item>;

fn subscription(of: &User) -> SubscriptionId {
    of.subscription.parse().expect("an id")
}

/// Those of the items that name none of these, but for counts of requests.
fn of_others(items: &Items, names: &[String]) -> Items {
    let mut others = items.clone();
    others.retain(|key, item| {
        let whole = format!("{key:?} {item:?}");
        !key.0.starts_with("rate#") && !names.iter().any(|name| whole.contains(name.as_str()))
    });
    others
}

/// What is left of a subscription besides what runs out by itself, by key.
fn left(items: &Items, names: &[String]) -> Vec<String> {
    let others = of_others(items, names);
    let own = items.iter().filter(|(key, _)| !others.contains_key(*key));
    let lasting = own.filter(|(_, item)| !item.contains_key("exp"));
    lasting.map(|((pk, sk), _)| format!("{pk}|{sk}")).collect()
}

/// A subscription with a history: a paired instance that has sent, another, keys, codes.
async fn busy(world: &World) -> (User, Vec<String>) {
    let (ada, instance, key) = world.ready().await;
    let other = world.instance(&ada, "support").await;
    let sent = json!({"to": "15550100009", "text": "hello"});
    key.send("text", sent).await.data(202);
    let forgotten = json!({"email": "ada@example.com"});
    world
        .nobody
        .post("/api/auth/forgot-password", forgotten)
        .await
        .data(202);
    let names = vec![
        id(&ada).await,
        ada.subscription.clone(),
        instance.to_string(),
        other.to_string(),
        "ada@example.com".to_owned(),
    ];
    (ada, names)
}

#[tokio::test]
async fn everything_of_the_subscription_goes_and_nothing_of_anybody_else() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let eve = world.register("eve@example.com").await;
    let strangers = world.instance(&eve, "sales").await;
    world.key(&eve, strangers, json!({})).await;
    let (ada, mut names) = busy(&world).await;
    let before = world.items().await;

    let path = format!("/api/users/{}", names[0]);
    let deleted = root.delete(&path);
    let creations = join_all((0..3).map(|n| {
        let body = json!({"name": format!("new-{n}")});
        ada.post("/api/instances", body)
    }));
    let (deleted, creations) = tokio::join!(deleted, creations);
    deleted.data(200);
    for answer in &creations {
        match answer.status {
            201 => names.push(text(&answer.data(201)["id"])),
            status => assert!([401, 403].contains(&status), "{answer:?}"),
        }
    }

    let after = world.items().await;
    assert_eq!(of_others(&after, &names), of_others(&before, &names));
    // What a daemon has to end, and nothing else.
    let instances = &names[2..names.len()];
    for key in left(&after, &names) {
        let of_the_daemon = key.strip_prefix("inst#").or(key.strip_prefix("dek#"));
        let instance = of_the_daemon.expect("an instance");
        let (instance, _) = instance.split_once('|').expect("a key");
        assert!(instances.iter().any(|name| name == instance), "{key}");
        let item = world
            .state
            .instances
            .get_with_deleted(instance.parse().expect("an id"));
        let item = item.await.expect("read").expect("until a daemon has ended it");
        assert_eq!(item.desired.wanted, Wanted::Deleted);
    }
    assert_eq!(ada.get("/api/auth/me").await.status, 401);
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(world.nobody.post("/api/auth/login", login).await.status, 401);
    let nudges = world.waiting(&world.queue_names().queries(0)).await;
    assert!(nudges.len() >= 2, "{}", nudges.len());
    let entries = audited(&world, Action::SubscriptionDeleted).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].target, Some(ada.subscription.clone()));
    let entries = audited(&world, Action::InstanceDeleted).await;
    assert!(entries.len() >= 2);
    assert!(
        entries
            .iter()
            .all(|entry| entry.subscription == Some(subscription(&ada)))
    );
    world.register("ada@example.com").await;
}

/// Each step of it, as a request leaves things that is broken off behind it.
#[tokio::test]
async fn what_was_broken_off_is_finished_by_the_same_request() {
    for steps in 0..4 {
        let world = World::new().await;
        let root = administrator(&world, "root@example.com").await;
        let (ada, names) = busy(&world).await;
        let user = names[0].parse().expect("an id");
        let (accounts, instances) = (&world.state.accounts, &world.state.instances);
        let found = accounts.get_user(subscription(&ada), user).await;
        let found = found.expect("read").expect("there");
        let marked = accounts.begin_deletion(&found).await;
        assert_eq!(marked.expect("stored"), Marked::Done);
        let all = instances.list_all(subscription(&ada)).await.expect("read");
        for instance in all.iter().take(steps) {
            let now = shared::clock::Clock::now(&world.clock);
            instances.delete(instance, now).await.expect("stored");
        }
        if steps == 3 {
            let forgotten = world.state.counters.forget(subscription(&ada)).await;
            forgotten.expect("removed");
        }
        let path = format!("/api/users/{}", names[0]);
        root.delete(&path).await.data(200);
        let items = world.items().await;
        let left = left(&items, &names);
        // Of an instance whose deletion was broken off the daemon revokes the keys.
        let is_the_daemons = |key: &String| ["inst#", "dek#", "key#"].iter().any(|own| key.starts_with(own));
        assert!(left.iter().all(is_the_daemons), "{left:?}");
        assert_eq!(root.delete(&path).await.status, 404);
        assert_eq!(audited(&world, Action::SubscriptionDeleted).await.len(), 1);
    }
}

#[tokio::test]
async fn what_is_being_deleted_takes_nothing_new_and_does_not_come_back() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let (ada, names) = busy(&world).await;
    let user = names[0].parse().expect("an id");
    let accounts = &world.state.accounts;
    let found = accounts.get_user(subscription(&ada), user).await;
    let found = found.expect("read").expect("there");
    accounts.begin_deletion(&found).await.expect("stored");

    let answer = ada.get("/api/instances").await;
    assert_eq!(answer.json()["error"]["code"], json!("SUBSCRIPTION_INACTIVE"));
    let path = format!("/api/subscriptions/{}", ada.subscription);
    for change in [json!({"active": true}), json!({"tier": "MAX"})] {
        assert_eq!(
            root.patch(&path, change).await.error(),
            "409 CONFLICT: The subscription is being deleted: delete its last user again to finish that"
        );
    }
    let joining = json!({
        "email": "late@example.com",
        "password": PASSWORD,
        "name": "Late",
        "role": "USER",
        "subscriptionId": ada.subscription,
    });
    assert_eq!(
        root.post("/api/users", joining).await.error(),
        "400 VALIDATION_ERROR: `subscriptionId` names no subscription"
    );
    let roots = format!("/api/users/{}", id(&root).await);
    let moving = json!({"subscriptionId": ada.subscription});
    assert_eq!(root.patch(&roots, moving).await.status, 400);
}

#[tokio::test]
async fn of_several_who_delete_it_one_does() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let (_, names) = busy(&world).await;
    let path = format!("/api/users/{}", names[0]);
    let deletions = (0..4).map(|_| root.delete(&path));
    let answers: Vec<Answer> = join_all(deletions).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(404)), (1, 3), "{answers:?}");
    assert_eq!(audited(&world, Action::SubscriptionDeleted).await.len(), 1);
    assert_eq!(audited(&world, Action::InstanceDeleted).await.len(), 2);
}

#[tokio::test]
async fn an_administrator_goes_with_its_own_subscription_unless_it_is_the_last() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    world.instance(&root, "sales").await;
    let path = format!("/api/users/{}", id(&root).await);
    let last = "409 CONFLICT: The last active administrator stays one: make another first";
    assert_eq!(root.delete(&path).await.error(), last);
    let own = root.get("/api/subscription").await.data(200);
    assert_eq!(own["active"], json!(true), "refused as a whole");
    let other = administrator(&world, "other@example.com").await;
    root.delete(&path).await.data(200);
    let gone = format!("/api/subscriptions/{}", root.subscription);
    assert_eq!(other.get(&gone).await.status, 404);
}

/// To move is not to delete.
#[tokio::test]
async fn the_last_user_does_not_move_away_from_instances() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let instance = world.instance(&ada, "sales").await;
    let path = format!("/api/users/{}", id(&ada).await);
    let moving = json!({"subscriptionId": root.subscription});
    assert_eq!(
        root.patch(&path, moving.clone()).await.error(),
        "409 CONFLICT: The last user of a subscription that has instances cannot move to another: delete the instances first"
    );
    assert_eq!(ada.get("/api/auth/me").await.status, 200);
    ada.delete(&format!("/api/instances/{instance}")).await.data(200);
    let moved: Value = root.patch(&path, moving).await.data(200);
    assert_eq!(moved["subscriptionId"], json!(root.subscription));
    let gone = format!("/api/subscriptions/{}", ada.subscription);
    assert_eq!(root.get(&gone).await.status, 404);
}
