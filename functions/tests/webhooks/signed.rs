//! What an endpoint is sent.

use chrono::{DateTime, TimeDelta};
use serde_json::json;
use shared::domain::delivery::{DeliveryState, Progress, Row};
use shared::domain::event::{EventType, Wants};
use shared::domain::webhook::{Confidential, WebhookSecret};
use standardwebhooks::Webhook as Verifier;

use crate::receiver::{Does, Heard, Receiver};
use crate::world::{World, headers};

/// Whether a request is signed with a secret, as whoever has that finds out.
fn is_signed_with(heard: &Heard, secret: &WebhookSecret) -> bool {
    let verifier = Verifier::new(secret.reveal()).expect("a secret");
    let seconds = heard.headers["webhook-timestamp"].parse().expect("seconds");
    let signature = verifier.sign(heard.id(), seconds, &heard.body).expect("signed");
    heard.headers["webhook-signature"]
        .split(' ')
        .any(|given| given == signature)
}

#[tokio::test]
async fn an_event_comes_signed_in_the_contracts_form_and_is_in_the_log() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(204)).await);
    let instance = world.instance("sales").await;
    let own = headers(&[("authorization", "Bearer of theirs"), ("x-shop", "7")]);
    let confidential = Confidential::new(own);
    let secret = confidential.secret.clone();
    world
        .webhook(&instance, &receiver.url(), confidential, Wants::everything())
        .await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    let heard = receiver.heard();
    assert_eq!(heard.len(), 1);
    let told = heard[0].event();
    assert_eq!(told["id"], event.to_string());
    assert_eq!(heard[0].id(), event.to_string());
    assert_eq!(told["type"], "message.received");
    assert_eq!(told["timestamp"], "2026-01-01T00:00:00.000Z");
    assert_eq!(
        told["instance"],
        json!({"id": instance.id.to_string(), "name": "sales", "metadata": {"shop": "7"}})
    );
    assert_eq!(told["data"]["text"], "hello");
    assert_eq!(
        told["data"]["from"],
        json!({"phone": "15550100001", "lid": null, "name": "Ada"})
    );
    assert_eq!(
        heard[0].headers["webhook-timestamp"],
        world.now().timestamp().to_string()
    );
    assert!(is_signed_with(&heard[0], &secret));
    assert!(!is_signed_with(&heard[0], &WebhookSecret::generate()));
    assert_eq!(heard[0].headers["content-type"], "application/json");
    assert_eq!(heard[0].headers["authorization"], "Bearer of theirs");
    assert_eq!(heard[0].headers["x-shop"], "7");
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.kind, "message.received");
    assert_eq!(
        delivery.progress,
        Progress {
            state: DeliveryState::Succeeded,
            next_attempt_at: None,
            body_until: None,
            row: Row {
                asked_at: DateTime::UNIX_EPOCH,
                made: Some(1),
            },
        }
    );
    assert_eq!(delivery.attempts.len(), 1);
    assert_eq!(
        (delivery.attempts[0].status, delivery.attempts[0].fault),
        (Some(204), None)
    );
    assert_eq!(world.left().await, (0, 0));
    assert!(!world.is_kept(&instance, event).await);
}

#[tokio::test]
async fn both_secrets_sign_while_they_change() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.instance("sales").await;
    let old = Confidential::new(headers(&[]));
    let until = world.now() + TimeDelta::hours(1);
    let new = old.rotated(Some(until), world.now());
    world
        .webhook(&instance, &receiver.url(), new.clone(), Wants::everything())
        .await;
    world.tell(&instance, "15550100001", "during").await;
    world.work().await;
    world.clock.advance(TimeDelta::hours(2));
    world.tell(&instance, "15550100001", "after").await;
    world.work().await;
    let heard = receiver.heard();
    assert!(is_signed_with(&heard[0], &old.secret) && is_signed_with(&heard[0], &new.secret));
    assert!(!is_signed_with(&heard[1], &old.secret) && is_signed_with(&heard[1], &new.secret));
}

#[tokio::test]
async fn a_webhook_is_sent_what_it_wants_and_nothing_else() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.instance("sales").await;
    let statuses = Wants::only(&[EventType::MessageStatus]);
    let confidential = Confidential::new(headers(&[]));
    world
        .webhook(&instance, &receiver.url(), confidential, statuses)
        .await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    assert_eq!(receiver.connections(), 0);
    assert_eq!(world.delivery(&instance, event).await, None);
    assert_eq!(world.left().await, (0, 0), "it is dropped");
}
