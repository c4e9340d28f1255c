//! What the feed consumes of the table. `docs/capacity.md` has the table.

use shared::auth::api_key::Scope;
use shared::domain::feed::FeedEvent;
use testbed::relay::Relay;
use testbed::relay::meter::{Charge, Units, sum};
use testbed::table::patient;
use testbed::wait::until;
use tokio::time::Instant;

use crate::world::World;

/// Sockets of one key, the most there may be.
const SOCKETS: u64 = 20;

/// Events that each of them hears.
const EVENTS: u8 = 30;

/// Who may follow is read in batches, of all at once. No other request of the feed's is one.
const CHECKS: &str = "BatchGetItem";

/// What is read now and then, whatever happens: who may follow, how the daemon does itself, and the counters of the day.
const IN_ANY_CASE: [&str; 4] = [CHECKS, "meta", "daemons", "ctr"];

/// However many events change them, an instance's counters are read once in so many seconds at most.
const COUNTERS_PERIOD: u64 = 10;

#[tokio::test]
async fn an_event_costs_nothing_however_many_hear_it_and_who_may_follow_is_read_of_all_at_once() {
    let world = World::new().await;
    let relay = Relay::metering(&world.database.endpoint).await;
    let feed = world
        .feed_with("a", &patient(relay.endpoint()), |settings| settings)
        .await;
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let key = world.key(&ada, &sales, &[Scope::MessagesRead]).await;
    let mut followers = Vec::new();
    for _ in 0..SOCKETS {
        followers.push(feed.follower(key.secret.reveal()).await);
    }
    // Each connection reads its key and the subscription.
    let joining = relay.settled_bill().await;
    let read = Charge {
        calls: SOCKETS,
        units: units(SOCKETS),
    };
    assert_eq!((joining["key"], joining["sub"]), (read, read), "{joining:?}");

    let began = Instant::now();
    for number in 1..=EVENTS {
        feed.show(&sales, FeedEvent::MessageStatus, number);
        for follower in &mut followers {
            assert_eq!(follower.event().await.0, "message:status");
        }
    }
    let mut bill = relay.settled_bill().await;
    let of_events = sum(&bill, |of| !IN_ANY_CASE.contains(&of));
    assert_eq!(of_events, Charge::default(), "{bill:?}");
    let most = began.elapsed().as_secs() / COUNTERS_PERIOD + 1;
    let counters = bill.get("ctr").copied().unwrap_or_default();
    assert!(counters.calls <= most, "{bill:?}");

    let checks = until("a look who may follow", async || {
        for (of, charge) in relay.settled_bill().await {
            *bill.entry(of).or_default() += charge;
        }
        bill.get(CHECKS).copied()
    })
    .await;
    // The key and the subscription, once for all sockets.
    assert_eq!(checks.units, units(2 * checks.calls), "{bill:?}");
}

/// So many half read units.
fn units(half_reads: u64) -> Units {
    Units {
        writes: 0,
        half_reads,
    }
}
