//! Messages that are taken back while they wait, or while they go out: they never arrive, or are revoked.

use chrono::TimeDelta;
use daemon::connection::SendError;
use shared::domain::content::{Content, Revoke, Target};
use shared::domain::counting;
use shared::domain::event::{EventType, Wants};
use shared::domain::instance::Instance;
use shared::domain::message::{Change, Kind, State};
use shared::domain::person::Person;
use shared::ids::MessageId;
use shared::storage::counters::Counts;
use shared::storage::messages::Transition;

use crate::network::Sent;
use crate::world::World;

const ALICE: &str = "15550100001";

impl World {
    /// Cancels a message that waits, as the API does. Answers whether that came before it was sent.
    async fn cancel_waiting(&self, instance: &Instance, message: MessageId) -> bool {
        let change = Change {
            state: State::Cancelled,
            at: self.now(),
            failure: None,
        };
        let changed = self.messages.change(instance.id, message, &change).await;
        let Transition::Made { before, kind, .. } = changed.expect("stored") else {
            return false;
        };
        let counters = counting::moved(kind, before, State::Cancelled, self.now(), self.now());
        let counted = self.counters.count(instance.id, &counters, self.now()).await;
        counted.expect("counted");
        true
    }

    /// The states that were told, in their order.
    async fn told_states(&self, instance: &Instance) -> Vec<(String, String)> {
        let events = self.events_there(instance).await.into_iter();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        events
            .map(|opened| (text(&opened.data["id"]), text(&opened.data["status"])))
            .collect()
    }
}

fn told_of(message: MessageId, state: State) -> (String, String) {
    (message.to_string(), state.to_string())
}

fn revoke_of(message: MessageId) -> Content {
    Content::Revoke(Revoke {
        target: Target {
            whatsapp_id: message.to_whatsapp(),
            from_me: true,
            author: Person::default(),
        },
    })
}

fn is_revoke(sent: &Sent, message: MessageId) -> bool {
    sent.content == revoke_of(message)
        && sent.message != message
        && sent.to == ALICE.parse().expect("a number")
}

#[tokio::test]
async fn a_message_that_is_cancelled_while_it_waits_never_goes_out() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageStatus]))
        .await;
    let first = world.accept(&instance, ALICE, "on the wire").await;
    let second = world.accept(&instance, ALICE, "never mind").await;
    assert_eq!(session.sent().await.message, first);
    assert!(world.cancel_waiting(&instance, second).await);
    session.acknowledge(first, None).await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
    let record = world.until_state(&instance, second, State::Cancelled).await;
    assert_eq!(record.failure, None);
    let told = world.told_states(&instance).await;
    assert_eq!(
        told,
        [told_of(first, State::Sent), told_of(second, State::Cancelled)]
    );
    // Both have ended: none is left in the backlog.
    let counts = world.until_counted(&instance, |counts| counts.ended == 2).await;
    let expected = Counts {
        sent: 1,
        sent_by_kind: [(Kind::Text, 1)].into(),
        ended: 2,
        ..Counts::default()
    };
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn a_message_that_is_cancelled_on_the_wire_is_revoked() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageStatus]))
        .await;
    let message = world.accept(&instance, ALICE, "too late").await;
    let behind = world.accept(&instance, ALICE, "behind it").await;
    assert_eq!(session.sent().await.message, message);
    assert!(world.cancel_waiting(&instance, message).await);
    session.acknowledge(message, None).await;
    let revoke = session.sent().await;
    assert!(is_revoke(&revoke, message), "{revoke:?}");
    assert_eq!(session.sent_besides(), [], "its chat waits for the revoke");
    session.acknowledge(revoke.message, None).await;
    assert_eq!(session.sent().await.message, behind);
    session.acknowledge(behind, None).await;
    world.until_no_sends().await;
    world.until_state(&instance, message, State::Cancelled).await;
    let told = world.told_states(&instance).await;
    assert_eq!(
        told,
        [told_of(message, State::Cancelled), told_of(behind, State::Sent)]
    );
    let counts = world.until_counted(&instance, |counts| counts.ended == 2).await;
    assert_eq!(
        (counts.sent, counts.ended),
        (1, 2),
        "the revoke is nobody's message"
    );
}

/// The connection ends after the bytes and before the answer.
#[tokio::test]
async fn what_may_have_gone_out_is_revoked_too() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    session.refuse_next(SendError::Interrupted { may_be_out: true });
    let message = world.accept(&instance, ALICE, "who knows").await;
    session.refused().await;
    assert!(world.cancel_waiting(&instance, message).await);
    session
        .tell(daemon::connection::SessionEvent::Disconnected {
            reason: "the stream ended".to_owned(),
            blames_wire: false,
        })
        .await;
    let mut next = daemon.session().await;
    next.log_in().await;
    let mut revoke = next.sent().await;
    if revoke.message == message {
        // Its record is believed for two seconds, so it may go out once more before.
        next.acknowledge(message, None).await;
        revoke = next.sent().await;
    }
    assert!(is_revoke(&revoke, message), "{revoke:?}");
    next.acknowledge(revoke.message, None).await;
    world.until_no_sends().await;
    assert_eq!(next.sent_besides(), []);
}

/// A daemon that takes a job over cannot know how far the last one came with it.
#[tokio::test]
async fn the_next_daemon_revokes_what_the_last_one_may_have_sent() {
    let world = World::new().await;
    let mut first = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut first).await;
    let message = world.accept(&instance, ALICE, "in between").await;
    assert_eq!(session.sent().await.message, message);
    first.stop().await;
    assert!(world.cancel_waiting(&instance, message).await);
    let mut second = world.daemon("b").await;
    let mut session = second.session().await;
    session.log_in().await;
    let revoke = session.sent().await;
    assert!(is_revoke(&revoke, message), "{revoke:?}");
    session.acknowledge(revoke.message, None).await;
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
    world.until_state(&instance, message, State::Cancelled).await;
}

/// Nobody is shown that a message was deleted which nobody can have.
#[tokio::test]
async fn what_no_connection_can_have_sent_is_not_revoked() {
    let world = World::new().await;
    let mut first = world.daemon("a").await;
    let (instance, session) = world.connected(&mut first).await;
    session.tell(crate::network::unlinked("device_removed")).await;
    world
        .until_status(&instance, shared::domain::instance::Status::LoggedOut)
        .await;
    world.clock.advance(TimeDelta::minutes(2));
    let message = world.accept(&instance, ALICE, "waits").await;
    testbed::wait::until("the job in hand", async || {
        use shared::queue::Queue as _;
        let depth = world.queue.depth(&world.names.sends(0)).await.expect("read");
        (depth.in_flight == 1).then_some(())
    })
    .await;
    first.stop().await;
    assert!(world.cancel_waiting(&instance, message).await);
    let _second = world.daemon("b").await;
    world.until_no_sends().await;
}

#[tokio::test]
async fn a_message_that_was_sent_first_is_not_cancelled() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world.accept(&instance, ALICE, "first").await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;
    assert!(!world.cancel_waiting(&instance, message).await);
    world.until_no_sends().await;
    assert_eq!(session.sent_besides(), []);
}
