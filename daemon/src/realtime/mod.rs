//! The realtime feed: Socket.IO over WebSocket, for dashboards and programs that follow along.
//!
//! Events come from the [hub](crate::announce::hub), which has those of this process and, over the [bus], of the others.
//! `door` finds out who connects, `feed` answers what sockets ask, `watch` tells events and ends whoever may not follow
//! any longer. Nothing here is durable: a socket that misses something is told so (`resync`).
//!
//! Everything is bounded:
//!
//! | what | bound |
//! | --- | --- |
//! | connections | `WAXWING_REALTIME_SOCKETS`; the next one is answered 503 |
//! | sockets of a subscription, of an API key, of a pairing link | `Limits` |
//! | the time until a connection has shown its token | `HANDSHAKE` |
//! | a message of a client | `LARGEST_REQUEST` |
//! | what a client may ask | 20 requests at once, one a second in the long run |
//! | what waits for a socket | `BUFFERED` events of 16 KiB; a socket that reads no faster is cut off |
//! | the ring of events | 4,096 events, 16 MiB |
//!
//! The library that speaks Socket.IO cannot end a connection whose peer reads nothing. So connections come with the means to
//! cut them (`Peer`), which a server in front of the feed must give: `crate::web::serve` does.

pub mod bus;
mod caller;
mod door;
mod feed;
mod follower;
mod followers;
pub mod refusal;
mod stats;
mod ticket;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use shared::clock::Clock;
use shared::config::{self, Secret};
use shared::domain::feed::FeedEvent;
use shared::domain::network::Network;
use shared::forwarded;
use shared::storage::Table;
use shared::storage::counters::Counters;
use shared::storage::instances::Instances;
use shared::storage::standings::Standings;
use socketioxide::layer::SocketIoLayer;
use socketioxide::{SocketIo, TransportType};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use self::bus::Bus;
use self::door::Door;
use self::feed::Feed;
use self::followers::{Followers, Limits};
use self::stats::Stats;
use self::ticket::Ticket;
use crate::announce::hub::Hub;
use crate::meter::Total;
use crate::web::health::Health;
use crate::web::wire::Peer;

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

/// How often it is looked whether the daemon's health has changed, while somebody follows.
const HEALTH_PERIOD: Duration = Duration::from_secs(15);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

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
            door: Door::new(&table, &settings.jwt_secrets, Arc::clone(&clock), network),
            followers,
            instances: Instances::new(table.clone()),
            clock: Arc::clone(&clock),
            tasks: TaskTracker::new(),
            health: std::sync::Mutex::default(),
            slow: Total::default(),
            refused: Total::default(),
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

    /// These routes with the feed beside them. Requests must come with a [`Peer`].
    pub fn over(&self, routes: Router) -> Router {
        routes
            .layer(self.0.layer.clone())
            .layer(middleware::from_fn_with_state(self.clone(), give_ticket))
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

    /// Serves sockets until `stop`; then they are cut, and find another daemon.
    pub async fn run(&self, health: &Health, stop: &CancellationToken) {
        let Inner {
            feed,
            standings,
            stats,
            bus,
            io,
            ..
        } = &*self.0;
        let over_bus = async {
            if let Some(bus) = bus {
                tokio::join!(bus.listen(stop), bus.tell(stop));
            }
        };
        tokio::join!(
            watch::tell(feed, |shown| stats.note(shown), stop),
            watch::expire(feed, stop),
            watch::check(feed, standings, stop),
            stats.tell(stop),
            self.tell_health(health, stop),
            over_bus,
        );
        watch::end_all(feed);
        io.close().await;
        feed.tasks.close();
        feed.tasks.wait().await;
        info!("the realtime feed has ended");
    }

    /// Tells sockets how the daemon is, whenever that changes.
    async fn tell_health(&self, health: &Health, stop: &CancellationToken) {
        let feed = &self.0.feed;
        let mut ticks = tokio::time::interval(HEALTH_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if feed.followers.count() == 0 {
                last = None;
                *feed.health.lock().expect("no holder panics") = None;
                continue;
            }
            let Some(readiness) = stop.run_until_cancelled(Box::pin(health.readiness())).await else {
                return;
            };
            if last == Some(readiness.checks) {
                continue;
            }
            last = Some(readiness.checks);
            let told = json!({
                "status": if readiness.is_ready() { "ok" } else { "degraded" },
                "checks": readiness.checks,
                "timestamp": feed.clock.now(),
            });
            *feed.health.lock().expect("no holder panics") = Some(told.clone());
            for follower in feed.followers.all() {
                if follower.caller().may_hear(FeedEvent::SystemHealth) {
                    follower.remark(FeedEvent::SystemHealth.as_str(), &told);
                }
            }
        }
    }
}

impl std::fmt::Debug for Realtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realtime").field("load", &self.load()).finish()
    }
}

/// Gives a connection to the feed its place, or refuses it.
async fn give_ticket(State(realtime): State<Realtime>, mut request: Request, next: Next) -> Response {
    let rest = request.uri().path().strip_prefix(PATH);
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return next.run(request).await;
    }
    let Inner {
        places,
        full,
        trusted_proxies,
        ..
    } = &*realtime.0;
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<Peer>>().cloned() else {
        return refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL",
            "The connection cannot be cut",
        );
    };
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        full.add(1);
        let mut response = refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            "As many sockets are open as may be; try again later",
        );
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        return response;
    };
    let lines = request.headers().get_all(FORWARDED_FOR).iter();
    let from = forwarded::first_trusted(lines.map(HeaderValue::as_bytes), *trusted_proxies);
    let from = from
        .unwrap_or_else(|| SocketAddr::ip(&peer.address))
        .to_canonical();
    let ticket = Ticket::new(peer.cut, Some(from), place);
    request.extensions_mut().insert(ticket);
    next.run(request).await
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"success": false, "error": {"code": code, "message": message}});
    (status, axum::Json(body)).into_response()
}
