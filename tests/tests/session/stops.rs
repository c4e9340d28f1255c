//! What the network says when it refuses or ends a session, as the session's end tells it.

use daemon::connection::SessionEvent;
use daemon::stop::{Answer, Course, Stop};
use sandbox::{Fault, Rule, Target};
use serde_json::json;
use shared::domain::instance::Status;
use shared::domain::reason::Reason;
use testbed::wait::in_time;

use crate::world::World;

/// What a session ends with.
fn end(events: &[SessionEvent]) -> Stop {
    match events.last() {
        Some(SessionEvent::Stopped(stop)) => stop.clone(),
        Some(SessionEvent::Disconnected { reason, blames_wire }) => Stop {
            answer: Answer::Return(Course::Lost),
            said: reason.clone(),
            blames_wire: *blames_wire,
        },
        other => panic!("no end: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_refused_ends_or_comes_back() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    world.paired(&own, 1).await.connection.disconnect().await;
    let lost = Answer::Return(Course::Lost);
    let refused = Answer::End(Status::ForceDisconnected, Reason::LoginRefused);
    let unknown = Answer::Return(Course::Refused);
    let client = Answer::End(Status::ForceDisconnected, Reason::ClientRefused);
    for (code, answer) in [
        (400, refused),
        // Without an end.
        (402, Answer::End(Status::Banned, Reason::Banned)),
        (403, Answer::End(Status::Banned, Reason::AccountLocked)),
        (
            405,
            Answer::End(Status::ForceDisconnected, Reason::ClientOutdated),
        ),
        (406, Answer::End(Status::LoggedOut, Reason::LoggedOut)),
        (409, client),
        (413, refused),
        (414, refused),
        (415, refused),
        (416, unknown),
        (417, unknown),
        (418, client),
        (429, Answer::Return(Course::RateLimited)),
        (500, lost),
        (501, refused),
        (503, lost),
        (599, unknown),
    ] {
        let rule = Rule {
            code: Some(code),
            count: Some(1),
            ..Rule::new(Target::phone(&own), Fault::RefuseLogin)
        };
        world.sandbox.faults().add(rule).await.expect("added");
        let stop = end(&world.begin(1).await.rest().await);
        assert_eq!(stop.answer, answer, "{code}");
        assert!(stop.said.ends_with(&format!(" ({code})")), "{}", stop.said);
        world.quiet().await;
    }
    let mut session = world.begin(1).await;
    session.connected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_ends_with_an_error_says_which() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let mut session = world.paired(&own, 1).await;
    let refused = Answer::Return(Course::Refused);
    let lost = Answer::Return(Course::Lost);
    for (code, answer) in [
        (402, refused),
        (403, refused),
        (409, Answer::Return(Course::Replaced)),
        (413, refused),
        (418, refused),
        (429, Answer::Return(Course::RateLimited)),
        (500, lost),
        (503, lost),
        (515, lost),
        (516, Answer::End(Status::LoggedOut, Reason::LoggedOut)),
        (401, Answer::End(Status::LoggedOut, Reason::LoggedOut)),
    ] {
        let fault = json!({"target": {"phone": own}, "fault": "stream-error", "code": code});
        world.admin("/admin/faults", fault).await;
        let stop = end(&session.rest().await);
        assert_eq!(stop.answer, answer, "{code}: {}", stop.said);
        let has_code = stop.said.ends_with(&format!(" ({code})"));
        assert!(has_code, "{code}: {}", stop.said);
        world.quiet().await;
        // The device is still linked: only the stream has ended.
        session = world.begin(1).await;
        session.connected().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_with_an_end_says_until_when() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let mut session = world.paired(&own, 1).await;
    let fault = json!({"target": {"phone": own}, "fault": "ban", "seconds": 3600, "code": 101});
    world.admin("/admin/faults", fault).await;
    session.rest().await;
    world.quiet().await;
    let stop = end(&world.begin(1).await.rest().await);
    assert_eq!(stop.answer, Answer::End(Status::Banned, Reason::Banned));
    let said = stop.said;
    let until = said.strip_prefix("WhatsApp has banned the number (402), until ");
    let until = until.and_then(|until| until.split_once(": 101: you sent too many messages"));
    let (until, _) = until.unwrap_or_else(|| panic!("{said}"));
    let until = until.parse::<chrono::DateTime<chrono::Utc>>().expect("a time");
    let left = until - shared::clock::Clock::now(&shared::clock::SystemClock);
    assert!((3_500..=3_601).contains(&left.num_seconds()), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_is_removed_while_offline_is_logged_out() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    world.paired(&own, 1).await.connection.disconnect().await;
    world.quiet().await;
    world
        .admin(&format!("/admin/phones/{own}/unlink"), json!({}))
        .await;
    let stop = end(&world.begin(1).await.rest().await);
    assert_eq!(stop.answer, Answer::End(Status::LoggedOut, Reason::LoggedOut));
    assert_eq!(stop.said, "the phone has unlinked this device (401)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_cannot_be_reached_is_told() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let mut session = world.paired(&own, 1).await;
    let rule = Rule::new(Target::all(), Fault::RefuseHandshake);
    world.sandbox.faults().add(rule).await.expect("added");
    world.sandbox.restart().await;
    let stop = end(&session.rest().await);
    assert_eq!(stop.answer, Answer::Return(Course::Lost));
    let mut next = in_time("a session", world.begin(1)).await;
    let stop = end(&next.rest().await);
    assert_eq!(stop.answer, Answer::Return(Course::Lost));
}
