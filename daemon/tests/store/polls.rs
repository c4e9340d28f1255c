//! Polls and their votes.

use chrono::TimeDelta;
use daemon::store::{CastVote, Counted, NewPoll, SessionStore};
use shared::domain::person::Person;
use shared::storage::StorageError;

use crate::support::World;

fn poll(options: [&str; 2]) -> NewPoll {
    NewPoll {
        options: options.map(str::to_owned).into(),
        secret: Some([7; 32]),
        creator: None,
    }
}

/// Somebody chooses this; answers how the poll stands, and `None` where it does not count.
async fn vote(store: &SessionStore, voter: &str, at: i64, chosen: usize) -> Option<Vec<u32>> {
    let counting = store.count_vote("3AFF01", |poll| {
        assert_eq!(poll.secret(), Some([7; 32]));
        Some(CastVote {
            voter: Person {
                phone: Some(voter.to_owned()),
                lid: None,
            },
            at,
            options: vec![chosen],
        })
    });
    match counting.await.expect("stored") {
        Counted::Counts { poll, options } => {
            assert_eq!((poll.options[0].as_str(), options), ("Soup", vec![chosen]));
            Some(poll.tally())
        }
        Counted::Void | Counted::Unreadable => None,
    }
}

#[tokio::test]
async fn a_poll_is_kept_with_its_votes_for_as_long_as_they_count() {
    let world = World::new().await;
    let store = world.store(1);
    let keeping = store.keep_poll("3AFF01", poll(["Soup", "Salad"]));
    keeping.await.expect("stored");
    assert_eq!(vote(&store, "15550100002", 5, 0).await, Some(vec![1, 0]));
    // Nobody takes its place, and the next owner goes on with it.
    let store = world.store(2);
    let again = store.keep_poll("3AFF01", poll(["Fish", "Rice"]));
    again.await.expect("stored");
    assert_eq!(vote(&store, "15550100003", 6, 0).await, Some(vec![2, 0]));
    assert_eq!(vote(&store, "15550100002", 4, 1).await, None);
    assert_eq!(vote(&store, "15550100002", 6, 1).await, Some(vec![1, 1]));
    let items = format!("{:?}", world.items().await);
    let bytes = format!("{:?}", "Soup".as_bytes());
    assert!(items.contains("poll#3AFF01"));
    assert!(!items.contains("Soup") && !items.contains(bytes.trim_matches(['[', ']'])));

    // The owner before changes nothing any more.
    let before = world.store(1);
    let late = before.count_vote("3AFF01", |_| {
        Some(CastVote {
            voter: Person {
                phone: Some("15550100004".to_owned()),
                lid: None,
            },
            at: 9,
            options: vec![0],
        })
    });
    assert!(matches!(late.await, Err(StorageError::Fenced)));

    world.clock.advance(TimeDelta::days(89));
    assert_eq!(vote(&store, "15550100002", 7, 0).await, Some(vec![2, 0]));
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(vote(&store, "15550100002", 8, 1).await, None);
}
