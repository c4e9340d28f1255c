//! Messages that pile up while their instance is offline.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use shared::domain::instance::{Status, Wanted};
use shared::domain::job::SendJob;
use shared::domain::message::State;
use shared::ids::MessageId;

use crate::world::World;

const TEXTS: usize = 1_000;
const CHATS: usize = 16;

/// Every tenth of them is worth nothing after an hour.
#[tokio::test]
async fn a_backlog_goes_out_in_order_without_what_has_expired_and_no_other_instance_waits_for_it() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, _session) = world.connected(&mut daemon).await;
    let other = world.instance("other").await;
    world.nudge(&other).await;
    let mut others = daemon.session().await;
    others.log_in().await;
    world.until_status(&other, Status::Connected).await;
    world.want(&instance, Wanted::Disconnected).await;
    world.until_status(&instance, Status::Disconnected).await;

    let mut wanted = BTreeMap::<String, Vec<MessageId>>::new();
    let mut expired = Vec::new();
    for n in 0..TEXTS {
        let to = format!("155501000{:02}", n % CHATS);
        let job = world.job(&instance, &to, "wait").await;
        let is_short = n % 10 == 9;
        let time = TimeDelta::hours(if is_short { 1 } else { 24 });
        let job = SendJob {
            expires_at: world.now() + time,
            ..job
        };
        world.enqueue(&instance, &job).await;
        if is_short {
            expired.push(job.message);
        } else {
            wanted.entry(to).or_default().push(job.message);
        }
    }
    world.clock.advance(TimeDelta::hours(1));
    let text = world.accept(&other, "15550100001", "meanwhile").await;
    assert_eq!(others.sent().await.message, text);
    others.acknowledge(text, None).await;
    world.until_state(&other, text, State::Sent).await;

    world.want(&instance, Wanted::Connected).await;
    let mut session = daemon.session().await;
    session.log_in().await;
    let mut sent = BTreeMap::<String, Vec<MessageId>>::new();
    for n in 0..TEXTS - expired.len() {
        let one = session.sent().await;
        session.acknowledge(one.message, None).await;
        let to = one.to.phone().expect("a number").to_owned();
        sent.entry(to).or_default().push(one.message);
        if n == TEXTS / 2 {
            let text = world.accept(&other, "15550100001", "in between").await;
            assert_eq!(others.sent().await.message, text);
            others.acknowledge(text, None).await;
        }
    }
    assert!(sent == wanted, "each chat in its order");
    for message in expired {
        world.until_state(&instance, message, State::Expired).await;
    }
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
    daemon.stop().await;
}
