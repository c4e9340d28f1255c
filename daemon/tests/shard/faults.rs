//! A queue and a table that fail at times lose nothing.

use std::collections::HashSet;

use shared::domain::instance::{Instance, Status};
use shared::domain::message::State;
use shared::ids::MessageId;
use testbed::relay::{Fate, On, Relay, Rule};

use crate::network::{Playing, Sent};
use crate::world::World;

/// Acknowledges what comes over the wire until every message has come; answers all of it.
async fn acknowledge_all(session: &mut Playing, messages: &[MessageId]) -> Vec<Sent> {
    let mut open: HashSet<MessageId> = messages.iter().copied().collect();
    let mut seen = Vec::new();
    while !open.is_empty() {
        let sent = session.sent().await;
        session.acknowledge(sent.message, None).await;
        open.remove(&sent.message);
        seen.push(sent);
    }
    seen
}

async fn expect_all_sent(world: &World, instance: &Instance, messages: &[MessageId]) {
    for message in messages {
        world.until_state(instance, *message, State::Sent).await;
    }
    world.until_no_sends().await;
    let all = u64::try_from(messages.len()).expect("a few");
    let counts = world.until_counted(instance, |counts| counts.sent >= all).await;
    assert_eq!((counts.sent, counts.failed), (all, 0));
    world.queue.fail_every(0);
    assert_eq!(world.taken(&world.names.dead_fifo()).await, []);
}

/// Every third call fails, half of them after they took effect.
#[tokio::test]
async fn a_queue_that_fails_at_times_loses_nothing() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let mut messages = Vec::new();
    for n in 0..20 {
        let chat = format!("1555010000{}", n % 4);
        messages.push(world.accept(&instance, &chat, &format!("text {n}")).await);
    }
    world.queue.fail_every(3);
    let sent = acknowledge_all(&mut session, &messages).await;
    assert_eq!(sent.len(), messages.len(), "each went out once");
    expect_all_sent(&world, &instance, &messages).await;
    for chat in 0..4 {
        let number = format!("1555010000{chat}");
        let in_order: Vec<MessageId> = sent
            .iter()
            .filter(|sent| sent.to.phone() == Some(&number))
            .map(|sent| sent.message)
            .collect();
        let accepted: Vec<MessageId> = messages.iter().copied().skip(chat).step_by(4).collect();
        assert_eq!(in_order, accepted);
    }
    assert!(world.queue.failed() >= 5, "{} calls failed", world.queue.failed());
}

/// Of one message too many that has ended, another could wait that may not.
#[tokio::test]
async fn a_count_whose_answer_is_lost_is_made_again_except_for_the_end_of_the_wait() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let updates = || On::operation("UpdateItem").with("day#");
    // The answer is lost; then the table asks for fewer requests, more often than the store's own tries.
    let cases = [(vec![Fate::LOST], (2, 1)), (vec![Fate::THROTTLED; 5], (3, 2))];
    for (fates, (sent, ended)) in cases {
        let planned = relay.plan(updates(), fates);
        let message = world.accept(&instance, "15550100001", "counted").await;
        acknowledge_all(&mut session, &[message]).await;
        let counts = world.until_counted(&instance, |counts| counts.sent >= sent).await;
        assert_eq!((counts.sent, counts.ended), (sent, ended));
        assert!(planned.is_done());
    }
}

/// Four requests in a row are throttled, more than the SDK hides.
#[tokio::test]
async fn a_table_that_throttles_loses_nothing() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let throttled = ["msgs#", "ctr#"].map(|part| relay.bursts(On::any().with(part), 7, 4, Fate::THROTTLED));
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let instance = world.instance("main").await;
    world.nudge(&instance).await;
    let mut session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    let mut messages = Vec::new();
    for n in 0..8 {
        messages.push(world.accept(&instance, "15550100001", &format!("text {n}")).await);
    }
    let sent = acknowledge_all(&mut session, &messages).await;
    // A message whose new state could not be stored goes out again under its id.
    let again = async {
        loop {
            let sent = session.sent_or_never().await;
            session.acknowledge(sent.message, None).await;
            assert!(messages.contains(&sent.message));
        }
    };
    tokio::select! {
        () = expect_all_sent(&world, &instance, &messages) => {}
        () = again => {}
    }
    let mut first_times = sent;
    let mut seen = HashSet::new();
    first_times.retain(|sent| seen.insert(sent.message));
    let in_order: Vec<MessageId> = first_times.iter().map(|sent| sent.message).collect();
    assert_eq!(in_order, messages);
    let throttled: u64 = throttled.iter().map(Rule::hits).sum();
    assert!(throttled >= 8, "{throttled} throttled");
}
