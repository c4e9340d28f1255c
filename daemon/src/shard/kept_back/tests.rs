use chrono::TimeDelta;
use shared::domain::network::Network;
use shared::domain::shard::Shard;
use shared::storage::keys;
use shared::storage::schedule::{Entry, QueuedLater};

use super::*;

const LANE: &str = "a lane";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn id(number: u32) -> MessageId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    MessageId::from_bytes(bytes)
}

/// A message that was due in this second, and expires ten seconds later.
fn found(lane: &str, number: u32, waits_already: bool) -> Found {
    let due = at(number.into());
    let entry = Entry {
        at: due,
        message: id(number),
        instance: InstanceId::from_bytes([1; 16]),
        subscription: (!waits_already).then(|| SubscriptionId::from_bytes([2; 16])),
        expires_at: due + TimeDelta::seconds(10),
        job: Some(QueuedLater {
            group: lane.to_owned(),
            body: String::new(),
        }),
    };
    Found {
        key: keys::due(Network::Sandbox, Shard(0), due, id(number)),
        entry: Ok(entry),
        body: None,
    }
}

fn kept(lane: &str, count: u32) -> KeptBack {
    let mut kept = KeptBack::new(Instant::now());
    kept.keep(lane, true);
    for number in 0..count {
        kept.add(lane, &found(lane, number, false));
    }
    kept
}

fn messages(kept: &KeptBack, lane: &str) -> Vec<MessageId> {
    let again = kept.again(lane, usize::MAX).expect("a lane");
    again.places.iter().map(|place| place.message).collect()
}

#[test]
fn a_lane_is_kept_back_until_all_of_it_is_gone() {
    let mut kept = kept(LANE, 3);
    assert!(kept.has(LANE) && !kept.was_failing(LANE));
    assert_eq!(messages(&kept, LANE), [id(0), id(1), id(2)]);
    kept.gone(LANE, 2);
    assert_eq!(messages(&kept, LANE), [id(2)]);
    kept.keep(LANE, false);
    assert!(kept.was_failing(LANE));
    kept.gone(LANE, 1);
    assert!(kept.is_empty() && kept.places == 0);
    assert_eq!(kept.until_read_anew(Instant::now()), None);
}

#[test]
fn what_was_put_off_passes_what_has_no_room_and_nothing_else() {
    let mut kept = kept(LANE, 1);
    let put_off = of_waiting(LANE);
    assert!(kept.holds(LANE, false) && !kept.holds(LANE, true));
    kept.keep(&put_off, false);
    kept.add(&put_off, &found(LANE, 1, true));
    kept.add(LANE, &found(LANE, 2, false));
    assert_eq!(messages(&kept, &put_off), [id(1)]);
    assert_eq!(messages(&kept, LANE), [id(0)], "the next one is behind the other");
    assert!(kept.holds(LANE, true), "those that were put off keep their order");
    kept.keep(LANE, false);
    assert!(
        kept.again(&put_off, 9).is_none(),
        "it is not the room that is missing"
    );
    kept.gone(LANE, 1);
    assert_eq!(messages(&kept, &put_off), [id(1)]);
    assert!(kept.again(LANE, 9).is_none());
    kept.gone(&put_off, 1);
    assert_eq!(messages(&kept, LANE), [id(2)]);
    assert!(!kept.has(&put_off) && kept.holds(LANE, true));
}

/// They may alternate, and each has its turn as soon as the one before it is gone.
#[test]
fn when_one_half_of_a_lane_has_moved_the_other_has_its_turn() {
    let mut kept = kept(LANE, 1);
    let put_off = of_waiting(LANE);
    kept.keep(LANE, false);
    kept.keep(&put_off, false);
    kept.add(&put_off, &found(LANE, 1, true));
    kept.add(LANE, &found(LANE, 2, false));
    kept.add(&put_off, &found(LANE, 3, true));
    assert_eq!(kept.turns(LANE), [LANE]);
    kept.gone(LANE, 1);
    assert_eq!(kept.turns(LANE), [put_off.as_str()]);
    kept.gone(&put_off, 1);
    assert_eq!(kept.turns(&put_off), [LANE]);
    kept.gone(LANE, 1);
    assert_eq!(kept.turns(LANE), [put_off.as_str()]);
    kept.gone(&put_off, 1);
    assert!(kept.turns(&put_off).is_empty() && kept.is_empty());
}

#[test]
fn lanes_are_looked_at_in_the_order_of_their_messages() {
    let mut kept = kept("late", 1);
    kept.gone("late", 1);
    for (lane, number) in [("late", 9), ("early", 3)] {
        kept.keep(lane, true);
        kept.add(lane, &found(lane, number, false));
    }
    assert_eq!(kept.lanes(), ["early", "late"]);
}

#[test]
fn of_many_the_first_are_remembered_and_the_index_is_read_anew_for_the_others() {
    let most = u32::try_from(MOST_OF_LANE).expect("few");
    let mut kept = kept(LANE, most + 5);
    assert_eq!(messages(&kept, LANE).len(), MOST_OF_LANE);
    let now = kept.read_at;
    assert_eq!(kept.until_read_anew(now), Some(READ_ANEW_AT_LAST));
    kept.gone(LANE, 1);
    kept.add(LANE, &found(LANE, most + 6, false));
    assert_eq!(
        messages(&kept, LANE).len(),
        MOST_OF_LANE - 1,
        "what lies between is not known"
    );
    kept.gone(LANE, MOST_OF_LANE);
    assert!(kept.has(LANE), "the index has more of it");
    assert_eq!(kept.until_read_anew(now), Some(READ_ANEW));
    assert_eq!(kept.until_read_anew(now + READ_ANEW), Some(Duration::ZERO));
    assert!(kept.lanes().is_empty());
}

/// The index is read again from a time of which somebody told.
#[test]
fn what_is_known_is_not_remembered_twice_and_what_comes_between_has_its_place() {
    let mut kept = KeptBack::new(Instant::now());
    kept.keep(LANE, true);
    for number in [1, 5, 3, 1, 5] {
        kept.add(LANE, &found(LANE, number, false));
    }
    assert_eq!(messages(&kept, LANE), [id(1), id(3), id(5)]);
    assert_eq!(kept.places, 3);
}

#[test]
fn where_much_is_remembered_each_lane_has_a_few_places_all_the_same() {
    let mut kept = KeptBack::new(Instant::now());
    let lanes = MOST / MOST_OF_LANE + 2;
    for lane in 0..lanes {
        let name = lane.to_string();
        kept.keep(&name, true);
        for number in 0..u32::try_from(MOST_OF_LANE).expect("few") {
            kept.add(&name, &found(&name, number, false));
        }
    }
    let last = (lanes - 1).to_string();
    assert_eq!(messages(&kept, &last).len(), LEAST_OF_LANE);
    assert!(kept.places <= MOST + MOST_OF_LANE);
}

#[test]
fn what_expires_is_known_and_told_once() {
    let mut kept = kept(LANE, 3);
    kept.add(LANE, &found(LANE, 3, true));
    assert_eq!(kept.next_expiry(), Some(at(10)));
    assert_eq!(kept.expired(at(9), 9), []);
    let expired = kept.expired(at(60), 9);
    assert_eq!(expired.len(), 3, "one waits already, and its lane tells of it");
    kept.told(LANE, id(1), true);
    kept.told(LANE, id(0), false);
    assert_eq!(kept.next_expiry(), Some(at(12)));
    kept.try_again();
    assert_eq!(kept.next_expiry(), Some(at(10)));
    assert_eq!(messages(&kept, LANE), [id(0), id(2), id(3)]);
    assert_eq!(kept.places, 3);
}
