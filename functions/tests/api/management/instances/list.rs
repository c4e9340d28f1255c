//! `GET /api/instances`.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn pages_lead_from_the_newest_to_the_oldest() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    for name in ["a", "b", "c", "d", "e"] {
        world.instance(&user, name).await;
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    let mut names = Vec::new();
    let mut cursor = String::new();
    let mut pages = 0;
    loop {
        let answer = user.get(&format!("/api/instances?limit=2{cursor}")).await;
        let page = answer.data(200);
        names.extend(
            page.as_array()
                .expect("a list")
                .iter()
                .map(|one| one["name"].clone()),
        );
        let pagination = answer.json()["meta"]["pagination"].clone();
        assert_eq!(pagination["limit"], json!(2));
        pages += 1;
        match &pagination["nextCursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            end => {
                assert_eq!(*end, Value::Null);
                break;
            }
        }
    }
    assert_eq!(names, ["e", "d", "c", "b", "a"]);
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn a_forged_cursor_and_an_unknown_parameter_are_refused() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let told = async |query| {
        let path = format!("/api/instances?{query}");
        user.get(&path).await.error()
    };
    assert_eq!(
        told("cursor=Zm9yZ2Vk").await,
        "400 VALIDATION_ERROR: `cursor` must be a `nextCursor` of this list"
    );
    assert_eq!(
        told("limit=101").await,
        "400 VALIDATION_ERROR: `limit` must be a whole number from 1 to 100"
    );
    assert_eq!(told("page=2").await, "400 VALIDATION_ERROR: `page` is unknown");
    assert_eq!(
        told("limit=1&limit=2").await,
        "400 VALIDATION_ERROR: `limit` is there twice"
    );
}
