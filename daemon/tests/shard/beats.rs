//! What a daemon tells of itself with its beat.

use shared::domain::instance::Status;
use shared::storage::leases::{Load, Vitals};
use testbed::wait::until;

use crate::network::unlinked;
use crate::world::World;

impl World {
    /// Waits until a daemon's beat tells of this load, and answers all that it tells.
    async fn until_load(&self, daemon: &str, load: Load) -> Vitals {
        until(&format!("{load:?}"), async || {
            let beat = self.leases.get_beat(daemon).await.expect("read");
            let vitals = beat.and_then(|beat| beat.vitals);
            vitals.filter(|vitals| vitals.load == load)
        })
        .await
    }
}

#[tokio::test]
async fn a_beat_tells_what_the_daemon_has_in_hand() {
    let world = World::new().await;
    let started_at = world.now();
    let mut daemon = world.daemon("a").await;
    let mut load = Load::default();
    let vitals = world.until_load("a", load).await;
    assert_eq!(vitals.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(vitals.started_at, started_at);
    if cfg!(target_os = "linux") {
        assert!(vitals.resident_bytes > Some(1024 * 1024), "{vitals:?}");
    }

    let (instance, mut session) = world.connected(&mut daemon).await;
    let unpaired = world.instance("unpaired").await;
    world.nudge(&unpaired).await;
    let _waiting = daemon.session().await;
    load.sessions_held = 2;
    load.sessions_connected = 1;
    world.until_load("a", load).await;

    // Two of one chat are one lane: the second is in hand, and waits for the first.
    let first = world.accept(&instance, "15550100001", "one").await;
    let second = world.accept(&instance, "15550100001", "two").await;
    assert_eq!(session.sent().await.message, first);
    session.acknowledge(first, None).await;
    assert_eq!(session.sent().await.message, second);
    load.jobs_in_hand = 1;
    load.sent_last_minute = 1;
    world.until_load("a", load).await;
    session.acknowledge(second, Some(400)).await;
    load.jobs_in_hand = 0;
    world.until_load("a", load).await;

    session.tell(unlinked("on the phone")).await;
    world.until_status(&instance, Status::LoggedOut).await;
    load.sessions_held = 1;
    load.sessions_connected = 0;
    let vitals = world.until_load("a", load).await;
    assert_eq!(vitals.started_at, started_at);
}
