//! Sessions that break, and what the next one finds.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use daemon::connection::{SendError, SessionEvent};
use daemon::stop::{Answer, Course};
use serde_json::json;
use shared::domain::content::{Content, Said};
use shared::domain::instance::Status;
use shared::ids::MessageId;
use testbed::wait::DEADLINE;
use tokio::time::Instant;

use crate::failing::Failing;
use crate::world::{World, ends_as, is, text_of, to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_not_committed_comes_again() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    session.sink.refusals.store(1, Ordering::SeqCst);
    world.send(&other, &own, "keep this").await;
    let rest = session.rest().await;
    is(&rest, |rest| {
        matches!(rest.last(), Some(SessionEvent::Disconnected { .. }))
    });
    assert!(session.committed.try_recv().is_err());

    let mut session = world.begin(1).await;
    let message = session.committed().await;
    assert_eq!(message.content, Content::text("keep this"));
    world.send(&other, &own, "and this").await;
    assert_eq!(session.committed().await.content, Content::text("and this"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_could_not_be_buffered_is_decrypted_again() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    world.paired(&own, 1).await.connection.disconnect().await;

    let state = Failing::new(world.state(1));
    let mut session = world.begin_on(Arc::clone(&state) as _).await;
    session.connected().await;
    state.refuse.store(true, Ordering::SeqCst);
    world.send(&other, &own, "keep this").await;
    let rest = session.rest().await;
    is(&rest, |rest| {
        matches!(rest.last(), Some(SessionEvent::Disconnected { .. }))
    });
    assert!(session.committed.try_recv().is_err());

    state.refuse.store(false, Ordering::SeqCst);
    let mut session = world.begin_on(state).await;
    assert_eq!(session.committed().await.content, Content::text("keep this"));
}

/// The library makes its ratchets durable as a whole, also while a message is decrypted and not yet buffered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_decrypted_and_lost_is_asked_for_again() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    world.paired(&own, 1).await.connection.disconnect().await;
    let group = json!({"subject": "Both", "participants": [own]});
    let group = world.admin(&format!("/admin/phones/{other}/groups"), group).await;
    let group = group["id"].as_str().expect("a JID");

    let state = Failing::new(world.state(1));
    let cases = [
        (&other, own.as_str(), "keep this"),
        (&other, group, "and this"),
        (&own, other.as_str(), "what the account's phone sent"),
        (&other, own.as_str(), "and this too"),
    ];
    for (sender, chat, text) in cases {
        let mut session = world.begin_on(Arc::clone(&state) as _).await;
        session.connected().await;
        session.sink.refusals.store(1, Ordering::SeqCst);
        state.forget.store(true, Ordering::SeqCst);
        world.send(sender, chat, text).await;
        let rest = session.rest().await;
        is(&rest, |rest| {
            matches!(rest.last(), Some(SessionEvent::Disconnected { .. }))
        });
        assert!(session.committed.try_recv().is_err());

        state.forget.store(false, Ordering::SeqCst);
        let mut session = world.begin_on(Arc::clone(&state) as _).await;
        assert_eq!(session.committed().await.content, Content::text(text));
        // Both copies are acknowledged: the next login brings neither.
        world.nothing_queued().await;
        session.connection.disconnect().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_end_in_the_middle_of_a_backlog_lose_nothing() {
    const BACKLOG: usize = 20;
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    world.paired(&own, 1).await.connection.disconnect().await;
    let (mut sent, mut came) = (0, HashSet::new());
    // Each is over as soon as it has told of a message: one after the other in order and not in order.
    for session in 0..6 {
        for _ in 0..BACKLOG {
            world.send(&other, &own, &format!("text {sent}")).await;
            sent += 1;
        }
        let mut running = world.begin(1).await;
        came.insert(text_of(&running.committed().await));
        match session % 2 {
            0 => running.connection.disconnect().await,
            _ => running.connection.abandon(),
        }
        world.quiet().await;
        while let Ok(message) = running.committed.try_recv() {
            came.insert(text_of(&message));
        }
    }
    let mut running = world.begin(1).await;
    while came.len() < sent {
        came.insert(text_of(&running.committed().await));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_session_stores_nothing_more_and_the_next_owner_goes_on() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut first = world.paired(&own, 1).await;
    let text = async |session: &mut crate::world::Running, n: u8| {
        let message = MessageId::from_bytes([n; 16]);
        session
            .connection
            .send(message, &to(&other), &Said::text(n.to_string()))
            .await
            .expect("on the wire");
        assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
        world.send(&other, &own, &format!("answer {n}")).await;
        assert_eq!(
            session.committed().await.content,
            Content::text(format!("answer {n}"))
        );
    };
    // Some steps of both ratchets are stored, and some are in memory only.
    for n in 0..10 {
        text(&mut first, n).await;
    }
    for n in 10..20 {
        let message = MessageId::from_bytes([n; 16]);
        first
            .connection
            .send(message, &to(&other), &Said::text(n.to_string()))
            .await
            .expect("on the wire");
        assert_eq!(first.acknowledged(&message.to_whatsapp()).await, None);
    }
    first.connection.abandon();
    world.quiet().await;
    assert!(first.connection.probe(DEADLINE).await.is_err());

    let mut second = world.begin(2).await;
    second.connected().await;
    for n in 20..30 {
        text(&mut second, n).await;
    }
    let inbox = world.inbox(&other, |inbox| inbox.len() == 30).await;
    let texts: Vec<_> = inbox
        .iter()
        .map(|entry| entry["text"].as_str().expect("decrypted").to_owned())
        .collect();
    let sent: Vec<_> = (0..30).map(|n| n.to_string()).collect();
    assert_eq!(texts, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_socket_ends_the_session() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let mut session = world.paired(&own, 1).await;
    world
        .admin(
            "/admin/faults",
            json!({"target": {"phone": own}, "fault": "drop-socket"}),
        )
        .await;
    let rest = session.rest().await;
    is(&rest, |rest| {
        matches!(rest.last(), Some(SessionEvent::Disconnected { .. }))
    });
    world.quiet().await;
    world.begin(1).await.connected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_that_does_not_come_is_not_told() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    world
        .admin(
            "/admin/faults",
            json!({"target": {"phone": own}, "fault": "hold-acks", "count": 1}),
        )
        .await;
    let (held, told) = (MessageId::from_bytes([1; 16]), MessageId::from_bytes([2; 16]));
    for message in [held, told] {
        session
            .connection
            .send(message, &to(&other), &Said::text("hello"))
            .await
            .expect("on the wire");
    }
    let first = session.until("an acknowledgement", |event| match event {
        SessionEvent::ServerAck { whatsapp_id, .. } => Some(whatsapp_id),
        _ => None,
    });
    assert_eq!(first.await, told.to_whatsapp());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_phone_unlinks_is_logged_out() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let mut session = world.paired(&own, 1).await;
    world
        .admin(&format!("/admin/phones/{own}/unlink"), json!({}))
        .await;
    let rest = session.rest().await;
    is(
        &rest,
        |rest| matches!(rest.last(), Some(end) if ends_as(end, Status::LoggedOut)),
    );
    // So is the next, at its login.
    let rest = world.begin(1).await.rest().await;
    is(
        &rest,
        |rest| matches!(rest.last(), Some(end) if ends_as(end, Status::LoggedOut)),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_another_replaces_says_so() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let mut first = world.paired(&own, 1).await;
    let mut second = world.begin(2).await;
    second.connected().await;
    let rest = first.rest().await;
    let replaced = Answer::Return(Course::Replaced);
    is(
        &rest,
        |rest| matches!(rest.last(), Some(SessionEvent::Stopped(stop)) if stop.answer == replaced),
    );
    second.connection.probe(DEADLINE).await.expect("a round trip");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_over_which_nothing_comes_is_dead() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let session = world.paired(&own, 1).await;
    session.connection.probe(DEADLINE).await.expect("a round trip");
    let fault = json!({"target": {"phone": own}, "fault": "no-pong"});
    world.admin("/admin/faults", fault).await;
    let asked_at = Instant::now();
    let dead = session.connection.probe(Duration::from_secs(1)).await;
    assert!(matches!(dead, Err(SendError::Timeout)), "{dead:?}");
    assert!(asked_at.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_logs_out_is_unlinked() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let mut session = world.paired(&own, 1).await;
    session.connection.logout().await.expect("confirmed");
    session.rest().await;
    world.quiet().await;
    let rest = world.begin(1).await.rest().await;
    is(
        &rest,
        |rest| matches!(rest.last(), Some(end) if ends_as(end, Status::LoggedOut)),
    );
}
