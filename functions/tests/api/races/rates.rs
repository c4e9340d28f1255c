//! For an API key's requests of an hour, through processes of which many end early.

use chrono::TimeDelta;
use shared::clock::Clock;
use shared::ids::KeyId;
use shared::storage::item::Reader;
use shared::storage::keys;
use shared::storage::rates::{Limit, Rates, Scope};

use crate::support::World;

const LIMIT: u32 = 1_000;

struct Hour {
    world: World,
    scope: Scope,
}

impl Hour {
    async fn begin() -> Self {
        let world = World::new().await;
        let scope = Scope::Key(KeyId::new(world.clock.now()));
        Self { world, scope }
    }

    fn process(&self) -> Rates {
        Rates::new(self.world.state.table.clone())
    }

    async fn is_within(&self, process: &Rates) -> bool {
        let now = self.world.clock.now();
        let rate = process.count(self.scope, Limit::per_hour(LIMIT), now).await;
        rate.expect("counted").within
    }

    /// The shared count.
    async fn count(&self) -> u32 {
        let begins = self.world.clock.now().timestamp() / 3_600 * 3_600;
        let key = keys::rate(&self.scope.to_string(), 3_600, begins);
        let item = self.world.state.table.get(&key).await.expect("read");
        let item = item.expect("there");
        Reader::new("rate", &item).number("requests").expect("a number")
    }
}

fn assert_fair(served: u32) {
    assert!(
        (LIMIT / 100 * 95..=LIMIT).contains(&served),
        "{served} were served"
    );
}

#[tokio::test]
async fn fifty_processes_share_a_limit_and_none_of_it_is_lost() {
    let hour = Hour::begin().await;
    let processes: Vec<_> = (0..50).map(|_| hour.process()).collect();
    // Whoever is asked next refuses none before 95 % of the limit, and all together serve no more than it.
    let mut served = 0;
    let mut first_refusal = None;
    for process in processes.iter().cycle().take(1_500) {
        if hour.is_within(process).await {
            served += 1;
        } else {
            first_refusal.get_or_insert(served);
        }
    }
    assert_fair(first_refusal.expect("1,500 are too many"));
    assert_fair(served);
    // The window is known to be full: nothing is written.
    let full = hour.count().await;
    for process in &processes {
        assert!(!hour.is_within(process).await);
    }
    assert_eq!(hour.count().await, full);
    hour.world.clock.advance(TimeDelta::hours(1));
    assert!(hour.is_within(&processes[0]).await);
}

#[tokio::test]
async fn processes_that_end_take_little_of_a_limit_along() {
    for lifetime in [1, 2, 3, 7, 30] {
        let hour = Hour::begin().await;
        let mut served = 0;
        'hour: loop {
            let process = hour.process();
            for _ in 0..lifetime {
                if !hour.is_within(&process).await {
                    break 'hour;
                }
                served += 1;
            }
        }
        assert_fair(served);
    }
}

#[tokio::test]
async fn a_process_that_lives_asks_the_table_for_one_request_in_ten() {
    let hour = Hour::begin().await;
    let process = hour.process();
    assert!(hour.is_within(&process).await);
    assert_eq!(hour.count().await, 1);
    for n in 0..100 {
        assert!(hour.is_within(&process).await);
        assert_eq!(hour.count().await, 11 + n / 10 * 10);
    }
}
