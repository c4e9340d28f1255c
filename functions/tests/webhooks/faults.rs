//! Endpoints that misbehave: what is in the log, what follows, and that nobody else notices.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use functions::webhook_delivery::Settings;
use functions::webhook_delivery::transport::Settings as Transport;
use shared::domain::delivery::{AttemptFault, DeliveryState};
use shared::reach::Reach;
use shared::reach::client::Lookup;
use testbed::wait::until;

use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

/// The attempt fails in this way, the event leaves the line, and it arrives once the endpoint is well. Another endpoint has its
/// event at once, though it came in the same batch.
async fn fails(does: Does, status: Option<u16>, fault: AttemptFault) {
    fails_in(World::new().await, does, status, fault).await;
}

/// The same for an attempt that runs out of its time.
async fn times_out(does: Does) {
    fails_in(World::with(soon_over()).await, does, None, AttemptFault::Timeout).await;
}

/// Settings by which an attempt ends while a test waits for it. One that goes well takes less, on the busiest machine.
fn soon_over() -> Settings {
    let transport = Transport {
        deadline: Duration::from_secs(10),
        ..settings().transport
    };
    Settings {
        transport,
        ..settings()
    }
}

async fn fails_in(world: World, does: Does, status: Option<u16>, fault: AttemptFault) {
    let (bad, good) = (
        Receiver::that(does.clone()).await,
        Receiver::that(Does::status(200)).await,
    );
    let (ill, well) = (
        world.hooked("ill", &bad.url()).await,
        world.hooked("well", &good.url()).await,
    );
    let event = world.tell(&ill, "15550100001", "hello").await;
    let other = world.tell(&well, "15550100001", "hello").await;
    world.work().await;
    assert_eq!(
        world.progress(&well, other).await,
        DeliveryState::Succeeded,
        "{does:?}"
    );
    let delivery = world.delivery(&ill, event).await.expect("it is in the log");
    assert_eq!(delivery.progress.state, DeliveryState::Pending, "{does:?}");
    let attempt = delivery.attempts[0];
    assert_eq!((attempt.status, attempt.fault), (status, Some(fault)), "{does:?}");
    assert_eq!(world.left().await, (0, 1), "{does:?}: it has left the line");
    assert!(world.is_kept(&ill, event).await, "{does:?}");
    assert_eq!(bad.heard().len(), 1, "{does:?}: it was tried once");

    bad.now(Does::status(200));
    world.pass(TimeDelta::seconds(6), TimeDelta::seconds(6)).await;
    assert_eq!(
        world.progress(&ill, event).await,
        DeliveryState::Succeeded,
        "{does:?}"
    );
    assert_eq!(bad.heard()[1].id(), event.to_string(), "{does:?}");
    assert!(!world.is_kept(&ill, event).await, "{does:?}");
    assert_eq!(world.left().await, (0, 0), "{does:?}");
    assert!(world.read(&ill).await.health.is_well(), "{does:?}");
}

#[tokio::test]
async fn an_error() {
    fails(Does::status(500), Some(500), AttemptFault::Status).await;
    fails(Does::status(404), Some(404), AttemptFault::Status).await;
}

#[tokio::test]
async fn no_answer() {
    times_out(Does::Hangs).await;
}

/// Its answer would come after a minute. Nothing of a deployment is changed here: an attempt has its usual time.
#[tokio::test]
async fn an_endpoint_that_takes_a_minute_is_waited_for_for_fifteen_seconds() {
    let world = World::with(Settings {
        transport: Transport::new(Reach::LOOPBACK),
        ..settings()
    })
    .await;
    let (slow, good) = (
        Receiver::that(Does::Hangs).await,
        Receiver::that(Does::status(200)).await,
    );
    let (ill, well) = (
        world.hooked("ill", &slow.url()).await,
        world.hooked("well", &good.url()).await,
    );
    let event = world.tell(&ill, "15550100001", "hello").await;
    world.tell(&well, "15550100001", "hello").await;
    let meanwhile = async {
        slow.until_heard(1).await;
        good.until_heard(1).await;
        assert_eq!(slow.open(), 1, "the other one does not wait for it");
    };
    tokio::join!(world.work(), meanwhile);
    let delivery = world.delivery(&ill, event).await.expect("it is in the log");
    let attempt = delivery.attempts[0];
    assert_eq!(attempt.fault, Some(AttemptFault::Timeout));
    assert!((15_000..60_000).contains(&attempt.took_ms), "{attempt:?}");
    // Before anything more is tried, the connection has ended.
    until("its end", async || (slow.open() == 0).then_some(())).await;
    assert_eq!(slow.connections(), 1);
    slow.now(Does::status(200));
    world.pass(TimeDelta::seconds(6), TimeDelta::seconds(6)).await;
    assert_eq!(world.progress(&ill, event).await, DeliveryState::Succeeded);
    assert_eq!(slow.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_trickles() {
    times_out(Does::Trickles).await;
}

#[tokio::test]
async fn a_reset() {
    fails(Does::Resets, None, AttemptFault::ConnectionLost).await;
}

#[tokio::test]
async fn an_answer_that_is_none() {
    fails(Does::Babbles, None, AttemptFault::BadAnswer).await;
}

#[tokio::test]
async fn a_megabyte_of_headers() {
    fails(Does::Brags(1_000_000), None, AttemptFault::BadAnswer).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::that(Does::status(200)).await;
    for to in [
        elsewhere.url(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let moved = Does::Answers(302, vec![("location", to)]);
        fails(moved, Some(302), AttemptFault::Redirect).await;
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// What an endpoint says behind its status is its own affair.
#[tokio::test]
async fn ten_gigabytes_behind_a_200_are_left_where_they_are() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::Floods).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
}

#[tokio::test]
async fn an_endpoint_that_closes_what_it_promised_to_keep_misses_nothing() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::Breaks).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let texts: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    for text in &texts {
        world.tell(&instance, "15550100001", text).await;
    }
    world.work().await;
    assert_eq!(receiver.texts(), texts);
    assert_eq!(world.left().await, (0, 0), "none had to be tried again");
}

#[tokio::test]
async fn nobody_listens() {
    let world = World::new().await;
    let instance = world.hooked("sales", "http://127.0.0.1:1024/hook").await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.attempts[0].fault, Some(AttemptFault::ConnectionFailed));
    assert_eq!(delivery.progress.state, DeliveryState::Pending);
}

/// No connection is made: the endpoint hears nothing.
#[tokio::test]
async fn private_addresses_are_not_connected_to() {
    let receiver = Receiver::that(Does::status(200)).await;
    let port = receiver.address.port();
    let world = World::with(Settings {
        transport: Transport::new(Reach::INTERNET),
        ..settings()
    })
    .await;
    for (name, host) in [
        ("one", "127.0.0.1"),
        ("two", "[::ffff:127.0.0.1]"),
        ("three", "2130706433"),
        ("four", "0177.0.0.1"),
        ("five", "[::1]"),
        // By the resolver alone.
        ("six", "localhost"),
    ] {
        let instance = world.hooked(name, &format!("http://{host}:{port}/hook")).await;
        let event = world.tell(&instance, "15550100001", "hello").await;
        world.work().await;
        let delivery = world.delivery(&instance, event).await.expect("it is in the log");
        assert_eq!(
            delivery.attempts[0].fault,
            Some(AttemptFault::AddressRefused),
            "{host}"
        );
    }
    assert_eq!(receiver.connections(), 0);
}

/// A name that leads to this address.
#[derive(Debug)]
struct Leads(IpAddr);

#[async_trait]
impl Lookup for Leads {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![self.0])
    }
}

#[tokio::test]
async fn names_that_lead_to_private_addresses_are_not_connected_to() {
    let receiver = Receiver::that(Does::status(200)).await;
    for address in [
        "127.0.0.1",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "169.254.169.254",
    ] {
        let transport = Transport {
            lookup: Arc::new(Leads(address.parse().expect("an address"))),
            ..Transport::new(Reach::INTERNET)
        };
        let world = World::with(Settings {
            transport,
            ..settings()
        })
        .await;
        let url = format!("http://hooks.example:{}/hook", receiver.address.port());
        let instance = world.hooked("sales", &url).await;
        let event = world.tell(&instance, "15550100001", "hello").await;
        world.work().await;
        let delivery = world.delivery(&instance, event).await.expect("it is in the log");
        let fault = delivery.attempts[0].fault;
        assert_eq!(fault, Some(AttemptFault::AddressRefused), "{address}");
    }
    assert_eq!(receiver.connections(), 0);
}

/// A name that leads to an address of the internet at first, and to this machine from then on.
#[derive(Debug)]
struct Turns(AtomicUsize);

#[async_trait]
impl Lookup for Turns {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        assert_eq!(name, "turns.example");
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        // An address that leads nowhere from a machine of tests, and one that does.
        let address = if asked == 0 { "192.88.98.1" } else { "127.0.0.1" };
        Ok(vec![address.parse().expect("an address")])
    }
}

#[tokio::test]
async fn a_name_that_turns_to_this_machine_is_found_out_when_it_is_connected_to() {
    let receiver = Receiver::that(Does::status(200)).await;
    let lookup = Arc::new(Turns(AtomicUsize::new(0)));
    let transport = Transport {
        lookup: lookup.clone(),
        reach: Reach::INTERNET,
        ..soon_over().transport
    };
    let world = World::with(Settings {
        transport,
        ..settings()
    })
    .await;
    let url = format!("http://turns.example:{}/hook", receiver.address.port());
    let instance = world.hooked("sales", &url).await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    world.pass(TimeDelta::seconds(6), TimeDelta::seconds(6)).await;
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    let faults: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.fault).collect();
    assert!(
        matches!(
            faults[..],
            [
                Some(AttemptFault::Timeout | AttemptFault::ConnectionFailed),
                Some(AttemptFault::AddressRefused)
            ]
        ),
        "{faults:?}"
    );
    assert_eq!(
        lookup.0.load(Ordering::SeqCst),
        2,
        "it is looked up for each attempt"
    );
    assert_eq!(receiver.connections(), 0);
}

/// A name that leads nowhere.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Lookup for Nobody {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::Error::other("there is no such name"))
    }
}

#[tokio::test]
async fn a_name_that_leads_nowhere() {
    let transport = Transport {
        lookup: Arc::new(Nobody),
        ..settings().transport
    };
    let world = World::with(Settings {
        transport,
        ..settings()
    })
    .await;
    let instance = world.hooked("sales", "http://nobody.example/hook").await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    let delivery = world.delivery(&instance, event).await.expect("it is in the log");
    assert_eq!(delivery.attempts[0].fault, Some(AttemptFault::NameNotResolved));
}
