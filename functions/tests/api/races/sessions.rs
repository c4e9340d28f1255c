//! For the next token of a session.

use serde_json::json;

use super::{everywhere, storm, with_status};
use crate::management::people::text;
use crate::support::{Answer, World};

async fn refresh(world: &World, token: &str) -> Answer {
    let body = json!({"refreshToken": token});
    world.nobody.post("/api/auth/refresh", body).await
}

#[tokio::test]
async fn a_token_is_good_once_and_once_more_and_its_replay_ends_the_session() {
    everywhere(async |world| {
        let user = world.register("ada@example.com").await;
        let answers = storm(world, (0..10).map(|_| refresh(world, &user.refresh_token))).await;
        let good = with_status(&answers, 200, &["UNAUTHENTICATED"]);
        assert!(good.len() <= 2);
        if world.faults.is_none() {
            assert!(!good.is_empty());
        }
        let mut tokens: Vec<_> = good
            .iter()
            .map(|(_, answer)| answer.data(200)["tokens"].clone())
            .collect();
        // Where fewer of the ten came through than may, others do now.
        for _ in 0..2 {
            let again = refresh(world, &user.refresh_token).await;
            if again.status == 200 {
                tokens.push(again.data(200)["tokens"].clone());
            }
        }
        assert!(tokens.len() <= 2);
        assert_eq!(refresh(world, &user.refresh_token).await.status, 401);
        assert_eq!(user.get("/api/auth/me").await.status, 401);
        for pair in tokens {
            assert_eq!(refresh(world, &text(&pair["refreshToken"])).await.status, 401);
            assert_eq!(
                world
                    .caller(&text(&pair["accessToken"]))
                    .get("/api/auth/me")
                    .await
                    .status,
                401
            );
        }
    })
    .await;
}
