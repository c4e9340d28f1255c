//! A subscription's messages of a month.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::join_all;
use shared::ids::InstanceId;
use shared::nature::Nature;
use shared::storage::StorageError;
use shared::storage::counters::Quota;
use shared::storage::keys;
use testbed::relay::{Fate, On, Reply};
use testbed::wait::in_time;

use crate::support::{World, begin};

const LIMIT: u32 = 100;

/// Updates of a month's messages.
fn updates() -> On {
    On::operation("UpdateItem").with("month#")
}

impl World {
    async fn count_message(&self, instance: InstanceId, limit: u32) -> Result<Quota, StorageError> {
        let (subscription, now) = (self.subscription, self.now());
        self.counters
            .count_against_quota(subscription, instance, limit, now)
            .await
    }

    /// The same for a message that is due later.
    async fn count_later(&self) -> Result<Quota, StorageError> {
        let (subscription, now) = (self.subscription, self.now());
        self.counters
            .count_later_against_quota(subscription, LIMIT, now)
            .await
    }

    /// Has so many of the month's messages left.
    async fn leave(&self, left: u32) {
        let used = AttributeValue::N((LIMIT - left).to_string());
        let month = keys::month(self.subscription, self.now());
        self.set(&month, "messages", used).await;
    }

    async fn used(&self) -> u32 {
        let used = self.elsewhere.get_used_of_quota(self.subscription, self.now());
        used.await.expect("read").0
    }

    async fn begun(&self, instance: InstanceId) -> u64 {
        let (subscription, now) = (self.subscription, self.now());
        let begun = self.elsewhere.begun_this_month(subscription, instance, now);
        begun.await.expect("read")
    }
}

/// The numbers of those that were counted. The others found no room, and come behind them.
fn numbers(told: Vec<Result<Quota, StorageError>>) -> Vec<u64> {
    let told: Vec<Quota> = told.into_iter().map(|told| told.expect("told")).collect();
    let number = |quota: &Quota| match quota {
        Quota::Counted { of_instance } => Some(*of_instance),
        Quota::Exceeded { .. } => None,
    };
    let numbers: Vec<u64> = told.iter().map_while(number).collect();
    assert!(told[numbers.len()..].iter().all(|quota| number(quota).is_none()));
    numbers
}

#[tokio::test]
async fn one_after_the_other_each_message_is_an_update() {
    let world = World::new().await;
    world.leave(2).await;
    for of_instance in 1..=2 {
        let counted = world.count_message(world.instance, LIMIT).await.expect("told");
        assert_eq!(counted, Quota::Counted { of_instance });
        assert_eq!(world.updates(), of_instance);
    }
    let refused = world.count_message(world.instance, LIMIT).await.expect("told");
    let renews_at = "2026-02-01T00:00:00Z".parse().expect("a time");
    assert_eq!(refused, Quota::Exceeded { renews_at });
    assert_eq!((world.updates(), world.used().await), (3, LIMIT));
}

#[tokio::test]
async fn messages_that_come_while_one_is_counted_share_an_update_and_have_numbers_of_their_own() {
    let world = World::new().await;
    let (first, held) = world
        .begin_held(updates(), world.count_message(world.instance, LIMIT))
        .await;
    let (mut of_one, mut of_other, mut later) = (vec![first], Vec::new(), Vec::new());
    for _ in 0..10 {
        of_one.push(begin(world.count_message(world.instance, LIMIT)).await);
        of_other.push(begin(world.count_message(world.other, LIMIT)).await);
        later.push(begin(world.count_later()).await);
    }
    held.pass();
    let of_one = numbers(join_all(of_one).await);
    assert!(of_one.into_iter().eq(1..=11_u64));
    let of_other = numbers(join_all(of_other).await);
    assert!(of_other.into_iter().eq(1..=10_u64));
    for told in join_all(later).await {
        assert_eq!(told.expect("told"), Quota::Counted { of_instance: 0 });
    }
    assert_eq!(world.updates(), 2, "one for the first, one for all others");
    assert_eq!(world.used().await, 31);
    let begun = (world.begun(world.instance).await, world.begun(world.other).await);
    assert_eq!(begun, (11, 10));
}

#[tokio::test]
async fn of_ten_at_once_seven_find_the_last_seven_places() {
    let world = World::new().await;
    world.leave(7).await;
    let (first, held) = world
        .begin_held(updates(), world.count_message(world.instance, LIMIT))
        .await;
    let mut all = vec![first];
    for _ in 1..10 {
        all.push(begin(world.count_message(world.instance, LIMIT)).await);
    }
    held.pass();
    assert_eq!(numbers(join_all(all).await), [1, 2, 3, 4, 5, 6, 7]);
    // The first; nine, of which three are too many; six; three, for which nothing is left.
    assert_eq!((world.updates(), world.used().await), (4, LIMIT));
    // One that is given back is there for the next.
    let (subscription, now) = (world.subscription, world.now());
    let given_back = world.elsewhere.give_back(subscription, world.instance, now);
    given_back.await.expect("stored");
    let counted = world.count_message(world.instance, LIMIT).await.expect("told");
    assert_eq!(counted, Quota::Counted { of_instance: 7 });
}

#[tokio::test]
async fn a_month_without_a_message_has_room_for_its_limit() {
    let world = World::new().await;
    let (first, held) = world
        .begin_held(updates(), world.count_message(world.instance, 3))
        .await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(begin(world.count_message(world.instance, 3)).await);
    }
    held.release(Fate::FAILED);
    first.await.expect_err("nobody knows");
    assert_eq!(numbers(join_all(others).await), [1, 2, 3]);
    assert_eq!(world.used().await, 3);
    let refused = numbers(vec![world.count_message(world.instance, 0).await]);
    assert!(refused.is_empty());
}

#[tokio::test]
async fn messages_under_another_limit_do_not_wait() {
    let world = World::new().await;
    let (first, held) = world
        .begin_held(updates(), world.count_message(world.instance, LIMIT))
        .await;
    // The plan has changed.
    let counted = in_time("its count", world.count_message(world.instance, 1)).await;
    assert_eq!(counted.expect("told"), Quota::Counted { of_instance: 1 });
    held.pass();
    assert_eq!(first.await.expect("told"), Quota::Counted { of_instance: 2 });
}

/// Some stores do not tell what an item was when a condition failed.
#[tokio::test]
async fn where_nobody_tells_what_is_left_all_that_have_room_are_counted() {
    let world = World::new().await;
    let (first, held) = world
        .begin_held(updates(), world.count_message(world.instance, LIMIT))
        .await;
    let silent = Fate::refused(Reply::Code(400, "ConditionalCheckFailedException"));
    let refused = world.relay.plan(updates(), [silent]);
    let mut all = vec![first];
    for _ in 0..4 {
        all.push(begin(world.count_message(world.instance, LIMIT)).await);
    }
    held.pass();
    assert_eq!(numbers(join_all(all).await), [1, 2, 3, 4, 5]);
    assert!(refused.is_done());
    assert_eq!(world.used().await, 5);
}

#[tokio::test]
async fn a_failure_counts_one_too_many_for_each_at_most_and_never_one_too_few() {
    for (fate, counted_all_the_same) in [(Fate::FAILED, 0_u32), (Fate::LOST, 5)] {
        let world = World::new().await;
        let (first, held) = world
            .begin_held(updates(), world.count_message(world.instance, LIMIT))
            .await;
        let failing = world.relay.plan(updates(), [fate]);
        let mut others = Vec::new();
        for _ in 0..5 {
            others.push(begin(world.count_message(world.instance, LIMIT)).await);
        }
        held.pass();
        assert_eq!(first.await.expect("told"), Quota::Counted { of_instance: 1 });
        for told in join_all(others).await {
            let error = told.expect_err("nobody knows");
            assert_eq!(error.nature(), Nature::Transient, "{error:?}");
        }
        assert!(failing.is_done());
        assert_eq!(world.used().await, 1 + counted_all_the_same);
        let counted = world.count_message(world.instance, LIMIT).await.expect("told");
        let of_instance = 2 + u64::from(counted_all_the_same);
        assert_eq!(counted, Quota::Counted { of_instance });
    }
}

/// What was counted before a failure is told as counted, and what was not is not.
#[tokio::test]
async fn a_failure_at_the_last_places_is_told_to_those_whose_update_it_was_and_to_those_behind() {
    let world = World::new().await;
    world.leave(3).await;
    let (first, held) = world
        .begin_held(updates(), world.count_message(world.instance, LIMIT))
        .await;
    // Four are too many. Two of them are counted, and nobody knows of the others.
    let failing = world
        .relay
        .plan(updates(), [Fate::PASS, Fate::PASS, Fate::FAILED]);
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(begin(world.count_message(world.instance, LIMIT)).await);
    }
    held.pass();
    assert_eq!(first.await.expect("told"), Quota::Counted { of_instance: 1 });
    let mut told = join_all(others).await;
    let failed = told.split_off(2);
    assert_eq!(numbers(told), [2, 3]);
    for told in failed {
        told.expect_err("nobody knows");
    }
    assert!(failing.is_done());
    assert_eq!(world.used().await, LIMIT);
}
