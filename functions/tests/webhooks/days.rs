//! Endpoints that fail for long: the contract's attempts, and the end.

use chrono::TimeDelta;
use functions::webhook_delivery::plan::PAUSES;
use shared::domain::audit::Action;
use shared::domain::delivery::{AttemptFault, DeliveryState};
use shared::domain::webhook::DisabledReason;
use shared::storage::audit::AuditLog;
use shared::storage::instances::Instances;

use crate::receiver::{Does, Receiver};
use crate::world::{SUBSCRIPTION, World, times};

#[tokio::test]
async fn an_event_has_its_eight_attempts_at_the_contracts_times() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    // In steps as small as the pauses that come next; an endpoint is left alone after five failures, for minutes.
    world.pass(TimeDelta::minutes(1), TimeDelta::seconds(1)).await;
    world.pass(TimeDelta::hours(4), TimeDelta::minutes(1)).await;
    world.pass(TimeDelta::hours(32), TimeDelta::minutes(10)).await;
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Failed);
    assert_eq!(delivery.progress.next_attempt_at, None);
    let made = times(&delivery);
    assert_eq!((made.len(), receiver.heard().len()), (8, 8));
    let pauses: Vec<_> = made.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (second, minute, ten_minutes) = (1, 60, 600);
    for (pause, (wanted, step)) in pauses.iter().zip([
        (5, second),
        (300, minute),
        (1_800, minute),
        (7_200, minute),
        (18_000, ten_minutes),
        (36_000, ten_minutes),
        (36_000, ten_minutes),
    ]) {
        // A tenth longer, and a step of the test at that time.
        let most = wanted + wanted / 10 + step;
        assert!((wanted..=most).contains(pause), "{pauses:?}");
    }
    assert!(
        receiver
            .heard()
            .iter()
            .all(|heard| heard.id() == event.to_string())
    );
    assert!(world.is_kept(&instance, event).await, "somebody may ask for it");
    assert_eq!(world.left().await, (0, 0));
    assert!(
        world.read(&instance).await.enabled,
        "it has not failed for five days"
    );
}

/// What users read is what is done.
#[test]
fn the_documents_table_of_attempts_is_the_plan() {
    let document = include_str!("../../../docs/webhooks.md");
    let (_, table) = document
        .split_once("| attempt | after the one before |\n| --- | --- |\n")
        .expect("a table of attempts");
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let pauses = PAUSES.iter().map(|pause| match pause.num_seconds() {
        seconds @ ..60 => format!("{seconds} seconds"),
        seconds @ 60..3_600 => format!("{} minutes", seconds / 60),
        seconds => format!("{} hours", seconds / 3_600),
    });
    let wanted = std::iter::once("at once".to_owned()).chain(pauses);
    let wanted: Vec<_> = (1..)
        .zip(wanted)
        .map(|(number, pause)| format!("| {number} | {pause} |"))
        .collect();
    assert_eq!(rows, wanted);
}

#[tokio::test]
async fn five_days_of_failure_switch_it_off_with_a_notice() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let mut events = Vec::new();
    for day in 0..5 {
        events.push(world.tell(&instance, "15550100001", &format!("day {day}")).await);
        world.work().await;
        world.pass(TimeDelta::minutes(10), TimeDelta::minutes(1)).await;
        world
            .pass(
                TimeDelta::days(1) - TimeDelta::minutes(10),
                TimeDelta::minutes(15),
            )
            .await;
        let webhook = world.read(&instance).await;
        assert!(webhook.enabled, "after day {day}");
        assert!(webhook.health.failing_since.is_some());
    }
    events.push(world.tell(&instance, "15550100001", "one too many").await);
    world.work().await;
    let webhook = world.read(&instance).await;
    assert!(!webhook.enabled);
    let disabled = webhook.disabled.expect("it says so");
    assert_eq!(
        (disabled.reason, disabled.at),
        (DisabledReason::FailedTooLong, world.now())
    );
    let item = Instances::new(world.table.clone()).get_of_any(instance.id).await;
    let wants = item.expect("read").expect("it is there").wants;
    assert!(wants.is_nothing(), "nothing is queued for it any more");
    let entries = AuditLog::new(world.table.clone())
        .list_day_of(SUBSCRIPTION, world.now().date_naive(), None, 10)
        .await
        .expect("read");
    let entry = entries[0].entry().expect("ours");
    assert_eq!(
        (entry.action, entry.target),
        (Action::WebhookDisabled, Some(instance.id.to_string()))
    );
    assert_eq!(entry.details["reason"], "FAILED_TOO_LONG");

    // What waits is not tried any more, and can be asked for.
    let before = receiver.connections();
    world.pass(TimeDelta::days(2), TimeDelta::hours(1)).await;
    assert_eq!(receiver.connections(), before);
    assert_eq!(world.left().await, (0, 0));
    for event in events {
        assert_eq!(world.progress(&instance, event).await, DeliveryState::Failed);
        assert!(world.is_kept(&instance, event).await);
    }
}

#[tokio::test]
async fn one_success_in_five_days_is_enough() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    world.tell(&instance, "15550100001", "one").await;
    world.work().await;
    world.pass(TimeDelta::days(3), TimeDelta::minutes(15)).await;
    receiver.now(Does::status(200));
    world.tell(&instance, "15550100001", "two").await;
    world.work().await;
    assert!(world.read(&instance).await.health.is_well());
    receiver.now(Does::status(500));
    world.pass(TimeDelta::days(3), TimeDelta::hours(6)).await;
    world.tell(&instance, "15550100001", "three").await;
    world.work().await;
    assert!(world.read(&instance).await.enabled);
}

#[tokio::test]
async fn a_410_switches_it_off_at_once() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(410)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    let behind = world.tell(&instance, "15550100001", "behind it").await;
    world.work().await;
    let webhook = world.read(&instance).await;
    assert_eq!(
        webhook.disabled.map(|disabled| disabled.reason),
        Some(DisabledReason::Gone)
    );
    assert!(!webhook.enabled);
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Failed);
    assert_eq!(delivery.attempts[0].fault, Some(AttemptFault::Gone));
    assert_eq!(world.delivery(&instance, behind).await, None, "nobody wants it");
    assert_eq!((receiver.connections(), world.left().await), (1, (0, 0)));
}

#[tokio::test]
async fn an_endpoint_that_asks_for_time_has_it() {
    let later = Does::Answers(503, vec![("retry-after", "120".to_owned())]);
    let (world, receiver) = (World::new().await, Receiver::that(later).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    let other = world.tell(&instance, "15550100002", "another").await;
    world.work().await;
    assert_eq!(receiver.connections(), 1, "the other event waits as well");
    let delivery = world.delivery(&instance, other).await.expect("it is in the log");
    assert_eq!(delivery.attempts[0].fault, Some(AttemptFault::Paused));
    assert_eq!(delivery.attempts[0].status, None);
    receiver.now(Does::status(200));
    world.pass(TimeDelta::seconds(119), TimeDelta::seconds(7)).await;
    assert_eq!(receiver.connections(), 1);
    world.pass(TimeDelta::minutes(6), TimeDelta::seconds(10)).await;
    for event in [event, other] {
        assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
    }
    assert_eq!(receiver.heard().len(), 3, "each once more");
}
