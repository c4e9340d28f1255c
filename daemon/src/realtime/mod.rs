//! The realtime feed: Socket.IO over WebSocket, for dashboards and programs that follow along.
//!
//! Events come from the [hub](crate::announce::hub), which has those of this process and, over the [bus], of the others.
//! `gate` gives connections their places, `door` finds out who connects, `feed` answers what sockets ask, `watch` tells events and ends whoever may not follow
//! any longer. Nothing here is durable: a socket that misses something is told so (`resync`).
//!
//! Everything is bounded:
//!
//! | what | bound |
//! | --- | --- |
//! | connections | `WAXWING_REALTIME_SOCKETS`; the next one is answered 503, as every one is once the daemon stops |
//! | sockets of a subscription, of an API key, of a pairing link | `Limits` |
//! | the time until a connection has shown its token | `HANDSHAKE` |
//! | a message of a client | `LARGEST_REQUEST` |
//! | what a client may ask | 20 requests at once, one a second in the long run |
//! | what waits for a socket | `BUFFERED` events of 16 KiB; more of it waits in the ring, and a socket that has no room for 10 s is cut off |
//! | the ring of events | 4,096 events, 16 MiB |
//!
//! The library that speaks Socket.IO cannot end a connection whose peer reads nothing. So connections come with the means to
//! cut them (`crate::cuttable`), which a server in front of the feed must give: `crate::web::serve` does.

pub mod bus;
mod caller;
mod door;
mod feed;
mod follower;
mod followers;
mod gate;
pub mod health;
pub mod refusal;
mod stats;
mod ticket;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use serde::Serialize;
use shared::auth::jwt::Jwts;
use shared::clock::Clock;
use shared::config::{self, Secret};
use shared::domain::network::Network;
use shared::storage::Table;
use shared::storage::counters::Counters;
use shared::storage::instances::Instances;
use shared::storage::standings::Standings;
use socketioxide::layer::SocketIoLayer;
use socketioxide::{SocketIo, TransportType};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use self::bus::Bus;
use self::door::Door;
use self::feed::Feed;
use self::followers::{Followers, Limits};
use self::health::Probe;
use self::stats::Stats;
use crate::announce::hub::Hub;
use crate::meter::Total;

/// Where the feed is.
pub const PATH: &str = "/socket.io";

/// How long a connection may take to show its token.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// The largest message of a client, in bytes.
pub const LARGEST_REQUEST: usize = 16 * 1024;

/// How many packets wait for a socket that does not read.
pub const BUFFERED: usize = 64;

/// How long a socket that was let in may take to say what it wants, before it is told all.
const GRACE: Duration = Duration::from_secs(1);

/// What the feed is made of.
#[derive(Debug)]
pub struct Parts {
    /// The table.
    pub table: Table,
    /// The events.
    pub hub: Arc<Hub>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The network whose events it has.
    pub network: Network,
    /// What the daemon is called.
    pub daemon: String,
    /// What checks access tokens.
    pub jwts: Jwts,
    /// Its settings.
    pub settings: config::Realtime,
}

/// What the feed has in hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Sockets that are open.
    pub sockets: usize,
    /// How many may be.
    pub sockets_limit: usize,
    /// Subscriptions that they follow.
    pub subscriptions: usize,
    /// Connections that were refused since the process began.
    pub refused: u64,
    /// Sockets that were cut off since they read too slowly.
    pub cut_off: u64,
    /// Events that had to leave the ring for later ones.
    pub events_dropped: u64,
    /// Events that other daemons were not told.
    pub events_untold: u64,
}

/// The realtime feed of a daemon. Cheap to clone.
#[derive(Clone)]
pub struct Realtime(Arc<Inner>);

struct Inner {
    feed: Arc<Feed>,
    standings: Standings,
    stats: Stats,
    bus: Option<Bus>,
    io: SocketIo,
    layer: SocketIoLayer,
    places: Arc<Semaphore>,
    full: Total,
    trusted_proxies: usize,
}

impl Realtime {
    /// A feed. Sockets are taken where its [layer](Self::over) is, and served while it [runs](Self::run).
    pub fn new(parts: Parts) -> Result<Self, redis::RedisError> {
        let Parts {
            table,
            hub,
            clock,
            network,
            daemon,
            jwts,
            settings,
        } = parts;
        let followers = Arc::new(Followers::new(Limits::of(settings.sockets)));
        let bus = settings.redis.as_ref().map(|url: &Secret| {
            let channel = format!("waxwing-feed|{}|{network}", table.name());
            Bus::new(url, channel, daemon, Arc::clone(&hub), Arc::clone(&followers))
        });
        let bus = bus.transpose()?;
        let (layer, io) = SocketIo::builder()
            .req_path(PATH)
            .transports([TransportType::Websocket])
            .connect_timeout(HANDSHAKE)
            .max_buffer_size(BUFFERED)
            .max_payload(LARGEST_REQUEST as u64)
            .ws_max_message_size(LARGEST_REQUEST)
            .ws_max_frame_size(LARGEST_REQUEST)
            .build_layer();
        let feed = Arc::new(Feed {
            door: Door::new(&table, jwts, Arc::clone(&clock), network),
            followers,
            instances: Instances::new(table.clone()),
            clock: Arc::clone(&clock),
            tasks: TaskTracker::new(),
            health: std::sync::Mutex::default(),
            slow: Total::default(),
            refused: Total::default(),
            closes: AtomicBool::default(),
            hub: Arc::clone(&hub),
        });
        feed.take(&io);
        Ok(Self(Arc::new(Inner {
            feed,
            standings: Standings::new(table.clone()),
            stats: Stats::new(hub, Counters::new(table), clock),
            bus,
            io,
            layer,
            places: Arc::new(Semaphore::new(settings.sockets)),
            full: Total::default(),
            trusted_proxies: settings.trusted_proxies,
        })))
    }

    /// These routes with the feed beside them. Requests must come with a [`Peer`](crate::cuttable::Peer).
    pub fn over(&self, routes: Router) -> Router {
        routes
            .layer(self.0.layer.clone())
            .layer(middleware::from_fn_with_state(self.clone(), gate::give_ticket))
    }

    /// Whether there is a way to other daemons.
    pub fn has_bus(&self) -> bool {
        self.0.bus.is_some()
    }

    /// Whether events of all daemons come here, as far as there is a way to them.
    pub fn hears_others(&self) -> bool {
        self.0.bus.as_ref().is_none_or(Bus::is_whole)
    }

    /// What it has in hand.
    pub fn load(&self) -> Load {
        let Inner { feed, bus, full, .. } = &*self.0;
        Load {
            sockets: feed.followers.count(),
            sockets_limit: feed.followers.limits().sockets,
            subscriptions: feed.followers.subscriptions().len(),
            refused: feed.refused.get() + full.get(),
            cut_off: feed.slow.get(),
            events_dropped: feed.hub.dropped(),
            events_untold: bus.as_ref().map_or(0, Bus::lost),
        }
    }

    /// Serves sockets until `stop`; then they are cut, and find another daemon. What happens until the daemon's shards are
    /// handed over is told to the others still: nobody else tells it.
    pub async fn run(&self, daemon: &dyn Probe, stop: &CancellationToken, handed_over: &CancellationToken) {
        let Inner {
            feed,
            standings,
            stats,
            bus,
            io,
            ..
        } = &*self.0;
        // Each ends when what it takes from has ended, so that the last events come through.
        let (told, counted) = (CancellationToken::new(), CancellationToken::new());
        let closing = async {
            stop.cancelled().await;
            feed.close();
        };
        let telling = async {
            watch::tell(feed, |shown| stats.note(shown), handed_over).await;
            told.cancel();
        };
        let counting = async {
            stats.tell(&told).await;
            counted.cancel();
        };
        let over_bus = async {
            if let Some(bus) = bus {
                tokio::join!(bus.listen(&counted), bus.tell(&counted));
            }
        };
        tokio::join!(
            closing,
            telling,
            counting,
            watch::expire(feed, stop),
            watch::check(feed, standings, stop),
            health::tell(feed, daemon, stop),
            over_bus,
        );
        // Not before: without its namespace the library refuses for good whoever comes late.
        io.close().await;
        feed.tasks.close();
        feed.tasks.wait().await;
        info!("the realtime feed has ended");
    }
}

impl std::fmt::Debug for Realtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realtime").field("load", &self.load()).finish()
    }
}
