//! What is heard, and by whom.

use serde_json::json;
use shared::auth::api_key::Scope;
use shared::domain::feed::FeedEvent;
use shared::ids::EventId;
use testbed::socket_io::Client;

use crate::world::World;

#[tokio::test]
async fn a_user_hears_of_the_whole_subscription_and_of_no_other() {
    let world = World::new().await;
    let feed = world.feed().await;
    let (ada, eve) = (
        world.owner("ada@example.com").await,
        world.owner("eve@example.com").await,
    );
    let (sales, support) = (
        world.instance(&ada, "sales").await,
        world.instance(&ada, "support").await,
    );
    let others = world.instance(&eve, "sales").await;
    let mut client = feed.follower(&ada.token).await;
    let first = feed.show(&sales, FeedEvent::MessageStatus, 1);
    feed.show(&others, FeedEvent::MessageStatus, 2);
    feed.show(&support, FeedEvent::PresenceUpdate, 3);
    feed.show(&others, FeedEvent::MessageStatus, 4);
    let last = feed.show(&sales, FeedEvent::CallReceived, 5);
    let (name, body) = client.event().await;
    assert_eq!((name.as_str(), &body["id"]), ("message:status", &json!(first)));
    assert_eq!(body["instance"]["name"], "sales");
    let (name, body) = client.event().await;
    assert_eq!(
        (name.as_str(), &body["data"]["number"]),
        ("presence:update", &json!(3))
    );
    assert_eq!(
        client.event().await.1["id"],
        json!(last),
        "nothing else before it"
    );
}

#[tokio::test]
async fn who_says_nothing_hears_all_after_a_moment_and_nothing_is_left_out() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let mut client = Client::join(&feed.address, &ada.token).await.expect("let in");
    for number in 1..=3 {
        feed.show(&sales, FeedEvent::MessageStatus, number);
    }
    for number in 1..=3 {
        assert_eq!(client.event().await.1["data"]["number"], json!(number));
    }
}

#[tokio::test]
async fn a_socket_may_narrow_and_widen_what_it_hears() {
    let world = World::new().await;
    let feed = world.feed().await;
    let (ada, eve) = (
        world.owner("ada@example.com").await,
        world.owner("eve@example.com").await,
    );
    let (sales, support) = (
        world.instance(&ada, "sales").await,
        world.instance(&ada, "support").await,
    );
    let others = world.instance(&eve, "others").await;
    let mut client = feed.follower(&ada.token).await;
    let data = client.subscribe(json!({"instance": "Sales"})).await;
    assert_eq!(data, json!({"instance": sales.id, "resumed": false}));
    feed.show(&support, FeedEvent::MessageStatus, 1);
    feed.show(&sales, FeedEvent::MessageStatus, 2);
    assert_eq!(client.event().await.1["data"]["number"], json!(2));
    // Another's does not exist, and changes nothing.
    for instance in [others.id.to_string(), "others".to_owned()] {
        let answer = client.ask("subscribe", json!({"instance": instance})).await;
        assert_eq!(answer["error"]["code"], "NOT_FOUND", "{answer}");
    }
    for wrong in [
        json!({"instance": 7}),
        json!({"instanse": "sales"}),
        json!({"after": "evt"}),
        json!([]),
    ] {
        let answer = client.ask("subscribe", wrong.clone()).await;
        assert_eq!(answer["error"]["code"], "VALIDATION_ERROR", "{wrong}");
    }
    feed.show(&support, FeedEvent::MessageStatus, 3);
    feed.show(&sales, FeedEvent::MessageStatus, 5);
    assert_eq!(client.event().await.1["data"]["number"], json!(5));
    client.subscribe(json!({})).await;
    feed.show(&support, FeedEvent::MessageStatus, 4);
    assert_eq!(client.event().await.1["data"]["number"], json!(4));
}

#[tokio::test]
async fn a_key_hears_of_its_instance_as_far_as_its_scopes_go() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let (sales, support) = (
        world.instance(&ada, "sales").await,
        world.instance(&ada, "support").await,
    );
    let key = world.key(&ada, &sales, &[Scope::MessagesRead]).await;
    let mut client = feed.follower(key.secret.reveal()).await;
    feed.show(&support, FeedEvent::MessageStatus, 1);
    feed.show(&sales, FeedEvent::ConnectionUpdate, 2);
    feed.show(&sales, FeedEvent::PresenceUpdate, 3);
    feed.show(&sales, FeedEvent::MessageReceived, 4);
    let (name, body) = client.event().await;
    assert_eq!(
        (name.as_str(), &body["data"]["number"]),
        ("message:received", &json!(4))
    );
    let answer = client.ask("subscribe", json!({"instance": "support"})).await;
    assert_eq!(answer["error"]["code"], "NOT_FOUND");
    client.subscribe(json!({"instance": "sales"})).await;
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_behind_what_it_has() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let (sales, support) = (
        world.instance(&ada, "sales").await,
        world.instance(&ada, "support").await,
    );
    drop(feed.follower(&ada.token).await);
    let first = feed.show(&sales, FeedEvent::MessageStatus, 1);
    // More than waits for a socket at a time.
    for number in 2..=200 {
        let of = if number % 2 == 0 { &sales } else { &support };
        feed.show(of, FeedEvent::MessageStatus, number);
    }
    let mut client = Client::join(&feed.address, &ada.token).await.expect("let in");
    let data = client.subscribe(json!({"after": first})).await;
    assert_eq!(data["resumed"], json!(true));
    feed.show(&sales, FeedEvent::MessageStatus, 201);
    for number in 2..=201 {
        assert_eq!(client.event().await.1["data"]["number"], json!(number));
    }
    // Once more, of one instance alone.
    let data = client
        .subscribe(json!({"after": first, "instance": "support"}))
        .await;
    assert_eq!(data["resumed"], json!(true));
    for number in (3..=199).step_by(2) {
        assert_eq!(client.event().await.1["data"]["number"], json!(number));
    }
    let last = feed.show(&support, FeedEvent::MessageStatus, 202);
    assert_eq!(
        client.event().await.1["id"],
        json!(last),
        "nothing else before it"
    );
}

#[tokio::test]
async fn a_client_that_was_away_too_long_is_told_to_read_anew() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    feed.show(&sales, FeedEvent::MessageStatus, 1);
    let unknown = EventId::from_bytes([7; 16]);
    let mut client = Client::join(&feed.address, &ada.token).await.expect("let in");
    client.emit("subscribe", json!({"after": unknown})).await;
    assert_eq!(client.event().await.0, "resync");
    feed.show(&sales, FeedEvent::MessageStatus, 2);
    let (_, body) = client.event().await;
    assert_eq!(body["data"]["number"], json!(2), "what comes is heard as ever");
    // Events that others have told are missing: so are they for everybody who follows.
    feed.hub.start_afresh();
    assert_eq!(client.event().await.0, "resync");
    feed.show(&sales, FeedEvent::MessageStatus, 3);
    assert_eq!(client.event().await.1["data"]["number"], json!(3));
}
