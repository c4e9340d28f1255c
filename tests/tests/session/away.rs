//! Session state that cannot be read for a while, as where the table is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use daemon::connection::{SendError, SessionEvent};
use daemon::stop::{Answer, Course};
use serde_json::json;
use shared::domain::content::{Content, Said};
use shared::ids::MessageId;
use testbed::wait::until;

use crate::failing::Failing;
use crate::world::{Running, World, is, to};

/// An instance that is connected, over state of which nothing is in memory yet, and somebody who writes.
struct Ground {
    world: World,
    own: String,
    other: String,
    state: Arc<Failing>,
    session: Running,
}

impl Ground {
    async fn new() -> Self {
        let world = World::new().await;
        let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
        let mut paired = world.paired(&own, 1).await;
        // A session that is stored, so that the next text needs no prekey.
        world.send(&other, &own, "first").await;
        paired.committed().await;
        paired.connection.disconnect().await;
        let state = Failing::new(world.state(1));
        let mut session = world.begin_on(Arc::clone(&state) as _).await;
        session.connected().await;
        Self {
            world,
            own,
            other,
            state,
            session,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_decrypted_yet_waits() {
    let Ground {
        world,
        own,
        other,
        state,
        mut session,
    } = Ground::new().await;
    let stranger = world.phone("Carol").await;
    let group = json!({"subject": "All", "participants": [own, stranger]});
    let group = world.admin(&format!("/admin/phones/{other}/groups"), group).await;
    let group = group["id"].as_str().expect("a JID").to_owned();
    // By a session that is stored, by one that its first message begins, and by a group's key.
    for (sender, chat, text) in [
        (&other, &own, "of a friend"),
        (&stranger, &own, "of a stranger"),
        (&other, &group, "of a group"),
    ] {
        state.is_away.store(true, Ordering::SeqCst);
        world.send(sender, chat, text).await;
        state.fails().await;
        assert!(session.committed.try_recv().is_err());
        state.is_away.store(false, Ordering::SeqCst);
        assert_eq!(session.committed().await.content, Content::text(text));
    }
    world.nothing_queued().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_meanwhile_refuses_nothing() {
    let Ground {
        world,
        own,
        state,
        mut session,
        ..
    } = Ground::new().await;
    for (is_orderly, text) in [(false, "abandoned"), (true, "ended in order")] {
        // Of somebody of whom nothing is in memory.
        let stranger = world.phone("Carol").await;
        state.is_away.store(true, Ordering::SeqCst);
        world.send(&stranger, &own, text).await;
        state.fails().await;
        if is_orderly {
            session.connection.disconnect().await;
        } else {
            session.connection.abandon();
        }
        world.quiet().await;
        assert!(session.committed.try_recv().is_err());
        state.is_away.store(false, Ordering::SeqCst);
        session = world.begin_on(Arc::clone(&state) as _).await;
        assert_eq!(session.committed().await.content, Content::text(text));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_is_told_at_once_that_nothing_is_out() {
    let Ground {
        world,
        own,
        other,
        state,
        mut session,
    } = Ground::new().await;
    state.is_away.store(true, Ordering::SeqCst);
    let message = MessageId::from_bytes([7; 16]);
    let (chat, said) = (to(&other), Said::text("hello"));
    let sent = session.connection.send(message, &chat, &said).await;
    is(&sent, |sent| matches!(sent, Err(SendError::State(_))));
    // The library waits, and holds what writing needs.
    let stranger = world.phone("Carol").await;
    world.send(&stranger, &own, "hello").await;
    state.fails().await;
    let sent = session.connection.send(message, &chat, &said).await;
    is(&sent, |sent| matches!(sent, Err(SendError::State(_))));
    state.is_away.store(false, Ordering::SeqCst);
    session.committed().await;
    // Another read may wait for a moment longer.
    until("a send that goes out", async || {
        let sent = session.connection.send(message, &chat, &said).await;
        is(&sent, |sent| matches!(sent, Ok(()) | Err(SendError::State(_))));
        sent.ok()
    })
    .await;
    assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    let inbox = world.inbox(&other, |inbox| !inbox.is_empty()).await;
    assert_eq!(inbox.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_state_stays_away_ends_and_the_next_one_has_the_message() {
    let Ground {
        world,
        own,
        state,
        mut session,
        ..
    } = Ground::new().await;
    let stranger = world.phone("Carol").await;
    state.is_away.store(true, Ordering::SeqCst);
    world.send(&stranger, &own, "hello").await;
    let rest = session.rest().await;
    is(&rest, |rest| {
        matches!(rest.last(), Some(SessionEvent::Disconnected { .. }))
    });
    state.is_away.store(false, Ordering::SeqCst);
    let mut session = world.begin_on(state).await;
    assert_eq!(session.committed().await.content, Content::text("hello"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_meets_the_one_entry_that_cannot_be_read_says_so() {
    let Ground {
        world,
        own,
        state,
        mut session,
        ..
    } = Ground::new().await;
    let stranger = world.phone("Carol").await;
    *state.unreadable.lock().expect("no holder panics") = Some("s#");
    world.send(&stranger, &own, "hello").await;
    let rest = session.rest().await;
    let unreadable = Answer::Return(Course::Unreadable);
    is(
        &rest,
        |rest| matches!(rest.last(), Some(SessionEvent::Stopped(stop)) if stop.answer == unreadable),
    );
    *state.unreadable.lock().expect("no holder panics") = None;
    let mut session = world.begin_on(state).await;
    assert_eq!(session.committed().await.content, Content::text("hello"));
}

/// As where the table is back by the time another entry is read, or throttles one request and not the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_whose_reads_fail_in_a_way_that_passes_makes_no_pause() {
    let Ground {
        world,
        own,
        state,
        mut session,
        ..
    } = Ground::new().await;
    let stranger = world.phone("Carol").await;
    state.passes.store(true, Ordering::SeqCst);
    *state.unreadable.lock().expect("no holder panics") = Some("s#");
    world.send(&stranger, &own, "hello").await;
    let rest = session.rest().await;
    is(&rest, |rest| {
        matches!(rest.last(), Some(SessionEvent::Disconnected { .. }))
    });
}

/// The request is acknowledged before the message is encrypted anew, so nobody asks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end_waits_for_a_message_that_is_encrypted_anew() {
    let Ground {
        world,
        own,
        other,
        state,
        mut session,
    } = Ground::new().await;
    let message = MessageId::from_bytes([7; 16]);
    let (id, said) = (message.to_whatsapp(), Said::text("hello"));
    let sent = session.connection.send(message, &to(&other), &said).await;
    sent.expect("on the wire");
    assert_eq!(session.acknowledged(&id).await, None);
    world.inbox(&other, |inbox| inbox.len() == 1).await;
    session.connection.disconnect().await;
    world.quiet().await;

    // The next session has the message's copy only in its stored state.
    let mut session = world.begin_on(Arc::clone(&state) as _).await;
    session.connected().await;
    *state.unreadable.lock().expect("no holder panics") = Some("sent#");
    let from = format!("{other}@s.whatsapp.net");
    let request = json!({
        "tag": "receipt",
        "attrs": {"id": id, "from": from, "type": "retry", "t": "1"},
        "children": [{"tag": "retry", "attrs": {"v": "1", "count": "1", "id": id, "t": "1"}}],
    });
    let failing = state.fails();
    let path = format!("/admin/phones/{own}/stanza");
    let asking = world.admin(&path, request);
    tokio::join!(failing, asking);
    let mended = async {
        state.fails().await;
        state.fails().await;
        *state.unreadable.lock().expect("no holder panics") = None;
    };
    tokio::join!(session.connection.disconnect(), mended);
    let inbox = world
        .inbox(&other, |inbox| inbox.iter().any(|entry| entry["copies"] == 2))
        .await;
    assert_eq!(inbox.len(), 1, "it is shown once");
}
