//! What is bounded.

use serde_json::json;
use shared::auth::api_key::Scope;
use shared::domain::feed::FeedEvent;
use testbed::socket_io::{Client, upgrade};
use testbed::wait::until;

use crate::world::World;

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off_and_the_others_do_not_notice() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let mut reads = feed.follower(&ada.token).await;
    let mut sleeps = feed.follower(&ada.token).await;
    let large = "x".repeat(15_000);
    let mut number = 0_u8;
    let mut heard = 0;
    // More than the systems' buffers take.
    while heard < 200 {
        for _ in 0..32 {
            number = number.wrapping_add(1);
            let data = json!({"number": number, "round": heard, "text": large});
            let event = crate::world::shown(&sales, FeedEvent::PresenceUpdate, number, &data);
            let id =
                shared::ids::EventId::derived(sales.created_at, &[&heard.to_string(), &number.to_string()]);
            feed.hub.show(daemon::announce::hub::Shown { id, ..event });
        }
        for _ in 0..32 {
            assert_eq!(reads.event().await.0, "presence:update");
        }
        heard += 1;
    }
    until("the end of the slow one", async || {
        (feed.realtime.load().sockets == 1).then_some(())
    })
    .await;
    assert_eq!(feed.realtime.load().cut_off, 1);
    // Its connection is over, and not just its place: what the systems' buffers have is all that comes.
    let (code, is_said) = sleeps.end().await;
    assert_eq!((code, is_said), (None, false));
    feed.show(&sales, FeedEvent::MessageStatus, 1);
    assert_eq!(reads.event().await.0, "message:status");
}

#[tokio::test]
async fn a_burst_cuts_nobody_who_reads() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let (sales, support) = (
        world.instance(&ada, "sales").await,
        world.instance(&ada, "support").await,
    );
    let mut clients = [feed.follower(&ada.token).await, feed.follower(&ada.token).await];
    // More than waits for a socket, at once.
    let told: Vec<_> = (0..=255)
        .map(|number| feed.show(&sales, FeedEvent::PresenceUpdate, number))
        .collect();
    for client in &mut clients {
        for id in &told {
            assert_eq!(client.event().await.1["id"], json!(id));
        }
    }
    assert_eq!(feed.realtime.load().cut_off, 0);
    // They are told what comes as before.
    let next = feed.show(&support, FeedEvent::PresenceUpdate, 1);
    for client in &mut clients {
        assert_eq!(client.event().await.1["id"], json!(next));
    }
}

#[tokio::test]
async fn sockets_of_a_key_are_bounded_and_a_place_is_free_again() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let key = world.key(&ada, &sales, &[Scope::MessagesRead]).await;
    let token = key.secret.reveal();
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(Client::join(&feed.address, token).await.expect("let in"));
    }
    let refused = Client::join(&feed.address, token).await.err();
    assert_eq!(refused.as_deref(), Some("RATE_LIMITED"));
    // Others of the subscription have places of their own.
    let other = world.key(&ada, &sales, &[Scope::MessagesRead]).await;
    assert!(Client::join(&feed.address, other.secret.reveal()).await.is_ok());
    drop(open.pop());
    until("a free place", async || {
        Client::join(&feed.address, token).await.ok()
    })
    .await;
}

#[tokio::test]
async fn connections_of_a_process_are_bounded_and_a_place_is_free_again() {
    let world = World::new().await;
    let feed = world
        .feed_with("a", &world.table, |settings| shared::config::Realtime {
            sockets: 2,
            ..settings
        })
        .await;
    let ada = world.owner("ada@example.com").await;
    // One that has shown no token has a place as well.
    let (_one, waits) = (feed.follower(&ada.token).await, Client::open(&feed.address).await);
    let answer = upgrade(&feed.address).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(
        answer.contains("\"UNAVAILABLE\"") && answer.contains("retry-after: 5"),
        "{answer}"
    );
    drop(waits);
    until("a free place", async || {
        upgrade(&feed.address)
            .await
            .starts_with("HTTP/1.1 101")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_asks_too_often_or_too_much_is_ended() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let mut asks = feed.follower(&ada.token).await;
    // A few more than that are allowed while it takes to ask so often.
    for _ in 0..200 {
        asks.emit("anything", json!({})).await;
    }
    assert_eq!(asks.end().await, (Some("RATE_LIMITED".to_owned()), true));
    let mut large = feed.follower(&ada.token).await;
    large
        .emit("subscribe", json!({"instance": "x".repeat(20_000)}))
        .await;
    assert_eq!(large.end().await, (None, false));
    let mut curious = feed.follower(&ada.token).await;
    let answer = curious.ask("messages:read", json!({})).await;
    assert_eq!(answer["error"]["code"], "VALIDATION_ERROR");
}

#[tokio::test]
async fn connections_count_against_the_keys_rate() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let key = world.key_with(&ada, &sales, |grant| grant.rate_limit = 3).await;
    for _ in 0..3 {
        assert!(Client::join(&feed.address, key.secret.reveal()).await.is_ok());
    }
    let refused = Client::join(&feed.address, key.secret.reveal()).await.err();
    assert_eq!(refused.as_deref(), Some("RATE_LIMITED"));
}
