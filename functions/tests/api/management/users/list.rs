//! `GET /api/users` and `GET /api/users/{user}`.

use chrono::TimeDelta;

use crate::management::people::{administrator, pages};
use crate::support::World;

#[tokio::test]
async fn pages_lead_from_the_newest_to_the_oldest_of_all_subscriptions() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    for email in ["a@example.com", "b@example.com", "c@example.com", "d@example.com"] {
        world.clock.advance(TimeDelta::milliseconds(1));
        world.register(email).await;
    }
    assert_eq!(
        pages(&root, "/api/users", "email").await,
        [
            "d@example.com",
            "c@example.com",
            "b@example.com",
            "a@example.com",
            "root@example.com"
        ]
    );
    for forged in ["", "Zm9yZ2Vk", "c3ViXzAxSkQwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"] {
        let path = format!("/api/users?cursor={forged}");
        assert_eq!(
            root.get(&path).await.error(),
            "400 VALIDATION_ERROR: `cursor` must be a `nextCursor` of this list"
        );
    }
}

#[tokio::test]
async fn who_is_not_there_is_not_found() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    for id in [
        "user_01JD0000000000000000000000",
        "sub_01JD0000000000000000000000",
        "bob",
    ] {
        let answer = root.get(&format!("/api/users/{id}")).await;
        assert_eq!(answer.status, 404, "{id}");
    }
}
