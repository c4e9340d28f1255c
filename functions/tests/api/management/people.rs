//! Users of several kinds, what they send, and what is recorded of it.

use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::account::Role;
use shared::domain::audit::{Action, Entry};

use crate::support::{Caller, PASSWORD, User, World};

/// A user who is an administrator.
pub async fn administrator(world: &World, email: &str) -> User {
    let user = world.register(email).await;
    let id = id(&user).await.parse().expect("an id");
    let subscription = user.subscription.parse().expect("an id");
    world
        .state
        .accounts
        .set_role(subscription, id, Role::Administrator)
        .await
        .expect("stored");
    user
}

/// A user's id.
pub async fn id(user: &User) -> String {
    let me = user.get("/api/auth/me").await.data(200);
    text(&me["user"]["id"])
}

/// A member whom the owner invited and who has set its password.
pub async fn member(world: &World, owner: &User, email: &str) -> User {
    world.verify(owner).await;
    let body = json!({"email": email, "name": "Mem"});
    owner.post("/api/subscription/members", body).await.data(201);
    accept(world, email).await;
    login(world, email).await
}

/// Sets a first password with the code of an invitation.
pub async fn accept(world: &World, email: &str) {
    let body = json!({"token": world.mail.code(email), "password": PASSWORD});
    world
        .nobody
        .post("/api/auth/reset-password", body)
        .await
        .data(200);
}

pub async fn login(world: &World, email: &str) -> User {
    world.nobody.login(email).await
}

/// Today's entries of the audit log about one action, newest first.
pub async fn audited(world: &World, action: Action) -> Vec<Entry> {
    let today = world.clock.now().date_naive();
    let entries = world.state.audit.list_day(today, None, 100).await.expect("read");
    let entries = entries
        .iter()
        .map(|listed| listed.entry().expect("of this version"));
    entries.filter(|entry| entry.action == action).collect()
}

/// What `member` is in each thing of a list.
pub fn each(list: &Value, member: &str) -> Vec<String> {
    let things = list.as_array().expect("a list").iter();
    things.map(|thing| text(&thing[member])).collect()
}

/// `member` in each thing of all pages of a list, two things a page.
pub async fn pages(caller: &Caller, path: &str, member: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = caller.get(&format!("{path}?limit=2{cursor}")).await;
        let page = answer.data(200);
        assert!(page.as_array().expect("a list").len() <= 2);
        found.extend(each(&page, member));
        match &answer.json()["meta"]["pagination"]["nextCursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            end => {
                assert_eq!(*end, Value::Null);
                return found;
            }
        }
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
