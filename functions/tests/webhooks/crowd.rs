//! A thousand dead endpoints beside one good one, over queues that the process consumes by itself.

use std::time::Duration;

use functions::webhook_delivery::slots::Limits;
use functions::webhook_delivery::{Settings, local, transport};
use futures::StreamExt as _;
use futures::stream;
use shared::domain::delivery::DeliveryState;
use testbed::wait::{in_time, until};
use tokio_util::sync::CancellationToken;

use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

const DEAD: usize = 1_000;

/// The dead ones take their connections and say nothing for as long as this test runs, so each place that they have they keep.
/// The good one's events come all the same, each at once and in their order.
#[tokio::test]
async fn a_thousand_endpoints_that_hang_are_in_nobodys_way() {
    let limits = Limits {
        of_all: 96,
        reserved: 8,
        ..Limits::default()
    };
    let transport = transport::Settings {
        deadline: Duration::from_mins(10),
        ..settings().transport
    };
    let world = World::with(Settings {
        transport,
        limits,
        ..settings()
    })
    .await;
    let (hangs, receiver) = (
        Receiver::that(Does::Hangs).await,
        Receiver::that(Does::status(200)).await,
    );
    let good = world.hooked("good", &receiver.url()).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(local::run(world.state.clone(), world.names.clone(), stop.clone()));
    let mut events = vec![world.tell(&good, "15550100001", "0").await];
    receiver.until_heard(1).await;

    let url = hangs.url();
    let dying = stream::iter(0..DEAD).map(|n| {
        let (world, url) = (&world, &url);
        async move {
            let dead = world.hooked(&format!("dead-{n}"), url).await;
            world.tell(&dead, "15550100001", "hello").await;
        }
    });
    dying.buffer_unordered(16).collect::<Vec<()>>().await;
    // They have every place that is not reserved.
    until("the dead", async || {
        (hangs.connections() == limits.of_all).then_some(())
    })
    .await;
    for n in 1..=20 {
        events.push(world.tell(&good, "15550100001", &n.to_string()).await);
        receiver.until_heard(n + 1).await;
    }
    // As many chats at once as there are places for those who do well.
    for n in 21..=100 {
        let chat = format!("1555010000{}", n % limits.reserved);
        events.push(world.tell(&good, &chat, &n.to_string()).await);
    }
    receiver.until_heard(events.len()).await;
    let numbers: Vec<usize> = receiver
        .texts()
        .iter()
        .map(|text| text.parse().expect("a number"))
        .collect();
    assert!(numbers[..=20].iter().copied().eq(0..=20), "{numbers:?}");
    for chat in 0..limits.reserved {
        let wanted = (21..=100).filter(|n| n % limits.reserved == chat);
        let came = numbers[21..]
            .iter()
            .copied()
            .filter(|n| n % limits.reserved == chat);
        assert!(came.eq(wanted), "{numbers:?}");
    }
    for event in events {
        let delivery = world.recorded(&good, event).await;
        assert_eq!(delivery.progress.state, DeliveryState::Succeeded);
        assert_eq!(delivery.attempts.len(), 1, "none had to come again");
    }
    assert_eq!(
        (hangs.connections(), hangs.open()),
        (limits.of_all, limits.of_all),
        "they hang still, and no more of them were tried"
    );
    // It would wait for those that hang.
    running.abort();
}

/// What is under way when the process is told to stop is ended and recorded.
#[tokio::test]
async fn a_process_ends_what_it_has_begun() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(local::run(world.state.clone(), world.names.clone(), stop.clone()));
    for n in 0..5 {
        world.tell(&instance, "15550100001", &n.to_string()).await;
    }
    receiver.until_heard(1).await;
    stop.cancel();
    in_time("the end", running).await.expect("no panic");
    let heard = u64::try_from(receiver.heard().len()).expect("few");
    assert_eq!(world.left().await, (5 - heard, 0), "what was sent is done");
}
