//! What a build writes that knows one kind of message more.

use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::content::{self, Content};
use shared::domain::instance::Instance;
use shared::domain::job::Job;
use shared::domain::message::State;
use shared::domain::payload;
use shared::domain::shard::lane;
use shared::sealed;

use crate::world::World;

const ALICE: &str = "15550100001";

impl World {
    /// Accepts a hologram, as the next build does.
    async fn accept_hologram(&self, instance: &Instance, to: &str) {
        let job = self.job(instance, to, "in its place").await;
        self.record(&job).await;
        let hologram = json!({"kind": "hologram", "depth": 3});
        let content = sealed::seal(&self.sealer, instance.id, &job.message, &hologram).await;
        let body = payload::encode(&Job::Send(job.clone()));
        let mut body: Value = serde_json::from_str(&body).expect("JSON");
        body["v"] = json!(content::NEWEST + 1);
        body["kind"] = json!("hologram");
        body["content"] = json!(content.expect("sealed"));
        self.enqueue_raw(instance, &job.to, body.to_string(), &job.message.to_string())
            .await;
    }
}

#[tokio::test]
async fn a_kind_of_a_newer_build_waits_in_its_chat_and_texts_go_on() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _) = world.connected(&mut daemon).await;
    daemon.stop().await;
    let lane_of = |number: &str| lane(instance.id, &number.parse().expect("a number"));
    let numbers = || (2..99).map(|n| format!("155501000{n:02}"));
    let beside = numbers().find(|number| lane_of(number) == lane_of(ALICE));
    let elsewhere = numbers().find(|number| lane_of(number) != lane_of(ALICE));
    let beside = beside.expect("another chat of the lane");
    let elsewhere = elsewhere.expect("eight lanes");

    world.accept_hologram(&instance, ALICE).await;
    let behind = world.accept(&instance, ALICE, "behind it").await;
    let beside = world.accept(&instance, &beside, "beside it").await;
    let elsewhere = world.accept(&instance, &elsewhere, "elsewhere").await;
    let mut daemon = world.daemon("b").await;
    let mut session = daemon.session().await;
    session.log_in().await;
    let mut sent = Vec::new();
    for _ in 0..2 {
        let message = session.sent().await.message;
        session.acknowledge(message, None).await;
        world.until_state(&instance, message, State::Sent).await;
        sent.push(message);
    }
    sent.sort();
    let mut wanted = [beside, elsewhere];
    wanted.sort();
    assert_eq!(sent, wanted);
    let queue = world.names.sends(0);
    testbed::wait::until("the hiding of what waits", async || {
        world
            .queue
            .was_hidden_for(&queue, Duration::from_mins(1))
            .then_some(())
    })
    .await;
    let left = world.messages.get(instance.id, behind).await.expect("read");
    assert_eq!(left.expect("there").state, State::Queued, "it keeps its place");
    assert_eq!(session.sent_besides(), []);
    assert_eq!(world.taken(&world.names.dead_fifo()).await, []);
}

/// The payload's version says that this build knows what is in it: no newer daemon will.
#[tokio::test]
async fn content_that_is_none_is_parked_and_its_sender_is_told() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut job = world.job(&instance, ALICE, "in its place").await;
    let sealing = sealed::seal(&world.sealer, instance.id, &job.message, &Content::Unknown);
    job.content = sealing.await.expect("sealed");
    world.record(&job).await;
    world.enqueue(&instance, &job).await;
    let record = world.until_state(&instance, job.message, State::Failed).await;
    assert_eq!(record.failure.expect("why").code, "UNPROCESSABLE");
    world.until_no_sends().await;
    assert_eq!(world.taken(&world.names.dead_fifo()).await.len(), 1);
    assert_eq!(session.sent_besides(), []);
}
