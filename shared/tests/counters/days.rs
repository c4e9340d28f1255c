//! An instance's counters of a day.

use chrono::TimeDelta;
use futures::future::join_all;
use shared::domain::counting::Counter;
use shared::domain::message::Kind;
use shared::ids::InstanceId;
use shared::nature::Nature;
use shared::storage::StorageError;
use shared::storage::counters::Counts;
use testbed::relay::{Fate, On};
use testbed::wait::in_time;

use crate::support::{World, begin};

/// Updates of a day's counters.
fn updates() -> On {
    On::operation("UpdateItem").with("day#")
}

impl World {
    async fn count(&self, instance: InstanceId, counters: &[Counter]) -> Result<(), StorageError> {
        self.counters.count(instance, counters, self.now()).await
    }

    /// What is stored of today.
    async fn today(&self, instance: InstanceId) -> Counts {
        let today = self.now().date_naive();
        let days = self.elsewhere.list_days(instance, today, today).await;
        let mut sum = Counts::default();
        for (_, counts) in days.expect("read") {
            sum.add(&counts);
        }
        sum
    }
}

#[tokio::test]
async fn one_after_the_other_each_count_is_an_update() {
    let world = World::new().await;
    for n in 1..=3 {
        let counted = world.count(world.instance, &[Counter::Sent(Kind::Text), Counter::Ended]);
        counted.await.expect("counted");
        assert_eq!(world.updates(), n);
        let today = world.today(world.instance).await;
        assert_eq!((today.sent, today.ended), (n, n));
    }
    world.count(world.instance, &[]).await.expect("nothing to count");
    assert_eq!(world.updates(), 3);
}

#[tokio::test]
async fn counts_that_come_while_one_is_written_share_its_successor() {
    let world = World::new().await;
    let sent = [Counter::Sent(Kind::Text), Counter::Ended];
    let (first, held) = world
        .begin_held(updates(), world.count(world.instance, &sent))
        .await;
    let kinds = [
        [Counter::Sent(Kind::Text), Counter::Ended],
        [Counter::Sent(Kind::Image), Counter::Delivered],
    ];
    let mut others = Vec::new();
    for n in 0..50 {
        others.push(begin(world.count(world.instance, &kinds[n % 2])).await);
    }
    held.pass();
    first.await.expect("counted");
    for counted in join_all(others).await {
        counted.expect("counted");
    }
    assert_eq!(world.updates(), 2, "one for the first, one for all others");
    let today = world.today(world.instance).await;
    assert_eq!((today.sent, today.ended, today.delivered), (51, 26, 25));
    let by_kind: Vec<_> = today.sent_by_kind.into_iter().collect();
    assert_eq!(by_kind, [(Kind::Text, 26), (Kind::Image, 25)]);
}

#[tokio::test]
async fn neither_another_instance_nor_another_day_waits() {
    let world = World::new().await;
    let (first, held) = world
        .begin_held(updates(), world.count(world.instance, &[Counter::Read]))
        .await;
    let other = world.count(world.other, &[Counter::Read]);
    in_time("another instance's count", other).await.expect("counted");
    let yesterday = world.now() - TimeDelta::days(1);
    let earlier = world.counters.count(world.instance, &[Counter::Read], yesterday);
    in_time("another day's count", earlier).await.expect("counted");
    assert_eq!(world.today(world.instance).await.read, 0, "it is held");
    held.pass();
    first.await.expect("counted");
    assert_eq!(world.today(world.instance).await.read, 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_no_count_with_it() {
    let world = World::new().await;
    let (first, held) = world
        .begin_held(updates(), world.count(world.instance, &[Counter::Read]))
        .await;
    let second = begin(world.count(world.instance, &[Counter::Read])).await;
    // The clones of counters count together.
    let clone = world.counters.clone();
    let read = [Counter::Read];
    let third = begin(clone.count(world.instance, &read, world.now())).await;
    drop((first, second));
    held.pass();
    third.await.expect("counted");
    assert_eq!(world.updates(), 2);
    assert_eq!(world.today(world.instance).await.read, 3);
}

#[tokio::test]
async fn a_failure_is_told_to_all_whose_update_it_was_and_to_nobody_else() {
    // What the update of five does, and how many of them are counted then.
    for (fate, counted_all_the_same) in [(Fate::FAILED, 0_u64), (Fate::LOST, 5)] {
        let world = World::new().await;
        let (first, held) = world
            .begin_held(updates(), world.count(world.instance, &[Counter::Read]))
            .await;
        let failing = world.relay.plan(updates(), [fate]);
        let mut others = Vec::new();
        for _ in 0..5 {
            others.push(begin(world.count(world.instance, &[Counter::Read])).await);
        }
        held.pass();
        first.await.expect("counted");
        for told in join_all(others).await {
            let error = told.expect_err("nobody knows");
            assert_eq!(error.nature(), Nature::Transient, "{error:?}");
        }
        assert!(failing.is_done());
        assert_eq!(world.updates(), 2, "it is not repeated");
        let again = world.count(world.instance, &[Counter::Read]);
        again.await.expect("counted");
        let read = world.today(world.instance).await.read;
        assert_eq!(read, 2 + counted_all_the_same);
    }
}

#[tokio::test]
async fn an_update_that_was_refused_for_the_load_is_repeated_for_all() {
    let world = World::new().await;
    let (first, held) = world
        .begin_held(updates(), world.count(world.instance, &[Counter::Read]))
        .await;
    let refused = world.relay.plan(updates(), [Fate::THROTTLED]);
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(begin(world.count(world.instance, &[Counter::Read])).await);
    }
    held.pass();
    first.await.expect("counted");
    for told in join_all(others).await {
        told.expect("counted");
    }
    assert!(refused.is_done());
    assert_eq!(world.today(world.instance).await.read, 6);
}
