//! The deployment's template, `template.yaml`, held against this function: what calls it, for how long it may take, and what
//! it may do to the table.

use std::time::Duration;

use chrono::TimeDelta;
use functions::webhook_delivery::batch::BUDGET;
use shared::queue::deployment::EVENTS_VISIBILITY;
use testbed::relay::Relay;
use testbed::table::patient;

use crate::policies::{denied, resource};
use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

const FUNCTION: &str = "WebhooksFunction";

#[test]
fn both_queues_call_it_and_wait_until_it_has_ended() {
    let lines = resource(FUNCTION);
    let values = |key: &str| -> Vec<String> {
        let found = lines.iter().filter_map(|line| line.trim().strip_prefix(key));
        found.map(str::to_owned).collect()
    };
    assert_eq!(values("Type: ")[1..], ["SQS", "SQS"]);
    assert_eq!(
        values("Queue: "),
        ["!GetAtt Events.Arn", "!GetAtt EventsRetry.Arn"]
    );
    assert_eq!(values("BatchSize: "), ["10", "10"]);
    assert_eq!(
        values("FunctionResponseTypes: "),
        ["[ReportBatchItemFailures]"; 2]
    );
    let timeout: u64 = values("Timeout: ")[0].parse().expect("seconds");
    let timeout = Duration::from_secs(timeout);
    // An attempt, and what is stored of it.
    assert!(BUDGET + Duration::from_secs(15 + 15) <= timeout);
    // AWS asks for six times as much: the time counts from the receive, and a batch may wait for its invocation.
    assert!(timeout * 6 <= EVENTS_VISIBILITY);
}

#[tokio::test]
async fn it_meets_nothing_that_its_policies_deny() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let rules = denied(&relay, FUNCTION);
    let state = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    for (name, status) in [("good", 200), ("bad", 500), ("gone", 410)] {
        let receiver = Receiver::that(Does::status(status)).await;
        let instance = world.hooked(name, &receiver.url()).await;
        for _ in 0..2 {
            world.tell(&instance, "15550100001", "hello").await;
            world
                .invoke(&state, &world.names.events())
                .await
                .expect("a batch");
            world.clock.advance(TimeDelta::seconds(6));
            while world.invoke(&state, &world.names.events_retry()).await.is_some() {}
        }
        receiver.until_heard(1).await;
    }
    let met: Vec<_> = rules.iter().filter(|(_, rule)| rule.hits() > 0).collect();
    assert!(met.is_empty(), "{met:?}");
}
