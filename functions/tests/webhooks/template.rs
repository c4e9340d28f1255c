//! The deployment's template, `template.yaml`, held against this function: what calls it, for how long it may take, and what
//! it may do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use functions::webhook_delivery::batch::BUDGET;
use shared::queue::deployment::EVENTS_VISIBILITY;
use shared::queue::sqs::SqsQueue;
use testbed::relay::Relay;
use testbed::rights::{self, Role};
use testbed::sqs::SqsStandIn;
use testbed::table::patient;

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
async fn it_does_nothing_that_its_policies_do_not_allow() {
    let world = World::new().await;
    let sqs = SqsStandIn::over(world.queue.clone()).await;
    let (table, queue) = (
        Relay::before(&world.database.endpoint).await,
        Relay::before(sqs.endpoint()).await,
    );
    table.record();
    queue.record();
    let queues = SqsQueue::from_config(&shared::aws::stand_in(queue.endpoint()));
    let state = world.another(&patient(table.endpoint()), Arc::new(queues), settings());
    let instance = world.hooked("malformed", "https://example.com/hook").await;
    let (_, group) = world.event(&instance, "15550100001", "hello").await;
    world.push("{}", &group, "malformed").await;
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
    let (tables, queues) = (table.take_calls(), queue.take_calls());
    let sends = queues
        .iter()
        .filter(|call| call.operation.starts_with("SendMessage"));
    assert!(
        sends.count() > 1,
        "what failed is put off, and what is malformed set aside"
    );
    assert!(tables.iter().any(|call| call.operation == "UpdateItem"));
    let denied = rights::denied(Role::Webhooks, tables.iter().chain(&queues));
    assert!(denied.is_empty(), "{denied:?}");
}

/// The lines of a resource of the template, without comments.
fn resource(name: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = std::fs::read_to_string(file).expect("a file of the repository");
    let begins = format!("  {name}:");
    let lines = template.lines().skip_while(|line| *line != begins).skip(1);
    let lines: Vec<_> = lines
        .take_while(|line| line.is_empty() || line.starts_with("   ") || line.starts_with("  #"))
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "the template has no resource {name}");
    lines
}
