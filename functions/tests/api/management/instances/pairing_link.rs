//! `POST /api/instances/{instance}/pairing-link`: what makes a link, and what ends it.

use chrono::TimeDelta;
use serde_json::json;
use shared::auth::pairing_link::PairingToken;
use shared::clock::Clock as _;
use shared::domain::audit::Action;
use shared::ids::InstanceId;
use testbed::caller::PASSWORD;

use crate::management::pair::{how, link};
use crate::management::people::{administrator, id, login, member};
use crate::support::{User, World};

const ENDED: &str = "404 NOT_FOUND: The pairing link has ended: ask for another one";
const UNKNOWN: &str = "404 NOT_FOUND: There is no such pairing link";
const USED: &str = "404 NOT_FOUND: The pairing link is used up: its instance is paired";

async fn with_an_instance() -> (World, User, InstanceId) {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    (world, user, instance)
}

/// What whoever has the link is told who asks for QR codes.
async fn connect(world: &World, page: &str) -> String {
    let answer = world.nobody.post(&format!("{page}/connect"), ()).await;
    match answer.status {
        202 => "done".to_owned(),
        _ => answer.error(),
    }
}

#[tokio::test]
async fn a_link_leads_to_the_page_at_the_address_of_the_deployment() {
    for (configured, base) in [
        (Some("https://api.example.org/"), "https://api.example.org"),
        (None, "http://waxwing.example"),
    ] {
        let world = World::with(|mut config| {
            config.base.public_url = configured.map(str::to_owned);
            config
        })
        .await;
        let user = world.register("ada@example.com").await;
        let instance = world.instance(&user, "sales").await;
        let answer = user.post("/api/instances/sales/pairing-link", ()).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        let made = answer.data(201);
        assert_eq!(made["expiresAt"], json!("2026-01-01T00:30:00.000Z"));
        let url = made["url"].as_str().expect("a URL");
        let token = url.strip_prefix(&format!("{base}/pair/")).expect("a page's URL");
        let token: PairingToken = token.parse().expect("a token");
        assert_eq!(token.instance(), instance);
        assert_eq!(
            world.audited(&user, Action::PairingLinkCreated).await,
            [instance.to_string()]
        );
    }
}

#[tokio::test]
async fn a_link_lives_for_half_an_hour_and_opening_it_uses_nothing_up() {
    let (world, user, _) = with_an_instance().await;
    let page = link(&user, "sales").await;
    for _ in 0..5 {
        assert_eq!(world.nobody.get(&page).await.status, 200);
        assert_eq!(how(&world, &page).await, "open");
    }
    world
        .clock
        .advance(TimeDelta::minutes(30) - TimeDelta::milliseconds(1));
    assert_eq!(connect(&world, &page).await, "done");
    world.clock.advance(TimeDelta::milliseconds(1));
    assert_eq!(how(&world, &page).await, "ended");
    assert_eq!(connect(&world, &page).await, ENDED);
    let state = world.nobody.get(&format!("{page}/state")).await.data(200);
    for member in ["instance", "network", "status", "reason", "qr", "code", "passkey"] {
        assert_eq!(state[member], json!(null), "{member}");
    }
}

#[tokio::test]
async fn another_link_takes_the_place_of_the_one_before() {
    let (world, user, _) = with_an_instance().await;
    let first = link(&user, "sales").await;
    let second = link(&user, "sales").await;
    assert_ne!(first, second);
    assert_eq!(how(&world, &first).await, UNKNOWN);
    assert_eq!(connect(&world, &first).await, UNKNOWN);
    assert_eq!(how(&world, &second).await, "open");
}

#[tokio::test]
async fn a_link_pairs_once_whatever_becomes_of_the_instance() {
    let (world, user, instance) = with_an_instance().await;
    let page = link(&user, "sales").await;
    world.daemon.pair(instance).await;
    assert_eq!(how(&world, &page).await, "used");
    assert_eq!(connect(&world, &page).await, USED);
    let paired = user.post("/api/instances/sales/pairing-link", ()).await;
    assert_eq!(
        paired.error(),
        "409 CONFLICT: The instance is paired already: log it out before it is paired anew"
    );
    // The phone has unlinked it.
    let unpaired = world.state.instances.set_account(instance, 1, None).await;
    unpaired.expect("stored");
    assert_eq!(how(&world, &page).await, UNKNOWN);
    let next = link(&user, "sales").await;
    assert_eq!(how(&world, &next).await, "open");
}

#[tokio::test]
async fn a_link_ends_with_its_instance() {
    let (world, user, instance) = with_an_instance().await;
    let page = link(&user, "sales").await;
    user.delete("/api/instances/sales").await.data(200);
    assert_eq!(how(&world, &page).await, UNKNOWN);
    assert_eq!(connect(&world, &page).await, UNKNOWN);
    world.state.instances.purge(instance).await.expect("purged");
    let buried = world.state.instances.bury(instance, 1, world.clock.now()).await;
    buried.expect("buried");
    assert_eq!(how(&world, &page).await, UNKNOWN);
}

#[tokio::test]
async fn a_link_ends_when_its_maker_may_not_pair_any_more() {
    let (world, ada, _) = with_an_instance().await;
    let bob = member(&world, &ada, "bob@example.com").await;
    let root = administrator(&world, "root@example.com").await;

    let page = link(&bob, "sales").await;
    let changed = json!({"currentPassword": PASSWORD, "newPassword": "another horse battery"});
    let answer = bob.post("/api/auth/change-password", changed).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(how(&world, &page).await, "ended", "another password");

    let page = link(&ada, "sales").await;
    let subscription = format!("/api/subscriptions/{}", ada.subscription);
    for (active, expected) in [(false, "ended"), (true, "open")] {
        root.patch(&subscription, json!({"active": active}))
            .await
            .data(200);
        assert_eq!(how(&world, &page).await, expected);
    }

    let carol = member(&world, &ada, "carol@example.com").await;
    let page = link(&carol, "sales").await;
    assert_eq!(how(&world, &page).await, "open");
    let path = format!("/api/subscription/members/{}", id(&carol).await);
    ada.delete(&path).await.data(200);
    assert_eq!(how(&world, &page).await, "ended", "removed");
    assert_eq!(connect(&world, &page).await, ENDED);
}

#[tokio::test]
async fn a_user_may_make_so_many_links() {
    let (world, user, _) = with_an_instance().await;
    let path = "/api/instances/sales/pairing-link";
    for _ in 0..20 {
        user.post(path, ()).await.data(201);
    }
    let answer = user.post(path, ()).await;
    assert_eq!(answer.code(), "429 RATE_LIMITED");
    assert!(!answer.header("retry-after").is_empty());
    world.clock.advance(TimeDelta::hours(1));
    let user = login(&world, "ada@example.com").await;
    user.post(path, ()).await.data(201);
}

#[tokio::test]
async fn a_link_is_of_its_own_subscription_alone() {
    let (world, _, instance) = with_an_instance().await;
    let eve = world.register("eve@example.com").await;
    for which in [instance.to_string(), "sales".to_owned()] {
        let answer = eve
            .post(&format!("/api/instances/{which}/pairing-link"), ())
            .await;
        assert_eq!(answer.error(), "404 NOT_FOUND: There is no such instance");
    }
    // A token of another instance opens nothing of this one.
    world.instance(&eve, "other").await;
    let page = link(&eve, "other").await;
    let token = page.rsplit('/').next().expect("a token");
    let forged = PairingToken::generate(instance);
    let swapped = format!("/pair/{}{}", &forged.reveal()[..21], &token[21..]);
    for page in [format!("/pair/{}", forged.reveal()), swapped] {
        assert_eq!(how(&world, &page).await, UNKNOWN);
    }
    let state = world.nobody.get(&format!("{page}/state")).await.data(200);
    assert_eq!(state["instance"], json!("other"));
}
