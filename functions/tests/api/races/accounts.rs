//! For an e-mail address.

use serde_json::json;

use super::{everywhere, storm, with_status};
use crate::support::{Answer, World};

const EMAIL: &str = "ada@example.com";

async fn register(world: &World, n: usize) -> Answer {
    let body = json!({"email": EMAIL, "password": password(n), "name": format!("Ada {n}")});
    world.nobody.post("/api/auth/register", body).await
}

fn password(n: usize) -> String {
    format!("correct horse {n}")
}

#[tokio::test]
async fn an_address_has_one_owner_and_that_one_can_log_in() {
    everywhere(async |world| {
        let answers = storm(world, (0..20).map(|n| register(world, n))).await;
        let made = with_status(&answers, 201, &["EMAIL_TAKEN"]);
        assert!(made.len() <= 1);
        if world.faults.is_none() {
            assert_eq!(made.len(), 1);
        }
        // Where nobody had it, who comes again gets it.
        let again = register(world, 20).await;
        assert!([201, 409].contains(&again.status), "{again:?}");

        let email = EMAIL.parse().expect("an address");
        let owner = world.state.accounts.get_credentials(&email).await.expect("read");
        let (owner, _) = owner.expect("there");
        let n = owner.name.as_str().strip_prefix("Ada ").expect("a number");
        let n = n.parse().expect("a number");
        if let Some((winner, _)) = made.first() {
            assert_eq!(*winner, n);
        }
        let body = json!({"email": EMAIL, "password": password(n)});
        world.nobody.post("/api/auth/login", body).await.data(200);

        // The others left neither user nor subscription.
        let table = &world.state.table;
        let scan = table.client().scan().table_name(table.name()).send();
        let items = scan.await.expect("read");
        let count = |prefix: &str| {
            let keys = items.items().iter().map(|item| item["pk"].as_s().expect("a key"));
            keys.filter(|key| key.starts_with(prefix)).count()
        };
        assert_eq!((count("email#"), count("sub#")), (1, 2));
    })
    .await;
}
