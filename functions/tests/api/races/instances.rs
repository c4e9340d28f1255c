//! For an instance's name, and for the tier's last places.

use serde_json::{Value, json};

use super::{everywhere, storm, with_status};
use crate::management::people::each;
use crate::support::{Answer, User};

const PATH: &str = "/api/instances";

async fn create(user: &User, name: &str) -> Answer {
    user.post(PATH, json!({"name": name})).await
}

async fn names(user: &User) -> Vec<String> {
    let list: Value = user.get(PATH).await.data(200);
    each(&list, "name")
}

/// Creates instances until there are no more places. There are five in the end, neither more nor fewer.
async fn fill_up(user: &User) {
    let mut there = names(user).await.len();
    while there < 5 {
        create(user, &format!("more-{there}")).await.data(201);
        there += 1;
    }
    let beyond = create(user, "beyond").await;
    assert_eq!(beyond.json()["error"]["code"], json!("INSTANCE_LIMIT_REACHED"));
    assert_eq!(names(user).await.len(), 5);
}

#[tokio::test]
async fn a_name_has_one_instance_that_takes_one_place() {
    everywhere(async |world| {
        let user = world.register("ada@example.com").await;
        let answers = storm(world, (0..20).map(|_| create(&user, "sales"))).await;
        let made = with_status(&answers, 201, &["NAME_TAKEN"]);
        assert!(made.len() <= 1);
        if world.faults.is_none() {
            assert_eq!(made.len(), 1);
        }
        let again = create(&user, "sales").await;
        assert!([201, 409].contains(&again.status), "{again:?}");
        assert_eq!(names(&user).await, ["sales"]);
        fill_up(&user).await;
    })
    .await;
}

#[tokio::test]
async fn of_fifty_at_once_the_tiers_limit_lets_five_in_and_no_place_is_lost() {
    everywhere(async |world| {
        let user = world.register("ada@example.com").await;
        let name = |n: usize| format!("sales-{n}");
        let creations = (0..50).map(|n| {
            let name = name(n);
            let user = &user;
            async move { create(user, &name).await }
        });
        let answers = storm(world, creations).await;
        let made = with_status(&answers, 201, &["INSTANCE_LIMIT_REACHED"]);
        let there = names(&user).await;
        assert!(there.len() <= 5, "{there:?}");
        for (n, _) in &made {
            assert!(there.contains(&name(*n)));
        }
        if world.faults.is_none() {
            assert_eq!(made.len(), 5);
        }
        // Nobody is told that there is no place while there is one.
        if answers.iter().any(|answer| answer.status == 409) {
            assert_eq!(there.len(), 5);
        }
        fill_up(&user).await;
        let last = names(&user).await.remove(0);
        user.delete(&format!("{PATH}/{last}")).await.data(200);
        fill_up(&user).await;
    })
    .await;
}
