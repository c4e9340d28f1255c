//! A table that is not the one that this configuration is for.

use chrono::TimeDelta;
use shared::storage::setup::agree;

use crate::support::World;

const REFUSED: &str = "503 UNAVAILABLE: The service cannot do this now; try again later";

#[tokio::test]
async fn a_function_with_fewer_shards_than_the_table_serves_nothing() {
    let world = World::new().await;
    agree(&world.state.table, 2).await.expect("stored").expect("more");
    for path in ["/api/instances", "/ready", "/api/stats"] {
        let answer = world.nobody.get(path).await;
        assert_eq!(answer.error(), REFUSED, "{path}");
        assert_eq!(answer.header("retry-after"), "5");
    }
    for path in ["/health", "/api/version", "/api/openapi.json"] {
        assert_eq!(world.nobody.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_table_of_a_newer_layout_is_left_alone_while_it_is_one() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let set = async |layout: &str| {
        let table = &world.state.table;
        let number = |text: &str| aws_sdk_dynamodb::types::AttributeValue::N(text.to_owned());
        let mut item = shared::storage::keys::config().attributes();
        item.insert("layout".into(), number(layout));
        item.insert("shards".into(), number("1"));
        let put = table.client().put_item().table_name(table.name());
        put.set_item(Some(item)).send().await.expect("stored");
    };
    set("1000").await;
    // What the table said a moment ago is believed for a while.
    ada.get("/api/instances").await.data(200);
    world.clock.advance(TimeDelta::minutes(14));
    ada.get("/api/instances").await.data(200);
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(ada.get("/api/instances").await.error(), REFUSED);
    set("1").await;
    world.clock.advance(TimeDelta::seconds(5));
    assert_ne!(ada.get("/api/instances").await.status, 503);
}

#[tokio::test]
async fn shards_grow_under_a_function_that_serves_already() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    agree(&world.state.table, 2).await.expect("stored").expect("more");
    world.clock.advance(TimeDelta::minutes(20));
    for _ in 0..2 {
        assert_eq!(world.nobody.get("/ready").await.status, 200);
        world.clock.advance(TimeDelta::minutes(20));
    }
}

#[tokio::test]
async fn a_function_with_more_shards_than_the_table_goes_on() {
    let world = World::new().await;
    agree(&world.state.table, 1)
        .await
        .expect("stored")
        .expect("as many");
    world.register("ada@example.com").await;
}
