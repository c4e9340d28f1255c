//! Machines whose clocks are wrong: their daemons go by the table's.

use std::path::PathBuf;

use chrono::TimeDelta;
use shared::clock::{Clock as _, SystemClock};
use testbed::wait::until;
use tests::deployment::{Starter, Stores};

use crate::world::DAEMON;

/// How old a daemon's first beat may be when it is read, on a machine that is busy.
const SLACK: TimeDelta = TimeDelta::minutes(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_on_a_machine_whose_clock_is_an_hour_wrong_has_the_right_time() {
    for (name, hours) in [("ahead", 1), ("behind", -1)] {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join("clocks")
            .join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        let stores = Stores::start(1).await;
        let config = testbed::config::functions(1, directory.join("wrapping.key"));
        // It has no instance, so it connects to nobody.
        let nowhere = "ws://127.0.0.1:9/ws/chat".to_owned();
        let surroundings = stores.over_relays(nowhere, config.wrapping, directory);
        let starter = Starter::of(DAEMON, surroundings);
        let daemon = starter.start_corrected(TimeDelta::hours(hours)).await;
        let beat = until("a beat", async || {
            let beats = stores.leases().list_beats().await.expect("read");
            beats.into_iter().next()
        })
        .await;
        let wrong = (beat.at - SystemClock.now()).abs();
        assert!(wrong < SLACK, "{name}: {wrong}");
        daemon.stop().await;
    }
}
