//! A message goes out from the account that it was accepted for, and from no other.

use shared::domain::instance::{Status, Wanted};
use shared::domain::message::State;
use shared::domain::person::Person;
use shared::queue::Queue as _;
use testbed::wait::until;

use crate::network::{account, unlinked};
use crate::world::World;

const ALICE: &str = "15550100001";

fn stranger() -> Person {
    Person {
        phone: Some("15550100009".to_owned()),
        lid: Some("100000000000009".to_owned()),
    }
}

#[tokio::test]
async fn a_message_of_another_account_fails_and_nothing_goes_out() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    let message = world.accept(&instance, ALICE, "from the first").await;
    let mut old = world.job(&instance, ALICE, "of older functions").await;
    old.account = None;
    world.record(&old).await;
    world.enqueue(&instance, &old).await;
    let mut daemon = world.daemon("a").await;
    let mut session = daemon.session().await;
    session.log_in_as(stranger()).await;
    let record = world.until_state(&instance, message, State::Failed).await;
    let failure = record.failure.expect("why");
    assert_eq!(
        (failure.code.as_str(), failure.retryable),
        ("ACCOUNT_CHANGED", false)
    );
    assert_eq!(
        session.sent().await.message,
        old.message,
        "a job that names no account still runs"
    );
}

#[tokio::test]
async fn a_message_waits_for_its_account_to_be_paired_again() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    session.tell(unlinked("unlinked by the phone")).await;
    world.until_status(&instance, Status::LoggedOut).await;
    let message = world.accept(&instance, ALICE, "patient").await;
    world.want(&instance, Wanted::Connected).await;
    let mut session = daemon.session().await;
    // The number moved to another phone, and its LID with it.
    let moved = Person {
        phone: Some("15550100007".to_owned()),
        ..account()
    };
    session.log_in_as(moved).await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
}

#[tokio::test]
async fn what_waits_when_its_owner_logs_out_fails() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.want(&instance, Wanted::Disconnected).await;
    world.until_status(&instance, Status::Disconnected).await;
    let message = world.accept(&instance, ALICE, "too late").await;
    until("the job in the daemon's hands", async || {
        let depth = world.queue.depth(&world.names.sends(0)).await.expect("read");
        (depth.in_flight == 1).then_some(())
    })
    .await;
    world.want(&instance, Wanted::LoggedOut).await;
    let unlinking = daemon.session().await;
    unlinking.log_in().await;
    world.until_status(&instance, Status::LoggedOut).await;
    let record = world.until_state(&instance, message, State::Failed).await;
    assert_eq!(record.failure.expect("why").code, "ACCOUNT_CHANGED");
    world.until_no_sends().await;
    drop((session, unlinking));
}
