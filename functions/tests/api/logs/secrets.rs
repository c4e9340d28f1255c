//! Every secret that goes through the API, in what succeeds, what is refused and what fails.

use serde_json::{Value, json};
use shared::domain::instance::Status;
use shared::ids::InstanceId;
use testbed::caller::Body;

use super::Log;
use crate::management::people::accept;
use crate::support::{Caller, PASSWORD, User, World};

const EMAIL: &str = "zebra.quagga@okapi-bongo.example";
const INVITED: &str = "tapir.kudu@okapi-bongo.example";
const NUMBER: &str = "15558675309";
const SAID: &str = "meet-me-at-the-aardvark-at-noon";
const WRONG: &str = "wrong-horse-wrong-battery";
const QR: &str = "2@qr-text-of-a-pangolin";

#[tokio::test]
async fn no_line_ever_says_a_secret() {
    let log = Log::start();
    let world = World::new().await;
    let user = world.register(EMAIL).await;
    let instance = world.instance(&user, "sales").await;
    let link = open_a_pairing_page(&world, &user, instance).await;
    show_a_code(&world, &user, instance).await;
    let key = world.key(&user, instance, json!({})).await;
    send_messages(&world, &user, &key).await;
    let mut secrets = prove_who_one_is(&world, &user).await;

    let known = [
        EMAIL,
        INVITED,
        "okapi-bongo",
        NUMBER,
        SAID,
        WRONG,
        QR,
        PASSWORD,
        key.token(),
    ];
    secrets.extend(known.map(str::to_owned));
    secrets.extend([user.token, user.refresh_token, link]);
    let text = log.text();
    assert!(
        text.contains(&instance.to_string()),
        "it is this deployment's log"
    );
    for secret in secrets {
        assert!(secret.len() >= 8, "`{secret}` may stand there by chance");
        let told = text.lines().find(|told| told.contains(&secret));
        assert_eq!(told, None, "says `{secret}`");
    }
}

async fn post(caller: &Caller, path: &str, body: impl Body, status: u16) -> Value {
    let answer = caller.post(path, body).await;
    assert_eq!(answer.status, status, "{path}: {answer:?}");
    answer.json()["data"].clone()
}

async fn show_a_code(world: &World, user: &User, instance: InstanceId) {
    let path = format!("/api/instances/{instance}");
    post(user, &format!("{path}/connect"), (), 202).await;
    world.daemon.show_qr(instance, QR, 1).await;
    world.daemon.lives().await;
    user.get(&format!("{path}/qr")).await.data(200);
    world.daemon.pair(instance).await;
    world.daemon.observe(instance, Status::Connected).await;
}

/// Does all that the page does, and what goes wrong with it. Answers the link's token.
async fn open_a_pairing_page(world: &World, user: &User, instance: InstanceId) -> String {
    let made = post(user, &format!("/api/instances/{instance}/pairing-link"), (), 201).await;
    let url = made["url"].as_str().expect("a URL");
    let token = url.rsplit('/').next().expect("a token").to_owned();
    let nobody = &world.nobody;
    let page = format!("/pair/{token}");
    for (path, status) in [
        (page.clone(), 200),
        (format!("{page}/state"), 200),
        (format!("{page}/state?token={token}"), 400),
        (format!("{page}/states"), 404),
        (format!("{page}x/state"), 404),
        (format!("{page}/connect"), 405),
    ] {
        assert_eq!(nobody.get(&path).await.status, status, "{path}");
    }
    post(nobody, &format!("{page}/connect"), (), 202).await;
    post(nobody, &format!("{page}/code"), json!({"phone": token}), 400).await;
    world.daemon.show_qr(instance, QR, 1).await;
    world.daemon.lives().await;
    nobody.get(&format!("{page}/state")).await.data(200);
    token
}

async fn send_messages(world: &World, user: &User, key: &Caller) {
    let path = "/api/messages/text";
    let send = json!({"to": NUMBER, "text": SAID});
    post(key, path, send.clone(), 202).await;
    post(user, path, send.clone(), 401).await;
    post(key, "/api/instances", send.clone(), 401).await;
    post(key, path, json!({"to": NUMBER, "text": SAID, SAID: true}), 400).await;
    post(key, path, json!({"to": SAID, "text": 7}), 400).await;
    for path in [
        format!("/api/messages/{NUMBER}"),
        format!("/api/{NUMBER}?text={SAID}"),
    ] {
        assert_eq!(key.get(&path).await.status, 404);
    }
    assert_eq!(key.post(path, format!("{{{SAID}")).await.status, 400);
    world.queue.fail(true);
    post(key, path, send, 503).await;
    world.queue.fail(false);
}

/// Answers the secrets that came of it.
async fn prove_who_one_is(world: &World, user: &User) -> Vec<String> {
    let verification = world.mail.code(EMAIL);
    post(
        user,
        "/api/auth/verify-email",
        json!({"token": verification}),
        200,
    )
    .await;
    let login = "/api/auth/login";
    post(
        &world.nobody,
        login,
        json!({"email": EMAIL, "password": PASSWORD}),
        200,
    )
    .await;
    for email in [EMAIL, "nobody@okapi-bongo.example"] {
        post(
            &world.nobody,
            login,
            json!({"email": email, "password": WRONG}),
            401,
        )
        .await;
    }
    let taken = json!({"email": EMAIL, "password": WRONG, "name": "Zebra"});
    post(&world.nobody, "/api/auth/register", taken, 409).await;
    let change = json!({"currentPassword": WRONG, "newPassword": format!("{WRONG}-2")});
    post(user, "/api/auth/change-password", change, 401).await;
    let forgot = "/api/auth/forgot-password";
    post(&world.nobody, forgot, json!({"email": EMAIL}), 202).await;
    let reset = world.mail.code(EMAIL);
    let invite = json!({"email": INVITED, "name": "Tapir"});
    post(user, "/api/subscription/members", invite, 201).await;
    let invitation = world.mail.code(INVITED);
    accept(world, INVITED).await;
    let refresh = json!({"refreshToken": user.refresh_token});
    let next = post(&world.nobody, "/api/auth/refresh", refresh.clone(), 200).await;
    post(&world.nobody, "/api/auth/refresh", refresh.clone(), 200).await;
    post(&world.nobody, "/api/auth/refresh", refresh, 401).await;
    world.mail.fail(true);
    post(&world.nobody, forgot, json!({"email": EMAIL}), 202).await;
    let next = ["accessToken", "refreshToken"].map(|name| &next["tokens"][name]);
    let next = next.map(|token| token.as_str().expect("a token").to_owned());
    [verification, reset, invitation]
        .into_iter()
        .chain(next)
        .collect()
}
