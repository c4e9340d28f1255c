//! From no account to one by a code: how it is shown, and how it ends when nobody enters it.

use std::time::Duration;

use chrono::TimeDelta;
use daemon::connection::{self, PairingError, SessionEvent};
use shared::domain::instance::{Instance, PairingCode, PairingRequest, Status, Wanted};
use shared::seal::Purpose;
use shared::storage::instances::PairingWanted;
use testbed::wait::in_time;

use crate::daemons::Daemon;
use crate::network::Playing;
use crate::world::World;

const PHONE: &str = "15550100000";

/// An instance that nobody wants connected yet.
async fn resting(world: &World) -> Instance {
    let instance = world.instance("main").await;
    let wanted = world.instances.want(instance.id, Wanted::Disconnected).await;
    wanted.expect("stored").expect("there");
    instance
}

/// Asks for a code as the API does.
async fn ask(world: &World, instance: &Instance, phone: &str) {
    let request = PairingRequest {
        phone: phone.parse().expect("a number"),
        asked_at: world.now(),
    };
    let wanted = world.instances.want_pairing(instance.id, &request).await;
    assert!(matches!(wanted.expect("stored"), PairingWanted::Asked(_)));
    world.nudge(instance).await;
}

/// Gives the session a code, as soon as the server is ready.
async fn give(session: &mut Playing, code: &str, valid_for: Duration) {
    session.show_qr("2@ready").await;
    let asked = session.asked_for_code().await;
    assert_eq!(asked.phone.as_str(), PHONE);
    let code = connection::PairingCode {
        code: code.to_owned(),
        valid_for,
    };
    asked.answer.send(Ok(code)).expect("the daemon waits");
}

/// An instance whose code is shown, and its session.
async fn shown(world: &World, daemon: &mut Daemon, valid_for: Duration) -> (Instance, Playing) {
    let instance = resting(world).await;
    ask(world, &instance, PHONE).await;
    let mut session = daemon.session().await;
    give(&mut session, "ABCD1234", valid_for).await;
    world.until_status(&instance, Status::AwaitingPairingCode).await;
    (instance, session)
}

async fn ends(world: &World, daemon: &mut Daemon, instance: &Instance, reason: &str) -> Instance {
    let ended = world.until_status(instance, Status::ForceDisconnected).await;
    assert_eq!(ended.observed.reason.as_deref(), Some(reason));
    assert_eq!(ended.observed.pairing_code, None);
    world.nudge_and_wait(instance).await;
    assert!(!daemon.has_begun_another(), "nobody has asked for it");
    ended
}

const LONG: Duration = Duration::from_mins(3);

#[tokio::test]
async fn the_code_is_shown_sealed_and_no_qr_code_beside_it() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = shown(&world, &mut daemon, LONG).await;
    let stored = world.load(&instance).await;
    assert_eq!(stored.observed.generation, stored.desired.generation);
    assert_eq!(stored.observed.qr, None);
    let code = stored.observed.pairing_code.expect("a code");
    assert_eq!(code.expires_at, world.now() + TimeDelta::minutes(3));
    let aad = PairingCode::aad(instance.id);
    let opened = world
        .sealer
        .open(instance.id, Purpose::Content, &aad, &code.sealed);
    assert_eq!(opened.await.expect("it opens"), b"ABCD1234");
    assert!(!code.sealed.windows(8).any(|part| part == b"ABCD1234"));

    // QR codes go on behind it, and end before the code does.
    for n in 2..=6 {
        session.show_qr(&format!("2@code-{n}")).await;
    }
    session.tell(SessionEvent::QrExhausted).await;
    session.tell(SessionEvent::Paired).await;
    let pairing = world.until_status(&instance, Status::Connecting).await;
    assert_eq!(pairing.observed.pairing_code, None);
    session.log_in().await;
    let connected = world.until_status(&instance, Status::Connected).await;
    assert!(connected.account.is_some());
    // A connection that stands is not begun anew for QR codes.
    world.want(&instance, Wanted::Connected).await;
    world.nudge_and_wait(&instance).await;
    assert!(!session.line.disconnected.is_cancelled());
}

#[tokio::test]
async fn a_code_that_nobody_enters_ends_the_attempt() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = shown(&world, &mut daemon, Duration::from_millis(10)).await;
    ends(&world, &mut daemon, &instance, "PAIRING_CODE_NOT_ENTERED").await;
    in_time("the orderly end", session.line.disconnected.cancelled()).await;
    daemon.stop().await;
    let mut daemon = world.daemon("b").await;
    daemon.until_holding(1).await;
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another());
}

#[tokio::test]
async fn a_code_that_whatsapp_takes_back_ends_the_attempt() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = shown(&world, &mut daemon, LONG).await;
    session.tell(SessionEvent::PairingCodeVoid).await;
    ends(&world, &mut daemon, &instance, "PAIRING_CODE_NOT_ENTERED").await;
}

#[tokio::test]
async fn a_refusal_waits_for_a_person() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let instance = resting(&world).await;
    let refusals = [
        (
            PairingError::Throttled("429 rate-overlimit".into()),
            "PAIRING_CODE_THROTTLED",
        ),
        (
            PairingError::Refused("400 bad-request".into()),
            "PAIRING_CODE_REFUSED",
        ),
        (PairingError::Timeout, "PAIRING_CODE_UNANSWERED"),
    ];
    for (refusal, reason) in refusals {
        let error = shared::telemetry::chain(&refusal);
        ask(&world, &instance, PHONE).await;
        let mut session = daemon.session().await;
        session.show_qr("2@ready").await;
        let asked = session.asked_for_code().await;
        asked.answer.send(Err(refusal)).expect("the daemon waits");
        let ended = ends(&world, &mut daemon, &instance, reason).await;
        assert_eq!(ended.observed.last_error, Some(error));
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_before_there_is_a_code_is_made_again() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let instance = resting(&world).await;
    ask(&world, &instance, PHONE).await;
    let mut session = daemon.session().await;
    session.show_qr("2@ready").await;
    let asked = session.asked_for_code().await;
    drop(asked.answer);
    let mut session = daemon.session().await;
    give(&mut session, "ABCD1234", LONG).await;
    world.until_status(&instance, Status::AwaitingPairingCode).await;
}

/// A code is good on its own connection alone, and whoever reads it knows no other.
#[tokio::test]
async fn a_code_goes_with_its_connection_and_another_is_not_made_unasked() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = shown(&world, &mut daemon, LONG).await;
    session
        .tell(SessionEvent::Disconnected {
            reason: "the stream ended".to_owned(),
            blames_wire: true,
        })
        .await;
    let mut next = daemon.session().await;
    next.show_qr("2@ready").await;
    ends(&world, &mut daemon, &instance, "PAIRING_CODE_LOST").await;
    assert!(!next.has_asked_for_code());
}

#[tokio::test]
async fn a_daemon_that_takes_over_makes_no_code_unasked() {
    let world = World::with_short_leases(1).await;
    let mut first = world.daemon("a").await;
    let (instance, _session) = shown(&world, &mut first, LONG).await;
    first.freeze();
    let mut second = world.daemon("b").await;
    let mut next = second.session().await;
    next.show_qr("2@ready").await;
    ends(&world, &mut second, &instance, "PAIRING_CODE_LOST").await;
    assert!(!next.has_asked_for_code());
}

#[tokio::test]
async fn a_request_whose_caller_has_gone_is_not_followed() {
    let world = World::new().await;
    let instance = resting(&world).await;
    ask(&world, &instance, PHONE).await;
    world.clock.advance(TimeDelta::seconds(61));
    let mut daemon = world.daemon("a").await;
    let mut session = daemon.session().await;
    session.show_qr("2@ready").await;
    ends(&world, &mut daemon, &instance, "PAIRING_CODE_NOT_ENTERED").await;
    assert!(!session.has_asked_for_code());
}

#[tokio::test]
async fn each_wish_takes_the_place_of_the_one_before() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, by_qr) = world.showing_qr(&mut daemon).await;

    ask(&world, &instance, "15550100009").await;
    in_time("the orderly end", by_qr.line.disconnected.cancelled()).await;
    let mut by_code = daemon.session().await;
    by_code.show_qr("2@ready").await;
    let asked = by_code.asked_for_code().await;
    assert_eq!(asked.phone.as_str(), "15550100009");

    ask(&world, &instance, PHONE).await;
    in_time("the orderly end", by_code.line.disconnected.cancelled()).await;
    drop(asked);
    let mut by_code = daemon.session().await;
    give(&mut by_code, "ABCD1234", LONG).await;
    world.until_status(&instance, Status::AwaitingPairingCode).await;

    world.want(&instance, Wanted::Connected).await;
    in_time("the orderly end", by_code.line.disconnected.cancelled()).await;
    let by_qr = daemon.session().await;
    by_qr.show_qr("2@code").await;
    let shown = world.until_status(&instance, Status::AwaitingQr).await;
    assert_eq!(shown.observed.pairing_code, None);
    assert!(!daemon.has_begun_another());
}
