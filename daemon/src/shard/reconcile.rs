//! The reconciler: compares what is wanted of each instance with what is observed, and makes them agree. It takes no
//! input but the instance's id, and may run twice.

mod sweep;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::reason::Reason;
use shared::ids::InstanceId;
use shared::seal::Purpose;
use shared::storage::StorageError;
use shared::storage::instances::Observation;
use shared::telemetry::chain;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::farewell::Farewell;
use super::wire::Wires;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::instance::{Actor, ActorHandle};
use crate::lease::Hold;

/// A shard's instances, kept as they are wanted.
#[derive(Debug)]
pub struct Reconciler {
    deps: Arc<Deps>,
    hold: Hold,
    links: Arc<Links>,
    wires: Arc<Wires>,
    instances: Mutex<Instances>,
    /// Counts looks, in the order in which they begin.
    looks: AtomicU64,
    farewell: Arc<Farewell>,
    following: TaskTracker,
}

#[derive(Debug, Default)]
struct Instances {
    actors: HashMap<InstanceId, ActorHandle>,
    seen: HashMap<InstanceId, Seen>,
}

/// The newest that was seen of an instance. Nothing older is acted upon.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    look: u64,
    generation: u64,
}

/// What is to be done for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Nothing,
    /// Begin to connect it.
    Connect,
    /// Begin to unlink it from its phone.
    Unlink,
    /// Write that it is disconnected.
    Rest,
    /// Do the last work for it.
    BidFarewell,
    /// Tell its task of a later request.
    Tell,
    /// End its task, and look again.
    End,
    /// End its task so that it unlinks the instance, and look again.
    EndUnlinking,
}

impl Reconciler {
    /// The reconciler of a shard that is held.
    pub fn new(deps: Arc<Deps>, hold: Hold, links: Arc<Links>, wires: Arc<Wires>) -> Self {
        Self {
            farewell: Arc::new(Farewell::new(deps.clone(), hold.clone(), links.clone())),
            deps,
            hold,
            links,
            wires,
            instances: Mutex::default(),
            looks: AtomicU64::new(0),
            following: TaskTracker::new(),
        }
    }

    /// Looks at one instance, whose wants may have changed.
    pub async fn look_at(self: &Arc<Self>, id: InstanceId) -> Result<(), StorageError> {
        self.look(id).await.map(drop)
    }

    /// Looks at an instance that somebody has asked to look at. One that was never paired gets its data key for content:
    /// functions make none, and may have to seal something of it before it is connected, such as its webhook's secret.
    pub async fn look_at_nudged(self: &Arc<Self>, id: InstanceId) -> Result<(), StorageError> {
        let is_new = self.look(id).await?;
        if is_new && let Err(error) = self.deps.sealer.make_key(id, Purpose::Content).await {
            // Whoever waits for it asks again.
            warn!(instance.id = %id, error = %chain(&error), "could not make an instance's data key");
        }
        Ok(())
    }

    /// Looks at an instance. Answers whether it is this shard's and was never paired, or not since it was logged out.
    async fn look(self: &Arc<Self>, id: InstanceId) -> Result<bool, StorageError> {
        loop {
            let look = self.begin_look();
            let instance = self.deps.instances.get_with_deleted(id).await?;
            let is_new = instance.as_ref().is_some_and(|instance| {
                instance.network == self.deps.network
                    && instance.shard == self.hold.shard
                    && instance.account.is_none()
                    && instance.desired.wanted != Wanted::Deleted
            });
            if self.make_so(look, id, instance).await {
                return Ok(is_new);
            }
        }
    }

    /// The number of a look that begins now. One that begins later sees something as new or newer.
    fn begin_look(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Disconnects everything, in order where the lease still holds.
    pub async fn stop_all(&self) {
        let handles: Vec<ActorHandle> = self
            .instances
            .lock()
            .await
            .actors
            .drain()
            .map(|(_, handle)| handle)
            .collect();
        for handle in &handles {
            handle.stop.cancel();
        }
        for handle in handles {
            if let Err(panic) = handle.task.await {
                warn!(error = %panic, "an instance's task ended in a panic");
            }
        }
        self.following.close();
        self.following.wait().await;
    }

    /// Forgets an instance's task that has ended. What was read before may be older than its end, and is not acted upon.
    /// Answers whether there was one.
    fn forget_ended(&self, instances: &mut Instances, id: InstanceId) -> bool {
        let has_ended = instances
            .actors
            .get(&id)
            .is_some_and(|handle| handle.ended.is_cancelled());
        if has_ended {
            instances.actors.remove(&id);
            instances.seen.entry(id).or_default().look = self.begin_look();
        }
        has_ended
    }

    /// Does what follows from an instance as it was read. `false` where its task has ended since, or may have: it is to be
    /// read again.
    async fn make_so(self: &Arc<Self>, look: u64, id: InstanceId, instance: Option<Instance>) -> bool {
        let mut instances = self.instances.lock().await;
        if super::is_over(&self.hold) {
            return true;
        }
        if self.forget_ended(&mut instances, id) {
            return false;
        }
        let Instances { actors, seen } = &mut *instances;
        let seen = seen.entry(id).or_default();
        let generation = instance.as_ref().map(|instance| instance.desired.generation);
        if look < seen.look || generation.is_some_and(|generation| generation < seen.generation) {
            return true;
        }
        seen.look = look;
        seen.generation = generation.unwrap_or(seen.generation);
        let ours = instance
            .filter(|instance| instance.network == self.deps.network && instance.shard == self.hold.shard);
        if let Some(instance) = &ours {
            self.note(instance);
            if let Some(handle) = actors.get(&id) {
                handle.tell_answer(instance.desired.passkey.as_ref());
            }
        }
        let act = self.decide(ours.as_ref(), actors.get(&id));
        let (deps, links) = (self.deps.clone(), self.links.clone());
        let fence = self.hold.fence.clone();
        match (act, &ours, actors.get(&id)) {
            // The instance's remains must be gone before it is begun anew.
            (Act::Connect | Act::Unlink, ..) if self.farewell.is_at_work_on(id) => {}
            (Act::Connect, Some(instance), _) => {
                actors.insert(id, Actor::start(deps, instance, fence, links));
            }
            (Act::Unlink, Some(instance), _) => {
                let handle = Actor::start_to_unlink(deps, instance, fence, links);
                self.look_again_after(&handle, id);
                actors.insert(id, handle);
                // Messages that wait have no connection to wait for.
                self.links.look_again(id);
                if instance.desired.wanted == Wanted::Deleted {
                    self.bid_farewell(instance);
                }
            }
            (Act::Rest, Some(instance), _) => self.rest(instance).await,
            (Act::BidFarewell, Some(instance), _) => self.bid_farewell(instance),
            (Act::Tell, Some(instance), Some(handle)) => handle.tell(instance.desired.generation),
            (Act::End, _, Some(handle)) => self.end(id, handle),
            (Act::EndUnlinking, _, Some(handle)) => {
                handle.unlink.cancel();
                self.end(id, handle);
            }
            (_, _, _) => {}
        }
        true
    }

    /// Notes which events of an instance are wanted and how fast it is to send, and sees to events that were not told.
    fn note(&self, instance: &Instance) {
        self.wires.pace(instance.id, instance.messages_per_minute);
        self.deps.announcer.note(instance);
        let untold = &instance.observed.untold;
        if untold.is_empty() {
            return;
        }
        let (deps, fence) = (self.deps.clone(), self.hold.fence.clone());
        let (id, untold) = (instance.id, untold.clone());
        self.following
            .spawn(async move { deps.announcer.tell_again(id, &fence, &untold).await });
    }

    /// Compares an instance with the task that runs for it.
    fn decide(&self, instance: Option<&Instance>, handle: Option<&ActorHandle>) -> Act {
        match (instance, handle) {
            // Nothing runs for an instance that is gone or not of this shard.
            (None, None) => Act::Nothing,
            (None, Some(_)) => Act::End,
            (Some(instance), None) => match instance.wanted() {
                Wanted::Connected if is_to_be_attempted(instance) => Act::Connect,
                Wanted::Connected | Wanted::Unknown => Act::Nothing,
                Wanted::Disconnected => Act::Rest,
                Wanted::LoggedOut | Wanted::Deleted if instance.is_to_be_unlinked(self.deps.clock.now()) => {
                    Act::Unlink
                }
                Wanted::LoggedOut | Wanted::Deleted => Act::BidFarewell,
            },
            (Some(instance), Some(handle)) => match instance.wanted() {
                // The wish to unlink is taken back, as far as that is still possible.
                Wanted::Connected if handle.only_unlinks => Act::End,
                // It begins anew after its end.
                Wanted::Connected if handle.generation() < instance.desired.restart => Act::End,
                // QR codes are wanted now, but it shows a pairing code.
                Wanted::Connected
                    if handle.pairs_by_code
                        && instance.desired.pairing.is_none()
                        && instance.account.is_none() =>
                {
                    Act::End
                }
                Wanted::Connected if handle.generation() < instance.desired.generation => Act::Tell,
                Wanted::Connected | Wanted::Unknown => Act::Nothing,
                Wanted::Disconnected => Act::End,
                // It does that already.
                Wanted::LoggedOut | Wanted::Deleted if handle.only_unlinks => Act::Nothing,
                Wanted::LoggedOut | Wanted::Deleted => Act::EndUnlinking,
            },
        }
    }

    fn bid_farewell(self: &Arc<Self>, instance: &Instance) {
        let (reconciler, instance) = (Arc::clone(self), instance.clone());
        self.following.spawn(async move {
            if reconciler.farewell.say(&instance).await {
                reconciler.look_again(instance.id).await;
            }
        });
    }

    /// Asks an instance's task to end, and looks at the instance again when it has. Nothing waits for that meanwhile:
    /// a session may take its time to end, and other instances are not held up.
    fn end(self: &Arc<Self>, id: InstanceId, handle: &ActorHandle) {
        if handle.stop.is_cancelled() {
            return;
        }
        info!(instance.id = %id, "disconnecting, as wanted");
        handle.stop.cancel();
        self.look_again_after(handle, id);
    }

    fn look_again_after(self: &Arc<Self>, handle: &ActorHandle, id: InstanceId) {
        let (ended, reconciler) = (handle.ended.clone(), Arc::clone(self));
        self.following.spawn(async move {
            ended.cancelled().await;
            let mut instances = reconciler.instances.lock().await;
            reconciler.forget_ended(&mut instances, id);
            drop(instances);
            reconciler.look_again(id).await;
        });
    }

    async fn look_again(self: &Arc<Self>, id: InstanceId) {
        let looked = tokio::select! {
            looked = self.look_at(id) => looked,
            () = super::over(&self.hold) => return,
        };
        if let Err(error) = looked {
            // The sweep looks too.
            warn!(instance.id = %id, error = %chain(&error), "could not look at an instance again");
        }
    }

    /// Writes that an instance is disconnected because that is wanted, or because its
    /// subscription is switched off.
    async fn rest(&self, instance: &Instance) {
        let stays = matches!(
            instance.observed.status,
            Status::Disconnected
                | Status::LoggedOut
                | Status::ForceDisconnected
                | Status::Banned
                | Status::Unknown
        );
        if stays {
            return;
        }
        let reason = match instance.desired.wanted {
            Wanted::Connected => Reason::SubscriptionInactive,
            Wanted::Disconnected | Wanted::LoggedOut | Wanted::Deleted | Wanted::Unknown => {
                Reason::DisconnectRequested
            }
        };
        let (now, generation) = (self.deps.clock.now(), instance.desired.generation);
        let mut observed = instance
            .observed
            .at_rest(Status::Disconnected, reason, now, generation);
        let (deps, id, from) = (self.deps.clone(), instance.id, instance.observed.status);
        let account = instance.person();
        let news = deps
            .announcer
            .session_becomes(id, from, &mut observed, &account)
            .await;
        let fence = self.hold.fence.clone();
        match deps.instances.observe(id, fence.token(), &observed).await {
            Ok(Observation::Stored) => {
                self.following.spawn(async move {
                    let announcer = &deps.announcer;
                    announcer.session_is(id, &fence, news, &observed.untold).await;
                });
            }
            Ok(Observation::Gone) => {}
            Ok(Observation::Fenced) => {
                self.hold.fence.revoke();
            }
            Err(error) => {
                warn!(instance.id = %instance.id, error = %chain(&error), "a status could not be written");
            }
        }
    }
}

/// Whether to try to connect. A status that only a person can end stays until a later request than the one that led
/// to it. So does a status that only a newer version knows, since it may be such a one.
fn is_to_be_attempted(instance: &Instance) -> bool {
    match instance.observed.status {
        Status::ForceDisconnected | Status::LoggedOut | Status::Banned | Status::Unknown => {
            instance.desired.generation > instance.observed.generation
        }
        _ => true,
    }
}
