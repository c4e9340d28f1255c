//! Who is let in, and what the others are told.

use chrono::TimeDelta;
use serde_json::json;
use shared::auth::api_key::Scope;
use shared::config::{JwtSecret, Secret};
use shared::domain::network::Network;
use shared::storage::sessions::Sessions;
use testbed::relay::{Away, Relay};
use testbed::socket_io::{Came, Client};
use testbed::table;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::World;

/// The code that somebody with this token is refused with.
async fn refused(address: &str, token: &str) -> String {
    match Client::join(address, token).await {
        Ok(_) => panic!("let in"),
        Err(code) => code,
    }
}

#[tokio::test]
async fn a_user_and_a_key_are_let_in() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let key = world.key(&ada, &sales, &[Scope::MessagesRead]).await;
    let _user = Client::join(&feed.address, &ada.token).await.expect("let in");
    let _program = Client::join(&feed.address, key.secret.reveal())
        .await
        .expect("let in");
    let load = feed.realtime.load();
    assert_eq!((load.sockets, load.subscriptions, load.refused), (2, 1, 0));
    let keys = shared::storage::api_keys::ApiKeys::new(world.table.clone());
    let listed = keys.get(sales.id, key.grant.key).await.expect("read");
    let used = listed.expect("listed").last_used_at;
    assert_eq!(used, Some(world.now()), "in the hour that begins now");
}

#[tokio::test]
async fn whoever_has_no_good_token_is_refused_in_the_codes_of_the_api() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let at = &*feed.address;

    for token in ["", "nonsense", "a.b.c", "wak_test_unknown", &"x".repeat(9_000)] {
        assert_eq!(refused(at, token).await, "UNAUTHENTICATED", "{token}");
    }
    let forged = JwtSecret {
        kid: "test".to_owned(),
        secret: Secret::new("another secret than the service's, of 32 bytes"),
    };
    let forged = shared::auth::jwt::Jwts::new(&[forged], TimeDelta::minutes(15));
    let forged = forged.sign(
        ada.user.id,
        ada.subscription.id,
        ada.user.role,
        &ada.session.session(),
        world.now(),
    );
    assert_eq!(refused(at, &forged.expect("signed")).await, "UNAUTHENTICATED");

    let revoked = world.key(&ada, &sales, &[Scope::MessagesRead]).await;
    world.revoke(&revoked).await;
    assert_eq!(refused(at, revoked.secret.reveal()).await, "UNAUTHENTICATED");
    let expired = world
        .key_with(&ada, &sales, |grant| grant.expires_at = Some(grant_time()))
        .await;
    assert_eq!(refused(at, expired.secret.reveal()).await, "UNAUTHENTICATED");
    let without_scope = world
        .key(&ada, &sales, &[Scope::MessagesSend, Scope::MediaWrite])
        .await;
    assert_eq!(
        refused(at, without_scope.secret.reveal()).await,
        "INSUFFICIENT_SCOPE"
    );
    let from_elsewhere = world
        .key_with(&ada, &sales, |grant| {
            grant.allowed_cidrs = vec!["192.0.2.0/24".parse().expect("a range")];
        })
        .await;
    assert_eq!(
        refused(at, from_elsewhere.secret.reveal()).await,
        "IP_NOT_ALLOWED"
    );
    let live = world
        .key_with(&ada, &sales, |grant| grant.network = Network::Live)
        .await;
    assert_eq!(refused(at, live.secret.reveal()).await, "UNAUTHENTICATED");

    let key = world.key(&ada, &sales, &[Scope::MessagesRead]).await;
    world.set_active(&ada, false).await;
    assert_eq!(refused(at, key.secret.reveal()).await, "SUBSCRIPTION_INACTIVE");
    assert_eq!(refused(at, &ada.token).await, "SUBSCRIPTION_INACTIVE");
    world.set_active(&ada, true).await;

    let sessions = Sessions::new(world.table.clone());
    sessions.end(&ada.session.session()).await.expect("ended");
    assert_eq!(refused(at, &ada.token).await, "UNAUTHENTICATED");
    let eve = world.owner("eve@example.com").await;
    world.passes(TimeDelta::minutes(15));
    assert_eq!(refused(at, &eve.token).await, "TOKEN_EXPIRED");
}

fn grant_time() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::UNIX_EPOCH
}

#[tokio::test]
async fn a_handshake_says_a_token_and_nothing_else() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    for (auth, code) in [
        (json!({}), "UNAUTHENTICATED"),
        (json!({"token": 1}), "UNAUTHENTICATED"),
        (json!({"token": ada.token, "tokne": "x"}), "VALIDATION_ERROR"),
    ] {
        let mut client = Client::open(&feed.address).await;
        assert_eq!(client.enter(&auth).await, Err(code.to_owned()));
        // Whoever is refused has a moment to read that, and then the connection is over.
        assert_eq!(client.came().await, Came::Closed);
    }
    assert_eq!(feed.realtime.load().refused, 3);
    assert_eq!(feed.realtime.load().sockets, 0);
}

#[tokio::test]
async fn a_connection_that_shows_no_token_is_closed() {
    let world = World::new().await;
    let feed = world.feed().await;
    let mut client = Client::open(&feed.address).await;
    assert_eq!(client.came().await, Came::Closed);
}

#[tokio::test]
async fn there_is_no_transport_but_websocket() {
    let world = World::new().await;
    let feed = world.feed().await;
    let mut stream = TcpStream::connect(&feed.address).await.expect("connected");
    let request = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn nobody_is_let_in_whom_the_table_does_not_tell_of() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let feed = world
        .feed_with("a", &table::table(relay.endpoint()), |settings| settings)
        .await;
    let ada = world.owner("ada@example.com").await;
    let mut inside = feed.follower(&ada.token).await;
    relay.take_away(Away::Refused);
    // The connection is lost, and nothing is said: clients would take a refusal for final.
    let mut outside = Client::open(&feed.address).await;
    assert_eq!(outside.knock(&json!({"token": ada.token})).await, Came::Closed);
    assert_eq!(feed.realtime.load().refused, 1);
    // Whoever is in stays.
    assert_eq!(inside.subscribe(json!({})).await["resumed"], json!(false));
    relay.give_back();
    assert!(Client::join(&feed.address, &ada.token).await.is_ok());
}
