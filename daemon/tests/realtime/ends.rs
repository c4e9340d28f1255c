//! How a socket ends that may not follow any longer.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use daemon::announce::hub::Shown;
use serde_json::json;
use shared::auth::api_key::Scope;
use shared::domain::feed::FeedEvent;
use shared::ids::EventId;
use shared::storage::keys;
use shared::storage::sessions::Sessions;
use testbed::socket_io::{Came, Client, upgrade};
use testbed::wait::until;

use crate::world::{World, shown};

#[tokio::test]
async fn an_expired_token_ends_the_socket_unless_another_came_first() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let eve = world.owner("eve@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let (mut one, mut other) = (feed.follower(&ada.token).await, feed.follower(&ada.token).await);
    world.passes(TimeDelta::minutes(14));
    for (token, code) in [
        (world.token(&eve), "FORBIDDEN"),
        ("nonsense".to_owned(), "UNAUTHENTICATED"),
    ] {
        let answer = one.ask("auth:refresh", json!({"token": token})).await;
        assert_eq!(answer["error"]["code"], code);
    }
    let answer = one.ask("auth:refresh", json!({"token": world.token(&ada)})).await;
    assert_eq!(
        answer,
        json!({"success": true, "data": {"expiresAt": "2026-01-01T00:29:00Z"}})
    );
    world.passes(TimeDelta::minutes(1));
    assert_eq!(other.end().await, (Some("TOKEN_EXPIRED".to_owned()), true));
    feed.show(&sales, FeedEvent::MessageStatus, 1);
    assert_eq!(one.event().await.1["data"]["number"], json!(1));
    world.passes(TimeDelta::minutes(14));
    assert_eq!(one.end().await, (Some("TOKEN_EXPIRED".to_owned()), true));
}

#[tokio::test]
async fn a_revoked_key_ends_its_sockets_and_no_others() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let (bad, good) = (
        world.key(&ada, &sales, &[Scope::MessagesRead]).await,
        world.key(&ada, &sales, &[Scope::MessagesRead]).await,
    );
    let mut stays = feed.follower(good.secret.reveal()).await;
    let mut ends = [
        feed.follower(bad.secret.reveal()).await,
        feed.follower(bad.secret.reveal()).await,
    ];
    world.revoke(&bad).await;
    for client in &mut ends {
        assert_eq!(client.end().await, (Some("UNAUTHENTICATED".to_owned()), true));
    }
    let answer = stays.ask("auth:refresh", json!({"token": ada.token})).await;
    assert_eq!(
        answer["error"]["code"], "FORBIDDEN",
        "a key has nothing to refresh"
    );
    feed.show(&sales, FeedEvent::MessageStatus, 1);
    assert_eq!(stays.event().await.1["data"]["number"], json!(1));
    until("the end of the others' places", async || {
        (feed.realtime.load().sockets == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_key_that_loses_a_scope_hears_no_more_of_it() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let key = world
        .key(&ada, &sales, &[Scope::MessagesRead, Scope::ContactsRead])
        .await;
    let mut client = feed.follower(key.secret.reveal()).await;
    feed.show(&sales, FeedEvent::PresenceUpdate, 1);
    assert_eq!(client.event().await.0, "presence:update");
    let scopes = AttributeValue::L(vec![AttributeValue::S("messages:read".to_owned())]);
    world
        .set(&keys::api_key(&key.secret.hash()), "scopes", scopes)
        .await;
    // The key is read anew every few seconds.
    let mut number = 0_u32;
    until("the end of what it hears of presence", async || {
        for event in [FeedEvent::PresenceUpdate, FeedEvent::MessageStatus] {
            number += 1;
            let id = EventId::derived(sales.created_at, &["a look", &number.to_string()]);
            let shown = shown(&sales, event, 0, &json!({}));
            feed.hub.show(Shown { id, ..shown });
        }
        if client.event().await.0 == "message:status" {
            return Some(());
        }
        assert_eq!(client.event().await.0, "message:status");
        None
    })
    .await;
}

#[tokio::test]
async fn a_logout_a_user_who_is_switched_off_and_a_subscription_too_end_their_sockets() {
    let world = World::new().await;
    let feed = world.feed().await;
    let mut ends = Vec::new();
    let mut owners = Vec::new();
    for name in ["ada", "bob", "eve", "zoe"] {
        let owner = world.owner(&format!("{name}@example.com")).await;
        ends.push(feed.follower(&owner.token).await);
        owners.push(owner);
    }
    let [logged_out, switched_off, password, inactive] = &*owners else {
        unreachable!("four")
    };
    let sessions = Sessions::new(world.table.clone());
    let session = logged_out.session.session();
    sessions.end(&session).await.expect("ended");
    let user = |of: &crate::world::Owner| keys::user(of.subscription.id, of.user.id);
    world
        .set(&user(switched_off), "active", AttributeValue::Bool(false))
        .await;
    world
        .set(&user(password), "credentials", AttributeValue::N("2".to_owned()))
        .await;
    world.set_active(inactive, false).await;
    for (client, code) in ends.iter_mut().zip([
        "UNAUTHENTICATED",
        "FORBIDDEN",
        "UNAUTHENTICATED",
        "SUBSCRIPTION_INACTIVE",
    ]) {
        assert_eq!(client.end().await, (Some(code.to_owned()), true));
    }
    until("the end of their places", async || {
        (feed.realtime.load().subscriptions == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_daemon_that_stops_cuts_its_sockets_and_takes_no_others() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let mut inside = feed.follower(&ada.token).await;
    let mut at_the_door = Client::open(&feed.address).await;
    feed.stops();
    // A connection that is lost is made again elsewhere. Whoever is told a reason stays away.
    assert_eq!(inside.end().await, (None, false));
    until("the end of the feed", async || {
        upgrade(&feed.address)
            .await
            .starts_with("HTTP/1.1 503")
            .then_some(())
    })
    .await;
    assert_eq!(
        at_the_door.knock(&json!({"token": ada.token})).await,
        Came::Closed
    );
}
