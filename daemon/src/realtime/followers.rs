//! All sockets that follow, and how many of them there may be.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use shared::ids::{InstanceId, KeyId, SubscriptionId};
use socketioxide::socket::Sid;
use tokio::sync::Notify;

use super::caller::Caller;
use super::follower::Follower;
use super::refusal::{Code, Refusal};

/// How many sockets there may be in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All together.
    pub sockets: usize,
    /// Of one subscription.
    pub of_subscription: usize,
    /// With one API key.
    pub of_key: usize,
    /// With one pairing link. A page without a place asks now and again instead.
    pub of_link: usize,
}

impl Limits {
    /// The usual limits for so many sockets.
    pub fn of(sockets: usize) -> Self {
        Self {
            sockets,
            of_subscription: 100,
            of_key: 20,
            of_link: 5,
        }
    }
}

/// Who has a number of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    /// Its users and keys.
    Subscription(SubscriptionId),
    Key(KeyId),
    /// All pairing links of a subscription.
    Links(SubscriptionId),
    /// An instance has one link at most.
    Link(InstanceId),
}

/// All sockets that follow.
#[derive(Debug)]
pub struct Followers {
    limits: Limits,
    inner: Mutex<Inner>,
    /// Wakes whoever waits for newcomers.
    came: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    all: HashMap<Sid, Arc<Follower>>,
    of: HashMap<SubscriptionId, HashMap<Sid, Arc<Follower>>>,
    /// Subscriptions that have had no socket before, since this was asked last.
    newcomers: HashSet<SubscriptionId>,
    places: HashMap<Holder, usize>,
}

/// A socket's place among those of its subscription and its key. It is free again when this is gone.
#[derive(Debug)]
pub struct Place {
    followers: Arc<Followers>,
    holders: Vec<Holder>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.followers.inner();
        for holder in &self.holders {
            if let Some(places) = inner.places.get_mut(holder) {
                *places -= 1;
                if *places == 0 {
                    inner.places.remove(holder);
                }
            }
        }
    }
}

impl Followers {
    /// Nobody, and so many at most.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            inner: Mutex::default(),
            came: Notify::new(),
        }
    }

    /// How many there may be.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// A place for a socket of this caller.
    pub fn place(self: &Arc<Self>, caller: &Caller) -> Result<Place, Refusal> {
        // Links may be in strangers' hands. Those take no place that the subscription's own people could need.
        let of_all = match caller {
            Caller::Link(_) => Holder::Links(caller.subscription()),
            Caller::Key(_) | Caller::User(_) => Holder::Subscription(caller.subscription()),
        };
        let mut holders = vec![(of_all, self.limits.of_subscription)];
        match caller {
            Caller::Key(key) => holders.push((Holder::Key(key.grant.key), self.limits.of_key)),
            Caller::Link(link) => holders.push((Holder::Link(link.instance), self.limits.of_link)),
            Caller::User(_) => {}
        }
        let mut inner = self.inner();
        for (holder, limit) in &holders {
            if inner.places.get(holder).is_some_and(|places| places >= limit) {
                let whose = match holder {
                    Holder::Subscription(_) => "the subscription",
                    Holder::Key(_) => "the API key",
                    Holder::Links(_) => "the subscription's pairing links",
                    Holder::Link(_) => "the pairing link",
                };
                let message = format!("Too many sockets of {whose} are open: {limit} are allowed");
                return Err(Refusal::new(Code::RateLimited, message));
            }
        }
        for (holder, _) in &holders {
            *inner.places.entry(*holder).or_default() += 1;
        }
        drop(inner);
        Ok(Place {
            followers: Arc::clone(self),
            holders: holders.into_iter().map(|(holder, _)| holder).collect(),
        })
    }

    /// Adds a socket.
    pub fn insert(&self, follower: &Arc<Follower>) {
        let (id, subscription) = (follower.id(), follower.caller().subscription());
        let mut inner = self.inner();
        let before = inner.all.insert(id, Arc::clone(follower));
        let of = inner.of.entry(subscription).or_default();
        let is_first = of.is_empty();
        let also = of.insert(id, Arc::clone(follower));
        if is_first {
            inner.newcomers.insert(subscription);
        }
        // Their places are given back, which takes the same lock.
        drop(inner);
        drop((before, also));
        if is_first {
            self.came.notify_one();
        }
    }

    /// The socket of this id.
    pub fn get(&self, id: Sid) -> Option<Arc<Follower>> {
        self.inner().all.get(&id).cloned()
    }

    /// Removes a socket.
    pub fn remove(&self, id: Sid) {
        let mut inner = self.inner();
        let Some(follower) = inner.all.remove(&id) else {
            return;
        };
        let subscription = follower.caller().subscription();
        let of = inner.of.get_mut(&subscription);
        let last = of.and_then(|sockets| sockets.remove(&id).filter(|_| sockets.is_empty()));
        if last.is_some() {
            inner.of.remove(&subscription);
            inner.newcomers.remove(&subscription);
        }
        // Its place is given back, which takes the same lock.
        drop(inner);
        drop((last, follower));
    }

    /// All sockets.
    pub fn all(&self) -> Vec<Arc<Follower>> {
        self.inner().all.values().cloned().collect()
    }

    /// The sockets of this subscription.
    pub fn of(&self, subscription: SubscriptionId) -> Vec<Arc<Follower>> {
        let inner = self.inner();
        let sockets = inner.of.get(&subscription);
        sockets.map_or_else(Vec::new, |sockets| sockets.values().cloned().collect())
    }

    /// The subscriptions that have sockets.
    pub fn subscriptions(&self) -> Vec<SubscriptionId> {
        self.inner().of.keys().copied().collect()
    }

    /// Waits until a subscription has its first socket. One waits at a time.
    pub async fn newcomer(&self) {
        self.came.notified().await;
    }

    /// The subscriptions that have got their first sockets since this was asked last.
    pub fn take_newcomers(&self) -> Vec<SubscriptionId> {
        std::mem::take(&mut self.inner().newcomers).into_iter().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.inner().all.len()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder panics")
    }
}
