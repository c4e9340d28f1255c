//! What functions tell of in the realtime feed, by a shard's queue.

use std::time::Duration;

use shared::domain::event::EventType;
use shared::domain::instance::Instance;
use shared::domain::job::Query;
use shared::domain::news::News;
use shared::domain::payload;
use shared::ids::{EventId, MessageId};
use shared::queue::{OutgoingMessage, Queue as _};
use testbed::relay::{Fate, On, Relay, Reply};
use testbed::wait::until;

use crate::daemons::Daemon;
use crate::world::World;

impl World {
    /// An event of this instance that somebody tries.
    fn tried(&self, instance: &Instance) -> News {
        let (now, of) = (self.now(), (instance.id, instance.subscription));
        News::tried(
            EventId::new(now),
            of,
            EventType::MessageReceived,
            MessageId::new(now),
            now,
        )
    }

    /// Tells a daemon of this, as a function does.
    async fn tell_news(&self, news: &News) {
        let told = payload::encode(&Query::Tell { news: news.clone() });
        let queries = self.names.queries(0);
        let sent = self.queue.send(&queries, OutgoingMessage::standard(told));
        sent.await.expect("queued");
    }

    /// Waits until nothing is left of what was told.
    async fn until_no_news(&self) {
        until("the end of the news", async || {
            let depth = self.queue.depth(&self.names.queries(0)).await.expect("read");
            (depth.visible + depth.in_flight == 0).then_some(())
        })
        .await;
    }
}

/// All reads of an instance, at which nobody has looked yet.
fn reads_of(instance: &Instance) -> On {
    On::operations(["GetItem", "BatchGetItem"]).with(instance.id.to_string())
}

/// How often this is shown.
fn times_shown(daemon: &Daemon, news: &News) -> usize {
    let shown = daemon.deps.announcer.hub().after(None).expect("all of it");
    shown.iter().filter(|shown| shown.id == news.id).count()
}

#[tokio::test]
async fn a_tried_event_waits_in_its_queue_for_the_table_and_is_shown_once() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    let table = Relay::before(&world.database.endpoint).await;
    let away = table.always(reads_of(&instance), Fate::FAILED);
    let daemon = world.daemon_on("a", table.endpoint()).await;
    let (news, queries) = (world.tried(&instance), world.names.queries(0));
    world.tell_news(&news).await;
    until("its hiding", async || {
        world
            .queue
            .was_hidden_for(&queries, Duration::from_mins(1))
            .then_some(())
    })
    .await;
    assert_eq!(times_shown(&daemon, &news), 0);

    away.end();
    world.queue.bring_back(&queries).await;
    // A request that comes again tells it once more.
    world.tell_news(&news).await;
    world.until_no_news().await;
    assert_eq!(times_shown(&daemon, &news), 1);
}

#[tokio::test]
async fn a_tried_event_that_can_never_be_shown_is_not_kept() {
    let world = World::new().await;
    let instance = world.instance("main").await;
    let table = Relay::before(&world.database.endpoint).await;
    let refused = Fate::refused(Reply::Code(400, "ValidationException"));
    table.always(reads_of(&instance), refused);
    let daemon = world.daemon_on("a", table.endpoint()).await;
    let (news, queries) = (world.tried(&instance), world.names.queries(0));
    world.tell_news(&news).await;
    world.until_no_news().await;
    assert_eq!(times_shown(&daemon, &news), 0);
    assert!(!world.queue.was_hidden_for(&queries, Duration::from_mins(1)));
}
