//! What happens on a socket: it is let in, asks for what it wants, brings another token, and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::feed::FeedEvent;
use shared::domain::instance::InstanceName;
use shared::ids::{EventId, InstanceId};
use shared::storage::instances::Instances;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, SocketRef, TryData};
use socketioxide::handler::ConnectHandler as _;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::GRACE;
use super::caller::Caller;
use super::door::Door;
use super::follower::Follower;
use super::followers::Followers;
use super::refusal::{Code, Refusal};
use super::ticket::Ticket;
use crate::announce::hub::Hub;
use crate::meter::Total;

/// What the feed works with.
#[derive(Debug)]
pub struct Feed {
    /// The events.
    pub hub: Arc<Hub>,
    /// Lets sockets in.
    pub door: Door,
    /// Those that are in.
    pub followers: Arc<Followers>,
    /// The instances of the table.
    pub instances: Instances,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What lasts for a moment after a socket.
    pub tasks: TaskTracker,
    /// How the daemon is, as it was told last.
    pub health: std::sync::Mutex<Option<Value>>,
    /// How many sockets were cut off since they read too slowly.
    pub slow: Total,
    /// How many were refused.
    pub refused: Total,
    /// Whether the daemon stops, and takes nobody any more.
    pub closes: AtomicBool,
}

/// `subscribe`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    /// The one instance that is wanted, by id or name; none for all.
    #[serde(default)]
    instance: Option<String>,
    /// The last event that the client has.
    #[serde(default)]
    after: Option<String>,
}

/// `auth:refresh`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    token: String,
}

impl Feed {
    /// Takes sockets in the namespace `/`.
    pub fn take(self: &Arc<Self>, io: &SocketIo) {
        let (at_the_door, at_work) = (Arc::clone(self), Arc::clone(self));
        let let_in = move |socket: SocketRef, TryData(auth): TryData<Value>| {
            let feed = Arc::clone(&at_the_door);
            async move { feed.let_in(&socket, auth.ok()).await }
        };
        let begin = move |socket: SocketRef| {
            let feed = Arc::clone(&at_work);
            async move { feed.begin(&socket).await }
        };
        io.ns("/", begin.with(let_in));
    }

    /// Lets a socket in. What it may ask is ready before it is told that it is in: it may ask at once.
    async fn let_in(self: &Arc<Self>, socket: &SocketRef, auth: Option<Value>) -> Result<(), Refusal> {
        let ticket = socket.req_parts().extensions.get::<Ticket>().cloned();
        let ticket = ticket.ok_or_else(Refusal::unavailable)?;
        let admitted = self.admit(socket, &ticket, auth.as_ref()).await;
        if let Err(refusal) = &admitted {
            self.refused.add(1);
            debug!(
                code = refusal.code.as_str(),
                "a socket is not let in to the realtime feed"
            );
            if refusal.passes() {
                // Clients take for final what they are told here. One whose connection is lost comes back by itself.
                ticket.cut();
            } else {
                ticket.cut_soon(&self.tasks);
            }
        }
        admitted
    }

    async fn admit(
        self: &Arc<Self>,
        socket: &SocketRef,
        ticket: &Ticket,
        auth: Option<&Value>,
    ) -> Result<(), Refusal> {
        if !ticket.may_try() {
            return Err(Refusal::new(
                Code::RateLimited,
                "Too many tries on one connection",
            ));
        }
        let token = token_in(auth)?;
        let caller = self.door.admit(token, ticket.from()).await?;
        let subscription = caller.subscription();
        let place = self.followers.place(&caller)?;
        let (socket_of, ticket_of) = (socket.clone(), ticket.clone());
        let follower = Arc::new(Follower::new(socket_of, ticket_of, caller, place, &self.hub));
        self.listen(socket, ticket);
        self.followers.insert(&follower);
        // Those who were there before the end are cut by `close`. Looked at afterwards, nobody slips through between the two.
        if self.closes() {
            self.followers.remove(socket.id);
            return Err(Refusal::unavailable());
        }
        self.hub.follow([subscription]);
        Ok(())
    }

    /// Whether the daemon stops, and takes nobody any more.
    pub fn closes(&self) -> bool {
        self.closes.load(Ordering::SeqCst)
    }

    /// Takes nobody any more, and cuts whoever is in: they find another daemon.
    pub fn close(&self) {
        self.closes.store(true, Ordering::SeqCst);
        for follower in self.followers.all() {
            follower.cut();
        }
    }

    fn listen(self: &Arc<Self>, socket: &SocketRef, ticket: &Ticket) {
        let feed = Arc::clone(self);
        socket.on(
            "subscribe",
            move |socket: SocketRef, TryData(asked): TryData<Value>, ack: AckSender| {
                let feed = Arc::clone(&feed);
                async move {
                    // Nothing is all.
                    let asked = asked.ok().filter(|asked| !asked.is_null());
                    let asked = asked.map_or_else(
                        || Ok(Subscribe::default()),
                        |asked| {
                            read(
                                asked,
                                "`subscribe` takes an object with `instance` and `after`, both optional",
                            )
                        },
                    );
                    feed.subscribe(&socket, asked, ack).await;
                }
            },
        );
        let feed = Arc::clone(self);
        socket.on(
            "auth:refresh",
            move |socket: SocketRef, TryData(asked): TryData<Value>, ack: AckSender| {
                let feed = Arc::clone(&feed);
                async move {
                    let asked = read(
                        asked.unwrap_or_default(),
                        "`auth:refresh` takes an object with `token`",
                    );
                    feed.refresh(&socket, asked, ack).await;
                }
            },
        );
        let feed = Arc::clone(self);
        socket.on_fallback(move |socket: SocketRef, ack: AckSender| {
            let feed = Arc::clone(&feed);
            async move {
                if feed.asks(&socket).is_some() {
                    let unknown = malformed("there are `subscribe` and `auth:refresh`");
                    let _ = ack.send(&unknown.body());
                }
            }
        });
        let (feed, ticket) = (Arc::clone(self), ticket.clone());
        socket.on_disconnect(move |socket: SocketRef| {
            let (feed, ticket) = (Arc::clone(&feed), ticket.clone());
            async move {
                feed.followers.remove(socket.id);
                // A connection without a socket on it would keep its place.
                ticket.cut_soon(&feed.tasks);
            }
        });
    }

    /// Begins to tell a socket that is in, unless it asks first.
    async fn begin(&self, socket: &SocketRef) {
        let Some(follower) = self.followers.get(socket.id) else {
            return;
        };
        if follower.caller().may_hear(FeedEvent::SystemHealth) {
            let health = self.health.lock().expect("no holder panics").clone();
            if let Some(health) = health {
                follower.remark(FeedEvent::SystemHealth.as_str(), &health);
            }
        }
        tokio::time::sleep(GRACE).await;
        self.catch_up(&follower).await;
    }

    /// Tells a socket what it waits for, if it does.
    async fn catch_up(&self, follower: &Follower) {
        let _turn = follower.turn().await;
        if let Some(from) = follower.waits_at() {
            follower.catch_up(&self.hub, from, &self.slow).await;
        }
    }

    /// The same without keeping others waiting.
    pub fn catch_up_with(self: &Arc<Self>, follower: Arc<Follower>) {
        let feed = Arc::clone(self);
        self.tasks.spawn(async move { feed.catch_up(&follower).await });
    }

    /// The socket, if it is one of ours and may ask for something. One that asks too often is ended.
    fn asks(&self, socket: &SocketRef) -> Option<Arc<Follower>> {
        let follower = self.followers.get(socket.id)?;
        if follower.may_ask() {
            return Some(follower);
        }
        let refusal = Refusal::new(Code::RateLimited, "The socket asks too often");
        follower.end(&refusal, &self.tasks);
        None
    }

    async fn subscribe(&self, socket: &SocketRef, asked: Result<Subscribe, Refusal>, ack: AckSender) {
        let Some(follower) = self.asks(socket) else {
            return;
        };
        let _turn = follower.turn().await;
        let wanted = async {
            let asked = asked?;
            let instance = self
                .instance(&follower.caller(), asked.instance.as_deref())
                .await?;
            let after = asked.after.as_deref().map(str::parse::<EventId>).transpose();
            let after = after.map_err(|_| malformed("`after` must be the id of an event"))?;
            Ok::<_, Refusal>((instance, after))
        };
        let (instance, after) = match wanted.await {
            Ok(wanted) => wanted,
            Err(refusal) => {
                let _ = ack.send(&refusal.body());
                return;
            }
        };
        let resumed = after.map(|event| self.hub.place_behind(event, follower.caller().subscription()));
        follower.narrow(instance);
        let is_resumed = matches!(resumed, Some(Ok(_)));
        let _ = ack.send(&json!({
            "success": true,
            "data": {"instance": instance, "resumed": is_resumed},
        }));
        let from = match resumed {
            Some(Ok(place)) => Some(place),
            Some(Err(_)) => {
                if !follower.resync(&self.slow).await {
                    return;
                }
                follower.waits_at()
            }
            None => follower.waits_at(),
        };
        if let Some(from) = from {
            follower.catch_up(&self.hub, from, &self.slow).await;
        }
    }

    /// The instance that is asked for, if it is the caller's.
    async fn instance(&self, caller: &Caller, asked: Option<&str>) -> Result<Option<InstanceId>, Refusal> {
        let Some(asked) = asked else {
            return Ok(caller.instance());
        };
        let none = || Refusal::new(Code::NotFound, "There is no such instance");
        let subscription = caller.subscription();
        let found = if let Ok(id) = asked.parse::<InstanceId>() {
            self.instances.get(subscription, id).await?
        } else {
            let name = asked.parse::<InstanceName>();
            let name = name.map_err(|error| malformed(format!("`instance` {error}")))?;
            self.instances.get_by_name(subscription, &name).await?
        };
        let id = found.map(|instance| instance.id).ok_or_else(none)?;
        // The instance of a key or a pairing link is the only one that there is for it.
        if caller.instance().is_some_and(|own| own != id) {
            return Err(none());
        }
        Ok(Some(id))
    }

    async fn refresh(&self, socket: &SocketRef, asked: Result<Refresh, Refusal>, ack: AckSender) {
        let Some(follower) = self.asks(socket) else {
            return;
        };
        let _turn = follower.turn().await;
        let renewed = match asked {
            Ok(asked) => self.door.renew(&follower.caller(), &asked.token).await,
            Err(refusal) => Err(refusal),
        };
        let answer = match renewed {
            Ok(caller) => {
                let expires_at = match &caller {
                    Caller::User(user) => Some(user.expires_at),
                    Caller::Key(_) | Caller::Link(_) => None,
                };
                follower.is_of(caller);
                json!({"success": true, "data": {"expiresAt": expires_at}})
            }
            Err(refusal) => refusal.body(),
        };
        let _ = ack.send(&answer);
    }
}

/// What a client asks. It is an object: an array, which could be read as one, is none.
fn read<T: DeserializeOwned>(asked: Value, rule: &'static str) -> Result<T, Refusal> {
    let asked = Some(asked).filter(Value::is_object);
    let read = asked.and_then(|asked| serde_json::from_value(asked).ok());
    read.ok_or_else(|| malformed(rule))
}

/// The token of a handshake.
fn token_in(auth: Option<&Value>) -> Result<&str, Refusal> {
    let members = auth.and_then(Value::as_object);
    if let Some(other) = members.and_then(|members| members.keys().find(|name| *name != "token")) {
        return Err(malformed(format!("`auth.{other}` is unknown")));
    }
    let token = members.and_then(|members| members.get("token"));
    token.and_then(Value::as_str).ok_or_else(|| {
        Refusal::new(
            Code::Unauthenticated,
            "A token is needed: an access token, an API key or a pairing link's, as `auth.token`",
        )
    })
}

fn malformed(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Code::ValidationError, message)
}
