//! `/api/subscription/members`.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::domain::audit::{Action, Outcome};

use crate::management::people::{accept, audited, delete, each, id, login, member, pages, text};
use crate::support::{Answer, User, World};

const PATH: &str = "/api/subscription/members";

async fn invite(world: &World, by: &User, email: &str) -> Answer {
    let body = json!({"email": email, "name": "Bob"});
    world.post(&by.token, PATH, body).await
}

#[tokio::test]
async fn an_invited_member_sets_a_password_and_belongs() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    world.clock.advance(TimeDelta::milliseconds(1));
    let data = invite(&world, &ada, "bob@example.com").await.data(201);
    assert_eq!(data["invited"], json!(true));
    assert_eq!(data["owner"], json!(false));
    assert_eq!(data["role"], json!("USER"));
    assert!(
        world
            .mail
            .newest("bob@example.com")
            .text
            .contains("Ada invites you")
    );
    let flags = |list: &Value| -> Vec<_> {
        let list = list.as_array().expect("a list").iter();
        list.map(|one| (one["owner"].clone(), one["invited"].clone()))
            .collect()
    };
    let list = world.get(&ada.token, PATH).await.data(200);
    assert_eq!(each(&list, "email"), ["bob@example.com", "ada@example.com"]);
    assert_eq!(
        flags(&list),
        [(json!(false), json!(true)), (json!(true), json!(false))]
    );
    accept(&world, "bob@example.com").await;
    let bob = login(&world, "bob@example.com").await;
    assert_eq!(bob.subscription, ada.subscription);
    let list = world.get(&bob.token, PATH).await.data(200);
    assert_eq!(
        flags(&list),
        [(json!(false), json!(false)), (json!(true), json!(false))]
    );
    let entries = audited(&world, Action::MemberInvited).await;
    assert_eq!(entries[0].target, Some(text(&data["id"])));
}

#[tokio::test]
async fn only_the_owner_invites_and_removes() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let bob = member(&world, &ada, "bob@example.com").await;
    let forbidden = "403 FORBIDDEN: Only the subscription's owner may do this";
    assert_eq!(invite(&world, &bob, "eve@example.com").await.error(), forbidden);
    let adas = format!("{PATH}/{}", id(&world, &ada).await);
    assert_eq!(delete(&world, &bob.token, &adas).await.error(), forbidden);
    let denied = audited(&world, Action::AccessDenied).await;
    assert_eq!(denied.len(), 2);
    assert!(denied.iter().all(|entry| entry.outcome == Outcome::Denied));
    assert!(
        denied
            .iter()
            .any(|entry| entry.details["route"] == format!("{PATH}/{{user}}"))
    );
    assert_eq!(
        delete(&world, &ada.token, &adas).await.error(),
        "409 CONFLICT: The owner cannot remove itself"
    );
    let bobs = id(&world, &bob).await;
    delete(&world, &ada.token, &format!("{PATH}/{bobs}"))
        .await
        .data(200);
    assert_eq!(world.get(&bob.token, PATH).await.status, 401);
    assert_eq!(audited(&world, Action::MemberRemoved).await[0].target, Some(bobs));
    // The address is free again.
    invite(&world, &ada, "bob@example.com").await.data(201);
}

#[tokio::test]
async fn another_subscriptions_member_does_not_exist() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let eve = world.register("eve@example.com").await;
    let path = format!("{PATH}/{}", id(&world, &ada).await);
    assert_eq!(delete(&world, &eve.token, &path).await.status, 404);
    assert_eq!(world.get(&ada.token, "/api/auth/me").await.status, 200);
    let list = world.get(&eve.token, PATH).await.data(200);
    assert_eq!(each(&list, "email"), ["eve@example.com"]);
}

#[tokio::test]
async fn a_removed_members_invitation_leads_nowhere() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let data = invite(&world, &ada, "bob@example.com").await.data(201);
    let code = world.mail.code("bob@example.com");
    delete(&world, &ada.token, &format!("{PATH}/{}", text(&data["id"])))
        .await
        .data(200);
    let body = json!({"token": code, "password": crate::support::PASSWORD});
    assert_eq!(world.post("", "/api/auth/reset-password", body).await.status, 400);
}

#[tokio::test]
async fn one_of_twenty_invitations_at_once_goes_out() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let mails = world.mail.len();
    let answers = join_all((0..20).map(|_| invite(&world, &ada, "bob@example.com"))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let taken = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((made, taken), (1, 19));
    assert_eq!(world.mail.len(), mails + 1);
    assert_eq!(invite(&world, &ada, "ada@example.com").await.status, 409);
}

#[tokio::test]
async fn invitations_are_limited_by_the_hour() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    for _ in 0..50 {
        // An address that is taken counts too: nobody is to try addresses without end.
        assert_eq!(invite(&world, &ada, "ada@example.com").await.status, 409);
    }
    let answer = invite(&world, &ada, "bob@example.com").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json()["error"]["code"], json!("RATE_LIMITED"));
    assert_eq!(answer.header("retry-after"), "3600");
    world.clock.advance(TimeDelta::hours(1));
    let ada = login(&world, "ada@example.com").await;
    invite(&world, &ada, "bob@example.com").await.data(201);
}

#[tokio::test]
async fn pages_lead_from_the_newest_to_the_oldest() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    for email in ["b@example.com", "c@example.com", "d@example.com", "e@example.com"] {
        world.clock.advance(TimeDelta::milliseconds(1));
        invite(&world, &ada, email).await.data(201);
    }
    assert_eq!(
        pages(&world, &ada.token, PATH, "email").await,
        [
            "e@example.com",
            "d@example.com",
            "c@example.com",
            "b@example.com",
            "ada@example.com"
        ]
    );
    let path = format!("{PATH}?cursor=Zm9yZ2Vk");
    assert_eq!(
        world.get(&ada.token, &path).await.error(),
        "400 VALIDATION_ERROR: `cursor` must be a `nextCursor` of this list"
    );
}
