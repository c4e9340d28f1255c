//! Compares what is wanted of each instance with what is, and makes it so. It takes no
//! input but the instance's id, and may run twice.

use std::collections::HashMap;
use std::sync::Arc;

use shared::domain::instance::{Instance, Observed, Status, Wanted};
use shared::ids::InstanceId;
use shared::storage::StorageError;
use shared::storage::instances::Observation;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::farewell::Farewell;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::instance::{Actor, ActorHandle};
use crate::lease::{Hold, chain};

/// A shard's instances, kept as they are wanted.
#[derive(Debug)]
pub struct Reconciler {
    deps: Arc<Deps>,
    hold: Hold,
    links: Arc<Links>,
    actors: Mutex<HashMap<InstanceId, ActorHandle>>,
    farewell: Arc<Farewell>,
    following: TaskTracker,
}

impl Reconciler {
    /// The reconciler of a shard that is held.
    pub fn new(deps: Arc<Deps>, hold: Hold, links: Arc<Links>) -> Self {
        Self {
            farewell: Arc::new(Farewell::new(deps.clone(), hold.clone(), links.clone())),
            deps,
            hold,
            links,
            actors: Mutex::default(),
            following: TaskTracker::new(),
        }
    }

    /// Looks at every instance of the shard. `false` where they could not be read.
    pub async fn sweep(self: &Arc<Self>) -> bool {
        match self
            .deps
            .instances
            .by_shard(self.deps.network, self.hold.shard)
            .await
        {
            Ok(instances) => {
                for instance in instances {
                    self.make_so(instance.id, Some(instance)).await;
                }
                true
            }
            Err(error) => {
                warn!(shard = %self.hold.shard, error = %chain(&error), "could not read the shard's instances");
                false
            }
        }
    }

    /// Looks at one instance, whose wants may have changed.
    pub async fn look_at(self: &Arc<Self>, id: InstanceId) -> Result<(), StorageError> {
        let instance = self.deps.instances.load_with_deleted(id).await?;
        self.make_so(id, instance).await;
        Ok(())
    }

    /// Disconnects everything, in order where the lease still holds.
    pub async fn stop_all(&self) {
        let handles: Vec<ActorHandle> = self
            .actors
            .lock()
            .await
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

    async fn make_so(self: &Arc<Self>, id: InstanceId, instance: Option<Instance>) {
        let mut actors = self.actors.lock().await;
        if super::is_over(&self.hold) {
            return;
        }
        if actors.get(&id).is_some_and(|handle| handle.ended.is_cancelled()) {
            actors.remove(&id);
        }
        let ours = instance
            .filter(|instance| instance.network == self.deps.network && instance.shard == self.hold.shard);
        match (ours, actors.get_mut(&id)) {
            // An instance that is gone, or not of this shard, has nothing running for it.
            (None, None) => {}
            (None, Some(handle)) => self.end(id, handle),
            (Some(instance), None) => match instance.wanted() {
                Wanted::Connected if is_to_be_attempted(&instance) => {
                    let (deps, links) = (self.deps.clone(), self.links.clone());
                    let handle = Actor::start(deps, &instance, self.hold.fence.clone(), links);
                    actors.insert(id, handle);
                }
                Wanted::Connected => {}
                Wanted::Disconnected => self.rest(&instance).await,
                Wanted::LoggedOut | Wanted::Deleted if self.farewell.is_to_be_unlinked(&instance) => {
                    let (deps, links) = (self.deps.clone(), self.links.clone());
                    let handle = Actor::start_to_unlink(deps, &instance, self.hold.fence.clone(), links);
                    self.look_again_after(&handle, id);
                    actors.insert(id, handle);
                }
                Wanted::LoggedOut | Wanted::Deleted => {
                    let farewell = Arc::clone(&self.farewell);
                    self.following.spawn(async move { farewell.say(&instance).await });
                }
            },
            (Some(instance), Some(handle)) => match instance.wanted() {
                // It is begun anew when it has ended.
                Wanted::Connected if handle.generation < instance.desired.restart => self.end(id, handle),
                // QR codes are wanted by now, and it has a pairing code.
                Wanted::Connected
                    if handle.pairs_by_code
                        && instance.desired.pairing.is_none()
                        && instance.account.is_none() =>
                {
                    self.end(id, handle);
                }
                Wanted::Connected if handle.generation < instance.desired.generation => {
                    handle.generation = instance.desired.generation;
                    handle.wake.notify_one();
                }
                Wanted::Connected => {}
                Wanted::Disconnected => self.end(id, handle),
                // It is about it.
                Wanted::LoggedOut | Wanted::Deleted if handle.only_unlinks => {}
                Wanted::LoggedOut | Wanted::Deleted => {
                    handle.unlink.cancel();
                    self.end(id, handle);
                }
            },
        }
    }

    /// Asks an instance's task to end, and looks at the instance again when it has. No one
    /// waits for it meanwhile: a session may take its time, and others are not held up.
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
            if let Err(error) = reconciler.look_at(id).await {
                // The sweep looks too.
                warn!(instance.id = %id, error = %chain(&error), "could not look at an instance that was disconnected");
            }
        });
    }

    /// Writes that an instance is disconnected because that is wanted, or because its
    /// subscription is switched off.
    async fn rest(&self, instance: &Instance) {
        let stays = matches!(
            instance.observed.status,
            Status::Disconnected | Status::LoggedOut | Status::ForceDisconnected | Status::Banned
        );
        if stays {
            return;
        }
        let reason = match instance.desired.wanted {
            Wanted::Connected => "SUBSCRIPTION_INACTIVE",
            Wanted::Disconnected | Wanted::LoggedOut | Wanted::Deleted => "DISCONNECT_REQUESTED",
        };
        let observed = Observed {
            status: Status::Disconnected,
            since: self.deps.clock.now(),
            reason: Some(reason.to_owned()),
            last_error: instance.observed.last_error.clone(),
            last_round_trip_at: instance.observed.last_round_trip_at,
            qr: None,
            pairing_code: None,
            generation: instance.desired.generation,
        };
        match self
            .deps
            .instances
            .observe(instance.id, self.hold.fence.token(), &observed)
            .await
        {
            Ok(Observation::Stored | Observation::Gone) => {}
            Ok(Observation::Fenced) => self.hold.fence.revoke(),
            Err(error) => {
                warn!(instance.id = %instance.id, error = %chain(&error), "a status could not be written");
            }
        }
    }
}

/// A state that only a person can end stays until a later request than the one that led
/// to it.
fn is_to_be_attempted(instance: &Instance) -> bool {
    match instance.observed.status {
        Status::ForceDisconnected | Status::LoggedOut | Status::Banned => {
            instance.desired.generation > instance.observed.generation
        }
        _ => true,
    }
}
