//! A key that a process has met: all that its request needs of the table comes in one request, and is as fresh as ever.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use shared::auth::api_key::KeySecret;
use shared::domain::audit::Action;
use shared::ids::InstanceId;
use shared::storage::keys;
use testbed::relay::{Fate, Rule};

use crate::faulty_table::FaultyTable;
use crate::support::{Caller, User, World};

/// A route that needs the key and its subscription.
const STATS: &str = "/api/stats";

const INFO: &str = "/api/instance/info";

/// Nobody is looked up of a message to a group.
const GROUP: &str = "120363021033254949@g.us";

/// A deployment whose process has met a key.
struct Scene {
    world: World,
    user: User,
    instance: InstanceId,
    key: Caller,
    /// Requests for several items at once, since then.
    batches: Rule,
    /// Requests for one item.
    singles: Rule,
}

impl Scene {
    async fn new() -> Self {
        let world = World::faulty(1).await;
        let (user, instance, key) = world.ready().await;
        key.get(STATS).await.data(200);
        let faults = world.faults.as_ref().expect("a faulty table");
        let (batches, singles) = (faults.watch("BatchGetItem"), faults.watch("GetItem"));
        Self {
            world,
            user,
            instance,
            key,
            batches,
            singles,
        }
    }

    fn faults(&self) -> &FaultyTable {
        self.world.faults.as_ref().expect("a faulty table")
    }

    /// How many requests there were for several items at once, and for one.
    fn reads(&self) -> (u64, u64) {
        (self.batches.hits(), self.singles.hits())
    }

    async fn subscription_is(&self, active: bool) {
        let id = self.user.subscription.parse().expect("an id");
        let active = AttributeValue::Bool(active);
        self.world.set(&keys::subscription(id), "active", active).await;
    }
}

#[tokio::test]
async fn its_subscription_comes_with_it_and_one_that_is_switched_off_is_served_nothing_from_then_on() {
    let scene = Scene::new().await;
    scene.key.get(STATS).await.data(200);
    assert_eq!(scene.reads(), (1, 0));
    scene.subscription_is(false).await;
    assert_eq!(
        scene.key.get(STATS).await.error(),
        "403 SUBSCRIPTION_INACTIVE: The subscription is not active"
    );
    scene.subscription_is(true).await;
    scene.key.get(STATS).await.data(200);
    assert_eq!(scene.reads(), (3, 0));
}

#[tokio::test]
async fn its_instance_comes_with_it_for_all_messages_of_a_request() {
    let scene = Scene::new().await;
    let text = json!({"kind": "text", "to": GROUP, "text": "hello"});
    let body = json!({"messages": [text, text, text]});
    // The first one has the instance's data key read.
    scene.key.send("bulk", body.clone()).await.data(200);
    let (batches, singles) = scene.reads();
    let told = scene.key.send("bulk", body).await.data(200);
    assert_eq!(told["accepted"], json!(3));
    assert_eq!(scene.reads(), (batches + 1, singles));
}

#[tokio::test]
async fn once_it_is_revoked_it_is_refused_and_that_is_audited() {
    let scene = Scene::new().await;
    let list = scene.user.get("/api/instances/sales/keys").await.data(200);
    let id = list[0]["id"].as_str().expect("an id");
    let path = format!("/api/instances/sales/keys/{id}");
    scene.user.delete(&path).await.data(200);
    // A subscription that is switched off too changes nothing of that.
    scene.subscription_is(false).await;
    let (batches, singles) = scene.reads();
    for _ in 0..2 {
        assert_eq!(
            scene.key.get(STATS).await.error(),
            "401 UNAUTHENTICATED: The API key has been revoked"
        );
    }
    assert_eq!(scene.reads(), (batches + 2, singles));
    let audited = scene.world.audited(&scene.user, Action::KeyRefused).await;
    assert_eq!(audited, [scene.instance.to_string()]);
}

#[tokio::test]
async fn where_it_names_another_instance_than_it_did_that_one_counts() {
    let scene = Scene::new().await;
    let other = scene.world.instance(&scene.user, "support").await;
    let secret = KeySecret::from_token(scene.key.token()).expect("a key");
    let item = keys::api_key(&secret.hash());
    let value = AttributeValue::S(other.to_string());
    scene.world.set(&item, "instance", value).await;
    let shown = scene.key.get(INFO).await.data(200);
    assert_eq!(shown["id"], json!(other));
    let (batches, singles) = scene.reads();
    scene.key.get(STATS).await.data(200);
    assert_eq!(
        scene.reads(),
        (batches + 1, singles),
        "the new names are remembered"
    );
}

#[tokio::test]
async fn where_its_instance_is_not_there_that_is_told_as_to_a_process_that_meets_it() {
    let scene = Scene::new().await;
    scene.world.remove_item(&keys::instance(scene.instance)).await;
    let stranger = scene.world.another(|config| config);
    let stranger = stranger.with_token(scene.key.token());
    for key in [&scene.key, &stranger] {
        let text = json!({"to": GROUP, "text": "hello"});
        let gone = "404 NOT_FOUND: There is no such instance";
        assert_eq!(key.send("text", text).await.error(), gone);
        let here = json!({"presence": "available"});
        assert_eq!(key.put("/api/presence", here).await.error(), gone);
    }
}

#[tokio::test]
async fn what_the_table_leaves_unread_is_read_by_itself() {
    let scene = Scene::new().await;
    // The subscription, which is asked for last.
    scene.faults().plan("BatchGetItem", "", [Fate::UNREAD; 5]);
    scene.key.get(STATS).await.data(200);
    let (batches, singles) = scene.reads();
    assert!((2..=5).contains(&batches), "it is asked for again, {batches}");
    assert_eq!(singles, 1);
}

#[tokio::test]
async fn a_read_of_all_that_does_not_see_it_or_fails_is_as_one_of_it_alone() {
    let scene = Scene::new().await;
    scene.faults().plan("BatchGetItem", "key#", [Fate::UNSEEN]);
    scene.key.get(STATS).await.data(200);
    assert!(scene.faults().is_done());
    scene.faults().plan("BatchGetItem", "key#", [Fate::FAILED; 3]);
    assert_eq!(scene.key.get(STATS).await.code(), "503 UNAVAILABLE");
    assert!(scene.faults().is_done());
    scene.key.get(STATS).await.data(200);
}
