//! `DELETE /api/instances/{instance}`.

use futures::future::join_all;
use serde_json::json;
use shared::domain::audit::Action;
use shared::domain::instance::Wanted;
use shared::domain::job::Query;
use shared::domain::payload;

use crate::support::{Answer, User, World};

async fn delete(user: &User, which: &str) -> Answer {
    let path = format!("/api/instances/{which}");
    user.delete(&path).await
}

#[tokio::test]
async fn a_deleted_instance_is_nowhere_and_its_keys_are_no_good() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let data = delete(&user, "sales").await.data(200);
    assert_eq!(data, json!({"id": instance, "deleted": true}));
    for which in [instance.to_string(), "sales".to_owned()] {
        for (method, end) in [
            ("GET", ""),
            ("PUT", ""),
            ("DELETE", ""),
            ("GET", "/status"),
            ("GET", "/qr"),
            ("GET", "/stats"),
            ("GET", "/messages"),
            ("GET", "/keys"),
            ("POST", "/connect"),
            ("POST", "/disconnect"),
            ("POST", "/restart"),
            ("POST", "/logout"),
        ] {
            let path = format!("/api/instances/{which}{end}");
            let body = (method == "PUT").then_some("{}");
            let method = method.parse().expect("a method");
            let answer = user.request(method, &path, body).await;
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
        }
    }
    let list = user.get("/api/instances").await.data(200);
    assert_eq!(list, json!([]));
    assert_eq!(
        key.get("/api/instance/info").await.error(),
        "401 UNAUTHENTICATED: The API key has been revoked"
    );
    let left = world.state.instances.get_with_deleted(instance).await;
    let left = left.expect("read").expect("until a daemon has ended it");
    assert_eq!(left.desired.wanted, Wanted::Deleted);
    let wanted = world.state.instances.want(instance, Wanted::Connected).await;
    assert_eq!(wanted.expect("answered"), None, "there is no way back");
    let nudges = world.waiting(&world.queue_names().queries(0)).await;
    assert_eq!(
        payload::decode::<Query>(&nudges[0].body).expect("ours"),
        Query::Nudge { instance }
    );
    assert_eq!(
        world.audited(&user, Action::InstanceDeleted).await,
        [instance.to_string()]
    );
}

#[tokio::test]
async fn its_name_and_its_place_in_the_tier_are_free() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    for n in 0..5 {
        world.instance(&user, &format!("n{n}")).await;
    }
    let more = json!({"name": "n0"});
    let answer = user.post("/api/instances", more.clone()).await;
    assert_eq!(answer.status, 409);
    delete(&user, "n0").await.data(200);
    user.post("/api/instances", more.clone()).await.data(201);
    let answer = user.post("/api/instances", json!({"name": "n5"})).await;
    assert_eq!(answer.json()["error"]["code"], json!("INSTANCE_LIMIT_REACHED"));
}

#[tokio::test]
async fn of_several_who_delete_it_one_does() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    for n in 0..5 {
        world.instance(&user, &format!("n{n}")).await;
    }
    let answers = join_all((0..5).map(|_| delete(&user, "n0"))).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(404)), (1, 4));
    // It is counted once: there is room for one.
    world.instance(&user, "n5").await;
    let answer = user.post("/api/instances", json!({"name": "n6"})).await;
    assert_eq!(answer.status, 409);
}
