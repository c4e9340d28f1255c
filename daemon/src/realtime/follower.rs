//! One socket that follows: whose it is, what of the feed it wants, and how far it has come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use shared::ids::InstanceId;
use shared::storage::standings::{Credential, Standing};
use socketioxide::extract::SocketRef;
use socketioxide::socket::Sid;
use socketioxide::{SendError, SocketError};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::caller::Caller;
use super::followers::Place;
use super::refusal::Refusal;
use super::ticket::Ticket;
use crate::announce::hub::Hub;
use crate::announce::shown::Shown;
use crate::meter::Total;

/// What a socket may ask at once, and how often in the long run.
const REQUESTS: f64 = 20.0;
const REQUESTS_A_SECOND: f64 = 1.0;

/// How many events are read from the hub at a time.
const BATCH: usize = 64;

/// For how long a socket may have no room for the next event, and how often it is tried meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// Something is missing.
const RESYNC: &str = "resync";

/// Before the end, why.
const ENDED: &str = "feed:ended";

/// A socket that follows.
pub struct Follower {
    socket: SocketRef,
    ticket: Ticket,
    caller: Mutex<Caller>,
    view: Mutex<View>,
    /// Held while a request is answered: they are answered one after the other.
    asking: tokio::sync::Mutex<()>,
    requests: Mutex<(f64, Instant)>,
    verified_at: Mutex<Instant>,
    joined_at: Instant,
    has_ended: AtomicBool,
    _place: Place,
}

#[derive(Debug)]
struct View {
    /// The one instance that it wants; `None` for all that are its.
    instance: Option<InstanceId>,
    at: At,
    /// The hub's epoch, as far as the client knows.
    epoch: u64,
}

/// How far a socket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It has not said yet what it wants, or had no room for the event of this place. From here on all is kept for it, as far
    /// as the hub has it.
    Waiting(u64),
    /// It is told what came before.
    CatchingUp,
    /// It is told what comes, from this place on.
    Live(u64),
}

/// Whether a socket had room for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Room {
    /// It had, or did not want it.
    Enough,
    /// It had none: it waits for somebody to catch up with it.
    None,
}

/// How far a socket is that was told all that it waited for.
enum Arrived {
    /// It is told what comes.
    Live,
    /// More has come meanwhile.
    Behind,
    /// It does not know yet of the hub's epoch.
    InAnotherEpoch,
}

/// What became of something that was sent.
enum Sent {
    Done,
    /// There is no room.
    Full,
    /// The socket is not there any more, or not yet.
    Closed,
}

impl Follower {
    /// A socket that was just let in. What it is told begins with what comes to the hub from now on.
    pub fn new(socket: SocketRef, ticket: Ticket, caller: Caller, place: Place, hub: &Hub) -> Self {
        let now = Instant::now();
        Self {
            socket,
            ticket,
            view: Mutex::new(View {
                instance: caller.instance(),
                epoch: hub.epoch(),
                at: At::Waiting(hub.end()),
            }),
            caller: Mutex::new(caller),
            asking: tokio::sync::Mutex::default(),
            requests: Mutex::new((REQUESTS, now)),
            verified_at: Mutex::new(now),
            joined_at: now,
            has_ended: AtomicBool::new(false),
            _place: place,
        }
    }

    /// The socket's id.
    pub fn id(&self) -> Sid {
        self.socket.id
    }

    /// Whose it is, as was found last.
    pub fn caller(&self) -> Caller {
        self.of_caller().clone()
    }

    /// It was found to be this caller's now.
    pub fn is_of(&self, caller: Caller) {
        *self.of_caller() = caller;
        *self.verified_at.lock().expect("no holder panics") = Instant::now();
    }

    /// Whether it may still follow, by what the table says of what it was let in with. Nothing is said of one that has brought
    /// another token meanwhile.
    pub fn judge(
        &self,
        credential: &Credential,
        standing: &Standing,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let mut caller = self.of_caller();
        if caller.credential() != *credential {
            return Ok(());
        }
        // The lock is held, so that a token that comes meanwhile is not undone.
        *caller = caller.judged(standing, now)?;
        drop(caller);
        *self.verified_at.lock().expect("no holder panics") = Instant::now();
        Ok(())
    }

    /// For how long nobody has known whether it may still follow.
    pub fn unverified_for(&self) -> Duration {
        self.verified_at.lock().expect("no holder panics").elapsed()
    }

    /// Why it may not follow any longer by the time of day alone.
    pub fn is_over(&self, now: DateTime<Utc>) -> Option<Refusal> {
        self.of_caller().is_over(now)
    }

    /// Whether the socket has gone without a word: it was let in a while ago, and is not connected.
    pub fn is_lost(&self) -> bool {
        !self.socket.connected() && self.joined_at.elapsed() > PATIENCE
    }

    /// Whether it may ask for something now.
    pub fn may_ask(&self) -> bool {
        let mut requests = self.requests.lock().expect("no holder panics");
        let (left, at) = *requests;
        let now = Instant::now();
        let left = (left + (now - at).as_secs_f64() * REQUESTS_A_SECOND).min(REQUESTS);
        let may = left >= 1.0;
        *requests = (if may { left - 1.0 } else { left }, now);
        may
    }

    /// Waits for its turn to be answered.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.asking.lock().await
    }

    /// What it wants from now on.
    pub fn narrow(&self, instance: Option<InstanceId>) {
        self.view().instance = instance;
    }

    /// Where it waits to be told from, if it does.
    pub fn waits_at(&self) -> Option<u64> {
        match self.view().at {
            At::Waiting(place) => Some(place),
            At::CatchingUp | At::Live(_) => None,
        }
    }

    /// Tells it an event that came at this place, if it is for it, and it has come so far. Where it has no room, it waits from
    /// here on, and this says so: somebody must catch up with it.
    pub fn offer(&self, place: u64, shown: &Shown) -> Room {
        let mut view = self.view();
        match view.at {
            At::Live(next) if place >= next => {}
            At::Live(_) | At::Waiting(_) | At::CatchingUp => return Room::Enough,
        }
        if self.wants(&view, shown)
            && let Sent::Full = self.send(shown.event.as_str(), &shown.body)
        {
            view.at = At::Waiting(place);
            return Room::None;
        }
        view.at = At::Live(place + 1);
        Room::Enough
    }

    /// Tells it that some is missing, since this epoch began or since it was too far behind. Where it has no room, it finds out
    /// when somebody catches up with it.
    pub fn start_afresh(&self, epoch: u64) -> Room {
        let mut view = self.view();
        let At::Live(place) = view.at else {
            // It finds out by itself.
            return Room::Enough;
        };
        if let Sent::Full = self.send(RESYNC, &json!({})) {
            view.at = At::Waiting(place);
            return Room::None;
        }
        view.epoch = epoch;
        Room::Enough
    }

    /// Tells it all from this place on, and goes on with what comes. `slow` counts sockets that are cut.
    pub async fn catch_up(&self, hub: &Hub, from: u64, slow: &Total) {
        self.view().at = At::CatchingUp;
        let mut place = from;
        loop {
            let Ok(events) = hub.from(place, BATCH) else {
                place = hub.end();
                if !self.resync(slow).await {
                    return;
                }
                continue;
            };
            if events.is_empty() {
                match self.arrive(hub, place) {
                    Arrived::Live => return,
                    Arrived::Behind => {}
                    Arrived::InAnotherEpoch => {
                        if !self.resync(slow).await {
                            return;
                        }
                    }
                }
                continue;
            }
            for shown in events {
                place += 1;
                let wants = self.wants(&self.view(), &shown);
                if wants && !self.send_in_time(shown.event.as_str(), &shown.body, slow).await {
                    return;
                }
            }
        }
    }

    /// It was told all that is before this place.
    fn arrive(&self, hub: &Hub, place: u64) -> Arrived {
        // Whoever tells what comes locks this view first, so nothing slips through between the two.
        let mut view = self.view();
        let epoch = hub.epoch();
        if view.epoch != epoch {
            view.epoch = epoch;
            Arrived::InAnotherEpoch
        } else if hub.end() == place {
            view.at = At::Live(place);
            Arrived::Live
        } else {
            Arrived::Behind
        }
    }

    /// Tells it that it has missed something: what it shows is to be read anew. Whether the socket goes on.
    pub async fn resync(&self, slow: &Total) -> bool {
        self.send_in_time(RESYNC, &json!({}), slow).await
    }

    /// Tells it something that is of no place. What finds no room is left out.
    pub fn remark<T: Serialize>(&self, event: &str, data: &T) {
        let _ = self.send(event, data);
    }

    /// Ends it, and says why.
    pub fn end(&self, refusal: &Refusal, tasks: &TaskTracker) {
        if self.has_ended.swap(true, Ordering::Relaxed) {
            return;
        }
        debug!(socket.id = %self.socket.id, code = refusal.code.as_str(), "a socket of the realtime feed is ended");
        if refusal.passes() {
            self.ticket.cut();
            return;
        }
        let why = json!({"code": refusal.code.as_str(), "message": refusal.message});
        let _ = self.send(ENDED, &why);
        let _ = self.socket.clone().disconnect();
        self.ticket.cut_soon(tasks);
    }

    /// Ends its connection at once.
    pub fn cut(&self) {
        self.ticket.cut();
    }

    fn is_slow(&self, slow: &Total) {
        if self.has_ended.swap(true, Ordering::Relaxed) {
            return;
        }
        slow.add(1);
        warn!(socket.id = %self.socket.id, "a socket reads too slowly: it is cut off");
        self.ticket.cut();
    }

    fn wants(&self, view: &View, shown: &Shown) -> bool {
        let is_of_it = match view.instance {
            Some(wanted) => shown.instance.is_none_or(|instance| instance == wanted),
            None => true,
        };
        is_of_it && self.of_caller().hears(shown)
    }

    /// Sends it something as soon as it has room. Whether the socket goes on: one that has none for too long is cut.
    async fn send_in_time<T: Serialize>(&self, event: &str, data: &T, slow: &Total) -> bool {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.send(event, data) {
                Sent::Done => return true,
                Sent::Full if Instant::now() < until => tokio::time::sleep(TRY_AGAIN).await,
                Sent::Full => {
                    self.is_slow(slow);
                    return false;
                }
                Sent::Closed => return false,
            }
        }
    }

    fn send<T: Serialize>(&self, event: &str, data: &T) -> Sent {
        match self.socket.emit(event, data) {
            Ok(()) => Sent::Done,
            Err(SendError::Socket(SocketError::InternalChannelFull)) => Sent::Full,
            Err(SendError::Socket(SocketError::Closed)) => Sent::Closed,
            Err(error @ SendError::Serialize(_)) => {
                warn!(%error, "an event cannot be written");
                Sent::Done
            }
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().expect("no holder panics")
    }

    fn of_caller(&self) -> MutexGuard<'_, Caller> {
        self.caller.lock().expect("no holder panics")
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("socket", &self.socket.id)
            .finish_non_exhaustive()
    }
}
