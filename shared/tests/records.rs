//! Records of messages over an embedded DynamoDB: several in one request.

use aws_sdk_dynamodb::types::AttributeValue;
use shared::domain::message::{Direction, Kind, MessageRecord};
use shared::domain::person::Person;
use shared::ids::{InstanceId, MessageId};
use shared::storage::StorageError;
use shared::storage::keys;
use shared::storage::messages::{Messages, Put, ReadTogether, Which};
use testbed::relay::meter::sum;
use testbed::relay::{Fate, On, Relay};
use testbed::table::patient;
use testbed::world::World;

/// Messages of two instances.
const FIRST: Which = (InstanceId::from_bytes([1; 16]), MessageId::from_bytes([1; 16]));
const SECOND: Which = (InstanceId::from_bytes([1; 16]), MessageId::from_bytes([2; 16]));
const OTHER: Which = (InstanceId::from_bytes([2; 16]), MessageId::from_bytes([1; 16]));

/// A table with these messages, reached through a relay.
struct Scene {
    world: World,
    relay: Relay,
    messages: Messages,
}

impl Scene {
    async fn with(stored: &[Which]) -> Self {
        let world = World::new().await;
        let relay = Relay::metering(&world.database.endpoint).await;
        let scene = Self {
            messages: Messages::new(patient(relay.endpoint())),
            relay,
            world,
        };
        for which in stored {
            let put = scene.messages.put(&scene.record(*which)).await;
            assert_eq!(put.expect("stored"), Put::Created);
        }
        scene.relay.take_bill();
        scene
    }

    fn record(&self, (instance, id): Which) -> MessageRecord {
        let chat = "15550100001".parse().expect("a number");
        let (direction, person) = (Direction::Outgoing, Person::of(&chat));
        MessageRecord::new(
            id,
            instance,
            direction,
            Kind::Text,
            chat,
            person,
            self.world.now(),
        )
    }

    async fn read(&self, which: &[Which]) -> ReadTogether {
        self.messages.get_together(which).await.expect("read")
    }
}

#[tokio::test]
async fn several_are_read_in_one_request_for_the_units_of_as_many() {
    let scene = Scene::with(&[FIRST, OTHER]).await;
    let all = [FIRST, SECOND, OTHER];
    let ReadTogether { read, left } = scene.read(&all).await;
    assert!(left.is_empty(), "{left:?}");
    let read: Vec<_> = read
        .into_iter()
        .map(|(which, record)| (which, record.expect("whole")))
        .collect();
    let found = |which| (which, Some(scene.record(which)));
    assert_eq!(read, [found(FIRST), (SECOND, None), found(OTHER)]);
    let together = sum(&scene.relay.settled_bill().await, |_| true);

    for (instance, id) in all {
        scene.messages.get(instance, id).await.expect("read");
    }
    let one_by_one = sum(&scene.relay.settled_bill().await, |_| true);
    assert_eq!((together.calls, one_by_one.calls), (1, 3));
    assert_eq!(together.units, one_by_one.units);
}

#[tokio::test]
async fn what_is_left_unread_is_told_as_such_and_not_as_missing() {
    let scene = Scene::with(&[FIRST, SECOND, OTHER]).await;
    let all = [FIRST, SECOND, OTHER];
    let reads = || On::operation("BatchGetItem").with("msgs#");
    scene.relay.plan(reads(), [Fate::UNREAD, Fate::LEFT]);
    let in_part = scene.read(&all).await;
    let read: Vec<_> = in_part.read.iter().map(|(which, _)| *which).collect();
    assert_eq!((read, in_part.left), (vec![FIRST, SECOND], vec![OTHER]));
    let none = scene.read(&all).await;
    assert!(none.read.is_empty());
    assert_eq!(none.left, all);
}

#[tokio::test]
async fn one_that_is_damaged_costs_itself_alone() {
    let scene = Scene::with(&[FIRST, SECOND]).await;
    let damaged = keys::message(FIRST.0, FIRST.1);
    let noon = AttributeValue::S("noon".to_owned());
    scene.world.set(&damaged, "createdAt", noon).await;
    let ReadTogether { read, left } = scene.read(&[FIRST, SECOND]).await;
    assert!(left.is_empty(), "{left:?}");
    let [(_, first), (_, second)] = &read[..] else {
        panic!("two were asked for, and these came: {read:?}");
    };
    assert!(matches!(first, Err(StorageError::Corrupt { .. })), "{first:?}");
    assert!(matches!(second, Ok(Some(record)) if *record == scene.record(SECOND)));
}
