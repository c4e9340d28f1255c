//! `/api/subscription/members`.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::domain::audit::{Action, Outcome};

use crate::management::people::{accept, audited, each, id, login, member, pages, text};
use crate::support::{Answer, PASSWORD, User, World};

const PATH: &str = "/api/subscription/members";

/// Ada, who owns a subscription and may invite.
async fn owner(world: &World) -> User {
    let ada = world.register("ada@example.com").await;
    world.verify(&ada).await;
    ada
}

async fn invite(by: &User, email: &str) -> Answer {
    let body = json!({"email": email, "name": "Bob"});
    by.post(PATH, body).await
}

#[tokio::test]
async fn an_invited_member_sets_a_password_and_belongs() {
    let world = World::new().await;
    let ada = owner(&world).await;
    world.clock.advance(TimeDelta::milliseconds(1));
    let data = invite(&ada, "bob@example.com").await.data(201);
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
    let list = ada.get(PATH).await.data(200);
    assert_eq!(each(&list, "email"), ["bob@example.com", "ada@example.com"]);
    assert_eq!(
        flags(&list),
        [(json!(false), json!(true)), (json!(true), json!(false))]
    );
    accept(&world, "bob@example.com").await;
    let bob = login(&world, "bob@example.com").await;
    assert_eq!(bob.subscription, ada.subscription);
    let list = bob.get(PATH).await.data(200);
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
    let ada = owner(&world).await;
    let bob = member(&world, &ada, "bob@example.com").await;
    let forbidden = "403 FORBIDDEN: Only the subscription's owner may do this";
    assert_eq!(invite(&bob, "eve@example.com").await.error(), forbidden);
    let adas = format!("{PATH}/{}", id(&ada).await);
    assert_eq!(bob.delete(&adas).await.error(), forbidden);
    let denied = audited(&world, Action::AccessDenied).await;
    assert_eq!(denied.len(), 2);
    assert!(denied.iter().all(|entry| entry.outcome == Outcome::Denied));
    assert!(
        denied
            .iter()
            .any(|entry| entry.details["route"] == format!("{PATH}/{{user}}"))
    );
    assert_eq!(
        ada.delete(&adas).await.error(),
        "409 CONFLICT: The owner cannot remove itself"
    );
    let bobs = id(&bob).await;
    ada.delete(&format!("{PATH}/{bobs}")).await.data(200);
    assert_eq!(bob.get(PATH).await.status, 401);
    assert_eq!(audited(&world, Action::MemberRemoved).await[0].target, Some(bobs));
    // The address is free again.
    invite(&ada, "bob@example.com").await.data(201);
}

#[tokio::test]
async fn another_subscriptions_member_does_not_exist() {
    let world = World::new().await;
    let ada = owner(&world).await;
    let eve = world.register("eve@example.com").await;
    let path = format!("{PATH}/{}", id(&ada).await);
    assert_eq!(eve.delete(&path).await.status, 404);
    assert_eq!(ada.get("/api/auth/me").await.status, 200);
    let list = eve.get(PATH).await.data(200);
    assert_eq!(each(&list, "email"), ["eve@example.com"]);
}

#[tokio::test]
async fn a_removed_members_invitation_leads_nowhere() {
    let world = World::new().await;
    let ada = owner(&world).await;
    let data = invite(&ada, "bob@example.com").await.data(201);
    let code = world.mail.code("bob@example.com");
    ada.delete(&format!("{PATH}/{}", text(&data["id"])))
        .await
        .data(200);
    let body = json!({"token": code, "password": PASSWORD});
    assert_eq!(
        world.nobody.post("/api/auth/reset-password", body).await.status,
        400
    );
}

#[tokio::test]
async fn one_of_twenty_invitations_at_once_goes_out() {
    let world = World::new().await;
    let ada = owner(&world).await;
    let mails = world.mail.len();
    let answers = join_all((0..20).map(|_| invite(&ada, "bob@example.com"))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    let taken = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((made, taken), (1, 19));
    assert_eq!(world.mail.len(), mails + 1);
    assert_eq!(
        invite(&ada, "BOB@example.com").await.error(),
        "409 CONFLICT: The e-mail address is invited already: delete that invitation to send another"
    );
    assert_eq!(
        invite(&ada, "ada@example.com").await.error(),
        "409 EMAIL_TAKEN: A user of the subscription has this e-mail address"
    );
}

#[tokio::test]
async fn invitations_are_limited_by_the_hour() {
    let world = World::new().await;
    let ada = owner(&world).await;
    for _ in 0..50 {
        // An address that is taken counts too: nobody is to try addresses without end.
        assert_eq!(invite(&ada, "ada@example.com").await.status, 409);
    }
    let answer = invite(&ada, "bob@example.com").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json()["error"]["code"], json!("RATE_LIMITED"));
    assert_eq!(answer.header("retry-after"), "3600");
    world.clock.advance(TimeDelta::hours(1));
    let ada = login(&world, "ada@example.com").await;
    invite(&ada, "bob@example.com").await.data(201);
}

#[tokio::test]
async fn pages_lead_from_the_newest_to_the_oldest() {
    let world = World::new().await;
    let ada = owner(&world).await;
    for email in ["b@example.com", "c@example.com", "d@example.com", "e@example.com"] {
        world.clock.advance(TimeDelta::milliseconds(1));
        invite(&ada, email).await.data(201);
    }
    assert_eq!(
        pages(&ada, PATH, "email").await,
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
        ada.get(&path).await.error(),
        "400 VALIDATION_ERROR: `cursor` must be a `nextCursor` of this list"
    );
}

#[tokio::test]
async fn an_invited_address_stays_free_until_its_owner_accepts() {
    let world = World::new().await;
    let ada = owner(&world).await;
    // Who comes later is newer.
    world.clock.advance(TimeDelta::milliseconds(1));
    let data = invite(&ada, "bob@example.com").await.data(201);
    let code = world.mail.code("bob@example.com");
    // Nobody can log in, and no other mail leads into the subscription.
    let offered = json!({"email": "bob@example.com", "password": PASSWORD});
    assert_eq!(
        world.nobody.post("/api/auth/login", offered.clone()).await.status,
        401
    );
    let sent = world.mail.len();
    world.nobody.forget_password("bob@example.com").await;
    assert_eq!(world.mail.len(), sent);
    // Who has the address registers as if there were no invitation.
    let bob = world.register("bob@example.com").await;
    assert_ne!(bob.subscription, ada.subscription);
    let list = ada.get(PATH).await.data(200);
    assert_eq!(each(&list, "id"), [text(&data["id"]), id(&ada).await]);
    let me = bob.get("/api/auth/me").await.data(200);
    assert_eq!(me["user"]["emailVerified"], json!(false));
    // It is over after seven days, and leaves nothing.
    world.clock.advance(TimeDelta::days(7));
    let body = json!({"token": code, "password": PASSWORD});
    assert_eq!(
        world.nobody.post("/api/auth/reset-password", body).await.status,
        400
    );
    let ada = login(&world, "ada@example.com").await;
    let list = ada.get(PATH).await.data(200);
    assert_eq!(each(&list, "email"), ["ada@example.com"]);
    let path = format!("{PATH}/{}", text(&data["id"]));
    assert_eq!(ada.delete(&path).await.status, 404);
    invite(&ada, "bob@example.com").await.data(201);
    let items = world.items().await;
    let left = items
        .iter()
        .filter(|((pk, sk), _)| pk.starts_with("invite#") || sk.starts_with("invit"));
    assert!(left.clone().count() >= 3);
    assert!(left.clone().all(|(_, item)| item.contains_key("exp")));
}

#[tokio::test]
async fn an_invitation_moves_no_account_and_accepting_it_does() {
    let world = World::new().await;
    let ada = owner(&world).await;
    // Who comes later is newer.
    world.clock.advance(TimeDelta::milliseconds(1));
    let bob = world.register("bob@example.com").await;
    // That the address has an account is not told.
    invite(&ada, "bob@example.com").await.data(201);
    let me = bob.get("/api/auth/me").await.data(200);
    assert_eq!(me["user"]["subscriptionId"], json!(bob.subscription));

    let code = world.mail.code("bob@example.com");
    let body = json!({"token": code, "password": "another horse, another battery"});
    let data = world
        .nobody
        .post("/api/auth/reset-password", body.clone())
        .await
        .data(200);
    assert_eq!(data["user"]["id"], me["user"]["id"]);
    assert_eq!(data["user"]["subscriptionId"], json!(ada.subscription));
    assert_eq!(data["user"]["emailVerified"], json!(true));
    // Whoever registered the address is out: by its session, and by its password.
    assert_eq!(bob.get("/api/auth/me").await.status, 401);
    let offered = json!({"email": "bob@example.com", "password": PASSWORD});
    assert_eq!(world.nobody.post("/api/auth/login", offered).await.status, 401);
    assert_eq!(
        world.nobody.post("/api/auth/reset-password", body).await.status,
        400
    );
    // The subscription that it left is gone with its last user.
    let gone = bob.subscription.parse().expect("an id");
    assert_eq!(
        world.state.accounts.get_subscription(gone).await.expect("read"),
        None
    );
    let list = ada.get(PATH).await.data(200);
    assert_eq!(each(&list, "email"), ["bob@example.com", "ada@example.com"]);
    assert_eq!(list[0]["invited"], json!(false));
    let joined = audited(&world, Action::MemberJoined).await;
    assert_eq!(joined[0].target, Some(text(&me["user"]["id"])));
}

#[tokio::test]
async fn an_account_that_would_leave_instances_behind_does_not_move() {
    let world = World::new().await;
    let ada = owner(&world).await;
    let bob = world.register("bob@example.com").await;
    let instance = world.instance(&bob, "sales").await;
    invite(&ada, "bob@example.com").await.data(201);
    let body = json!({"token": world.mail.code("bob@example.com"), "password": PASSWORD});
    let answer = world.nobody.post("/api/auth/reset-password", body.clone()).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(bob.get("/api/auth/me").await.status, 200);
    // The code is good still, once they are gone.
    let path = format!("/api/instances/{instance}");
    bob.delete(&path).await.data(200);
    world
        .nobody
        .post("/api/auth/reset-password", body)
        .await
        .data(200);
    let bob = login(&world, "bob@example.com").await;
    assert_eq!(bob.subscription, ada.subscription);
}

#[tokio::test]
async fn of_many_who_accept_at_once_one_does() {
    let world = World::new().await;
    let ada = owner(&world).await;
    invite(&ada, "bob@example.com").await.data(201);
    let code = world.mail.code("bob@example.com");
    let accept = |n: usize| {
        let body = json!({"token": code, "password": format!("correct horse {n}")});
        world.nobody.post("/api/auth/reset-password", body)
    };
    let answers = join_all((0..10).map(accept)).await;
    let done: Vec<_> = (0..10).filter(|n| answers[*n].status == 200).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    let body = json!({"email": "bob@example.com", "password": format!("correct horse {}", done[0])});
    world.nobody.post("/api/auth/login", body).await.data(200);
    let list = ada.get(PATH).await.data(200);
    assert_eq!(list.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn who_registers_while_the_invitation_is_accepted_is_one_account_with_it() {
    for _ in 0..5 {
        let world = World::new().await;
        let ada = owner(&world).await;
        invite(&ada, "bob@example.com").await.data(201);
        let accept =
            json!({"token": world.mail.code("bob@example.com"), "password": "correct horse battery"});
        let register = json!({"email": "bob@example.com", "password": PASSWORD, "name": "Bob"});
        let (accepted, _) = tokio::join!(
            world.nobody.post("/api/auth/reset-password", accept),
            world.nobody.post("/api/auth/register", register),
        );
        accepted.data(200);
        // Whoever came first, the address is the invited person's, and no other password opens it.
        let body = json!({"email": "bob@example.com", "password": "correct horse battery"});
        let data = world.nobody.post("/api/auth/login", body).await.data(200);
        assert_eq!(data["user"]["subscriptionId"], json!(ada.subscription));
        let body = json!({"email": "bob@example.com", "password": PASSWORD});
        assert_eq!(world.nobody.post("/api/auth/login", body).await.status, 401);
    }
}

#[tokio::test]
async fn who_was_made_a_member_by_an_older_invitation_and_never_came_makes_room() {
    let world = World::new().await;
    let ada = owner(&world).await;
    let now = shared::clock::Clock::now(&world.clock);
    let user = shared::domain::account::User {
        id: shared::ids::UserId::new(now),
        subscription: ada.subscription.parse().expect("an id"),
        email: "bob@example.com".parse().expect("an address"),
        name: "Bob".parse().expect("a name"),
        role: shared::domain::account::Role::User,
        active: true,
        email_verified_at: None,
        credentials: 1,
        created_at: now,
    };
    let added = world.state.accounts.add(&user, None).await.expect("stored");
    assert_eq!(added, shared::storage::accounts::Added::Created);
    // It is no account: nothing but the invitation's own code leads into it.
    let sent = world.mail.len();
    world.nobody.forget_password("bob@example.com").await;
    assert_eq!(world.mail.len(), sent);
    let bob = world.register("bob@example.com").await;
    assert_ne!(bob.subscription, ada.subscription);
    let list = ada.get(PATH).await.data(200);
    assert_eq!(each(&list, "email"), ["ada@example.com"]);
}
