//! Tokens of trust: who is a stranger, and what is done when WhatsApp misses a token.

use sandbox::{Fault, Rule, Target};
use shared::domain::content::Said;
use shared::domain::message::FailureCode;
use shared::ids::MessageId;
use testbed::wait::until;

use crate::world::{World, to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_a_stranger_until_the_first_message() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let other = to(&other);
    // While it cannot be looked up, nobody counts as a stranger.
    until("a stranger", async || {
        (!session.connection.has_written_to(&other).await).then_some(())
    })
    .await;
    let group = "120363021033254949@g.us".parse().expect("a group");
    assert!(session.connection.has_written_to(&group).await);
    let message = MessageId::from_bytes([7; 16]);
    let sent = session
        .connection
        .send(message, &other, &Said::text("nice to meet you"))
        .await;
    sent.expect("on the wire");
    assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    // The library gives a token after the message.
    until("the token that was given", async || {
        session.connection.has_written_to(&other).await.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_done_about_a_missing_token_leaves_the_way_open_for_the_same_message() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let rule = Rule {
        code: Some(463),
        count: Some(1),
        ..Rule::new(Target::phone(&own), Fault::Refuse)
    };
    world.sandbox.faults().add(rule).await.expect("added");
    let message = MessageId::from_bytes([7; 16]);
    let (other, content) = (to(&other), Said::text("please let me in"));
    let refused = session.connection.send(message, &other, &content).await;
    refused.expect("on the wire");
    assert_eq!(session.acknowledged(&message.to_whatsapp()).await, Some(463));
    let told = session.connection.explain(&other, Some(463)).await;
    let failure = told.expect("told").expect("a cause");
    assert_eq!(failure.code, FailureCode::TrustTokenMissing.as_str());
    session.connection.refresh_trust(&other).await.expect("refreshed");
    let again = session.connection.send(message, &other, &content).await;
    again.expect("on the wire");
    assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
}
