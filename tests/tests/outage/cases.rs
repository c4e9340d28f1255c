//! The cases. Those of a minute run by hand, with `--ignored`.

use std::time::Duration;

use testbed::relay::Away;

use crate::case::{Case, Trouble, run_all};

/// Daemons of a network: one that serves all of it, and three that share it.
const DAEMONS: [usize; 2] = [1, 3];

fn each(seconds: &[u64], trouble: impl Fn(Duration) -> Trouble) -> Vec<Case> {
    let mut cases = Vec::new();
    for daemons in DAEMONS {
        for seconds in seconds {
            let trouble = trouble(Duration::from_secs(*seconds));
            cases.push(Case { daemons, trouble });
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_is_away() {
    run_all(each(&[1, 3, 6, 12], |time| Trouble::Table(Away::Late, time))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_refuses() {
    run_all(each(&[6], |time| Trouble::Table(Away::Refused, time))).await;
}

/// What is written takes effect, and nobody hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_is_deaf() {
    run_all(each(&[6], |time| Trouble::Table(Away::Deaf, time))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queues_are_away() {
    run_all(each(&[1, 3, 6, 12], |time| Trouble::Queue(Away::Late, time))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_and_queues_are_away() {
    run_all(each(&[1, 3, 6, 12], |time| Trouble::Both(Away::Late, time))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_stands_still() {
    run_all(each(&[3, 7, 15], Trouble::StandStill)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_about_leases_are_lost() {
    let trouble = Trouble::LostLeases;
    run_all([Case { daemons: 1, trouble }]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `docs/outages.md` says how to run it"]
async fn all_is_away_for_a_minute() {
    let mut cases = each(&[60], |time| Trouble::Table(Away::Late, time));
    cases.extend(each(&[60], |time| Trouble::Queue(Away::Late, time)));
    cases.extend(each(&[60], |time| Trouble::Both(Away::Late, time)));
    run_all(cases).await;
}
