//! What needs an address that is shown to be the user's own.

use serde_json::json;
use shared::domain::network::Network;
use shared::queue::{QueueNames, deployment};

use crate::support::{Answer, User, World};

const REFUSED: &str = "403 FORBIDDEN: Your e-mail address is not verified, which this needs: send the code of the mail to \
    `POST /api/auth/verify-email`; `POST /api/auth/resend-verification` sends another. Until then the network `sandbox` is \
    open to you";

async fn world() -> World {
    let world = World::with(|mut config| {
        config.base.networks = vec![Network::Live, Network::Sandbox];
        config
    })
    .await;
    let live = QueueNames::new(testbed::queues::PREFIX, "live").expect("names");
    deployment::ensure_all(&*world.queue, &live, 1)
        .await
        .expect("created");
    world
}

async fn create(user: &User, network: &str) -> Answer {
    let body = json!({"name": network, "network": network});
    user.post("/api/instances", body).await
}

#[tokio::test]
async fn an_instance_on_live_waits_for_the_users_address() {
    let world = world().await;
    let user = world.register("ada@example.com").await;
    create(&user, "sandbox").await.data(201);
    let path = "/api/instances/sandbox/connect";
    user.post(path, ()).await.data(202);
    assert_eq!(create(&user, "live").await.error(), REFUSED);
    let body = json!({"token": world.mail.code("ada@example.com")});
    user.post("/api/auth/verify-email", body).await.data(200);
    create(&user, "live").await.data(201);
    let path = "/api/instances/live/connect";
    user.post(path, ()).await.data(202);
}

#[tokio::test]
async fn an_instance_on_live_connects_for_whose_address_is_verified_alone() {
    let world = world().await;
    let ada = world.register("ada@example.com").await;
    world.verify(&ada).await;
    create(&ada, "live").await.data(201);
    // Made by an administrator, in the same subscription.
    let root = crate::management::people::administrator(&world, "root@example.com").await;
    let body = json!({
        "email": "bob@example.com", "password": crate::support::PASSWORD, "name": "Bob", "role": "USER",
        "subscriptionId": ada.subscription,
    });
    root.post("/api/users", body).await.data(201);
    let bob = crate::management::people::login(&world, "bob@example.com").await;
    for (action, body) in [
        ("connect", None),
        ("restart", None),
        ("pairing-code", Some(json!({"phone": "15550100009"}))),
    ] {
        let path = format!("/api/instances/live/{action}");
        assert_eq!(bob.post(&path, body).await.error(), REFUSED);
    }
    // What ends a connection needs nothing.
    let path = "/api/instances/live/disconnect";
    bob.post(path, ()).await.data(202);
    let path = "/api/instances/live/connect";
    ada.post(path, ()).await.data(202);
}

#[tokio::test]
async fn a_deployment_that_sends_no_mail_asks_for_no_verified_address() {
    let world = world().await;
    world.mail.switch_off();
    let user = world.register("ada@example.com").await;
    create(&user, "live").await.data(201);
}
