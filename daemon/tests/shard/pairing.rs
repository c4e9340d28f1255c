//! From no account to one: QR codes, their end, and what pairing stores.

use chrono::TimeDelta;
use daemon::connection::SessionEvent;
use serde_json::json;
use shared::domain::feed::FeedEvent;
use shared::domain::instance::{Account, Instance, QrCode, Status, Wanted};
use shared::seal::Purpose;
use testbed::wait::{in_time, until};

use crate::network::account;
use crate::world::World;

async fn until_code(world: &World, instance: &Instance, attempt: u8) -> Instance {
    until(&format!("code {attempt}"), async || {
        let loaded = world.load(instance).await;
        let shown = loaded
            .observed
            .qr
            .as_ref()
            .is_some_and(|qr| qr.attempt == attempt);
        shown.then_some(loaded)
    })
    .await
}

#[tokio::test]
async fn three_codes_are_shown_and_nobody_asks_a_fourth_time() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let instance = world.instance("main").await;
    world.nudge(&instance).await;
    let session = daemon.session().await;
    assert_eq!(session.instance, instance.id);
    for attempt in 1..=3 {
        let code = format!("2@code-{attempt}");
        session.show_qr(&code).await;
        let shown = until_code(&world, &instance, attempt).await;
        assert_eq!(shown.observed.status, Status::AwaitingQr);
        assert_eq!(shown.observed.generation, 1);
        let qr = shown.observed.qr.expect("a code");
        assert_eq!(qr.expires_at, world.now() + TimeDelta::seconds(60));
        let aad = QrCode::aad(instance.id);
        let opened = world
            .sealer
            .open(instance.id, Purpose::Content, &aad, &qr.sealed)
            .await
            .expect("it opens");
        assert_eq!(opened, code.as_bytes());
        assert!(
            !qr.sealed.windows(code.len()).any(|part| part == code.as_bytes()),
            "the code does not rest in the clear"
        );
    }
    session.show_qr("2@code-4").await;
    let ended = world.until_status(&instance, Status::ForceDisconnected).await;
    assert_eq!(ended.observed.reason.as_deref(), Some("QR_NOT_SCANNED"));
    assert_eq!(ended.observed.qr, None);
    assert_eq!(ended.account, None);
    in_time("the orderly end", session.line.disconnected.cancelled()).await;

    world.nudge_and_wait(&instance).await;
    assert_eq!(
        world.load(&instance).await.observed.status,
        Status::ForceDisconnected
    );
    assert!(!daemon.has_begun_another(), "nobody has asked for it");
    // Another daemon's first look, or a restart, is no new request either.
    daemon.stop().await;
    let mut daemon = world.daemon("b").await;
    daemon.until_holding(1).await;
    world.nudge_and_wait(&instance).await;
    assert!(!daemon.has_begun_another(), "nobody has asked for it");

    world.want(&instance, Wanted::Connected).await;
    let session = daemon.session().await;
    session.show_qr("2@another").await;
    let shown = until_code(&world, &instance, 1).await;
    assert_eq!(shown.observed.generation, 2);
}

#[tokio::test]
async fn the_servers_own_end_of_codes_is_the_same_end() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.showing_qr(&mut daemon).await;
    session.tell(SessionEvent::QrExhausted).await;
    let ended = world.until_status(&instance, Status::ForceDisconnected).await;
    assert_eq!(ended.observed.reason.as_deref(), Some("QR_NOT_SCANNED"));
}

#[tokio::test]
async fn pairing_stores_the_account() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.showing_qr(&mut daemon).await;
    session.tell(SessionEvent::Paired).await;
    let paired = world.until_status(&instance, Status::Connecting).await;
    assert_eq!(paired.observed.qr, None);
    world.clock.advance(TimeDelta::seconds(3));
    session.log_in().await;
    let connected = world.until_status(&instance, Status::Connected).await;
    assert_eq!(
        connected.account,
        Some(Account {
            person: account(),
            display_name: Some("Owner".to_owned()),
        })
    );
    assert_eq!(connected.observed.last_round_trip_at, Some(world.now()));
    assert_eq!(connected.observed.since, world.now());
    assert!(!connected.refuses_sends());
}

/// What a pairing page goes by. It says what has changed to nobody.
#[tokio::test]
async fn whoever_follows_is_told_that_pairing_goes_on_until_it_is_done() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let hub = daemon.deps.announcer.hub().clone();
    let told = || {
        let mut shown = hub.after(None).expect("all of it");
        shown.retain(|shown| shown.event == FeedEvent::PairingUpdate);
        shown
    };
    let (instance, session) = world.showing_qr(&mut daemon).await;
    assert!(told().is_empty(), "nobody follows");
    hub.follow([instance.subscription]);
    session.show_qr("2@another").await;
    let shown = until("word of another code", async || told().pop()).await;
    assert_eq!(shown.instance, Some(instance.id));
    assert_eq!(
        (&shown.body["data"], &shown.body["instance"]),
        (&json!({}), &json!(null))
    );
    session.tell(SessionEvent::Paired).await;
    until("word of the next step", async || (told().len() > 1).then_some(())).await;
    hub.follow([instance.subscription]);
    session.log_in().await;
    let connected = world.until_status(&instance, Status::Connected).await;
    assert!(connected.account.is_some());
    let by_now = told().len();
    assert!(by_now > 2, "the account is there");
    world.want(&instance, Wanted::Disconnected).await;
    world.until_status(&instance, Status::Disconnected).await;
    assert_eq!(told().len(), by_now, "it is paired");
}
