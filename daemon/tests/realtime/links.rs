//! Whoever has a pairing link: what they hear, and how that ends.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use serde_json::json;
use shared::auth::api_key::Scope;
use shared::auth::pairing_link::{LIFETIME, PairingToken};
use shared::domain::feed::FeedEvent;
use shared::domain::instance::{Account, Instance};
use shared::domain::network::Network;
use shared::domain::person::Person;
use shared::ids::InstanceId;
use shared::storage::instances::{Instances, LinkMade, Observation, PairingLink};
use shared::storage::keys;
use testbed::socket_io::{Came, Client};
use testbed::wait::until;

use crate::world::{Owner, World};

/// A new link to this instance, by this user.
async fn link(world: &World, maker: &Owner, instance: &Instance) -> PairingToken {
    let token = PairingToken::generate(instance.id);
    let link = PairingLink {
        user: maker.user.id,
        credentials: maker.user.credentials,
        expires_at: world.now() + LIFETIME,
    };
    let instances = Instances::new(world.table.clone());
    let made = instances.set_pairing_link(&token, &link).await.expect("stored");
    assert_eq!(made, LinkMade::Made);
    token
}

/// The instance is paired.
async fn pair(world: &World, instance: &Instance) {
    let account = Account {
        person: Person {
            phone: Some("15550100001".to_owned()),
            lid: None,
        },
        display_name: None,
    };
    let instances = Instances::new(world.table.clone());
    let stored = instances.set_account(instance.id, 1, Some(&account)).await;
    assert_eq!(stored.expect("stored"), Observation::Stored);
}

async fn refused(address: &str, token: &PairingToken) -> Option<String> {
    Client::join(address, token.reveal()).await.err()
}

#[tokio::test]
async fn a_page_hears_that_its_pairing_goes_on_and_nothing_else() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let support = world.instance(&ada, "support").await;
    let token = link(&world, &ada, &sales).await;
    let mut page = feed.follower(token.reveal()).await;
    let (mut user, key) = (
        feed.follower(&ada.token).await,
        world.key(&ada, &sales, Scope::ALL).await,
    );
    let mut program = feed.follower(key.secret.reveal()).await;

    for (number, event) in (1..).zip(FeedEvent::ALL) {
        feed.show(&sales, *event, number);
        feed.show(&support, *event, number);
    }
    feed.show(&sales, FeedEvent::PairingUpdate, 100);
    feed.show(&sales, FeedEvent::ConnectionUpdate, 101);
    // Health is no event of an instance, and is not for a page either: what comes is looked at as it is.
    for number in [None, Some(100)] {
        let Came::Event(name, told) = page.came().await else {
            panic!("no event");
        };
        assert_eq!(name, "pairing:update");
        if let Some(number) = number {
            assert_eq!(told["data"]["number"], json!(number));
        }
    }
    for client in [&mut user, &mut program] {
        loop {
            let (name, told) = client.event().await;
            assert_ne!(name, "pairing:update", "it is for the page alone");
            if told["data"]["number"] == json!(101) {
                break;
            }
        }
    }
    let answer = page.ask("subscribe", json!({"instance": support.id})).await;
    assert_eq!(answer["error"]["code"], "NOT_FOUND");
    let answer = page.ask("auth:refresh", json!({"token": ada.token})).await;
    assert_eq!(answer["error"]["code"], "FORBIDDEN");
}

#[tokio::test]
async fn a_link_that_is_not_good_lets_nobody_in() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let at = &*feed.address;
    let code = || Some("UNAUTHENTICATED".to_owned());
    let unknown = PairingToken::generate(sales.id);
    assert_eq!(refused(at, &unknown).await, code());
    let nowhere = PairingToken::generate(InstanceId::new(world.now()));
    assert_eq!(refused(at, &nowhere).await, code());

    let replaced = link(&world, &ada, &sales).await;
    let token = link(&world, &ada, &sales).await;
    assert_eq!(refused(at, &replaced).await, code());
    assert_eq!(refused(at, &token).await, None);
    world.set_active(&ada, false).await;
    assert_eq!(refused(at, &token).await, code());
    world.set_active(&ada, true).await;
    let network = AttributeValue::S(Network::Live.to_string());
    world.set(&keys::instance(sales.id), "network", network).await;
    assert_eq!(refused(at, &token).await, code(), "of another network");
    let network = AttributeValue::S(Network::Sandbox.to_string());
    world.set(&keys::instance(sales.id), "network", network).await;
    world.passes(LIFETIME - TimeDelta::milliseconds(1));
    assert_eq!(refused(at, &token).await, None);
    world.passes(TimeDelta::milliseconds(1));
    assert_eq!(refused(at, &token).await, code(), "its time is over");

    let token = link(&world, &ada, &sales).await;
    pair(&world, &sales).await;
    assert_eq!(refused(at, &token).await, code(), "it is used up");
}

#[tokio::test]
async fn a_socket_ends_with_its_link() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let [replaced, paired, deleted, stays] = [
        world.instance(&ada, "replaced").await,
        world.instance(&ada, "paired").await,
        world.instance(&ada, "deleted").await,
        world.instance(&ada, "stays").await,
    ];
    let mut pages = Vec::new();
    for instance in [&replaced, &paired, &deleted, &stays] {
        let token = link(&world, &ada, instance).await;
        pages.push(feed.follower(token.reveal()).await);
    }
    link(&world, &ada, &replaced).await;
    pair(&world, &paired).await;
    let wanted = AttributeValue::S("DELETED".to_owned());
    world.set(&keys::instance(deleted.id), "wanted", wanted).await;
    let over = (Some("UNAUTHENTICATED".to_owned()), true);
    for page in &mut pages[..3] {
        assert_eq!(page.end().await, over);
    }
    feed.show(&stays, FeedEvent::PairingUpdate, 1);
    assert_eq!(pages[3].event().await.0, "pairing:update");
    // Its maker has another password.
    let maker = keys::user(ada.subscription.id, ada.user.id);
    world
        .set(&maker, "credentials", AttributeValue::N("2".to_owned()))
        .await;
    assert_eq!(pages[3].end().await, over);
    until("the end of its place", async || {
        (feed.realtime.load().sockets == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_socket_ends_when_the_time_of_its_link_is_over() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let token = link(&world, &ada, &sales).await;
    let mut page = feed.follower(token.reveal()).await;
    world.passes(LIFETIME);
    assert_eq!(page.end().await, (Some("UNAUTHENTICATED".to_owned()), true));
}

#[tokio::test]
async fn sockets_of_a_link_are_bounded_and_a_place_is_free_again() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let sales = world.instance(&ada, "sales").await;
    let token = link(&world, &ada, &sales).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(Client::join(&feed.address, token.reveal()).await.expect("let in"));
    }
    assert_eq!(
        refused(&feed.address, &token).await.as_deref(),
        Some("RATE_LIMITED")
    );
    assert!(
        Client::join(&feed.address, &ada.token).await.is_ok(),
        "others of the subscription"
    );
    drop(open.pop());
    until("a free place", async || {
        Client::join(&feed.address, token.reveal()).await.ok()
    })
    .await;
}
