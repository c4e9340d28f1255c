//! The last work for an instance that its owner logs out or deletes, once nothing runs for it any more. All of it may
//! be broken off and done again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use shared::bucket::BucketError;
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::reason::Reason;
use shared::ids::InstanceId;
use shared::storage::StorageError;
use shared::storage::address_books::AddressBooks;
use shared::storage::api_keys::ApiKeys;
use shared::storage::instances::Observation;
use shared::telemetry::chain;
use tracing::{info, warn};

use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::Hold;

/// Why an instance is not ended. The same is done again.
#[derive(Debug, thiserror::Error)]
enum NotEnded {
    #[error("the table is in the way")]
    Table(#[from] StorageError),
    #[error("its files cannot be deleted now")]
    Bucket(#[from] BucketError),
}

/// Ends the instances of a shard that are to go.
#[derive(Debug)]
pub struct Farewell {
    deps: Arc<Deps>,
    hold: Hold,
    links: Arc<Links>,
    /// The instances that are being ended; `true` where one was asked for something meanwhile.
    at_work: Mutex<HashMap<InstanceId, bool>>,
}

impl Farewell {
    /// The farewell to instances of a shard that is held.
    pub fn new(deps: Arc<Deps>, hold: Hold, links: Arc<Links>) -> Self {
        Self {
            deps,
            hold,
            links,
            at_work: Mutex::default(),
        }
    }

    /// Whether an instance is being ended. If so, it is looked at again afterwards.
    pub fn is_at_work_on(&self, id: InstanceId) -> bool {
        let mut at_work = self.at_work.lock().expect("no holder panics");
        at_work.get_mut(&id).map(|again| *again = true).is_some()
    }

    /// Does what is left to do, until the shard is given up. What fails is left to the next sweep. `true` where the
    /// instance is to be looked at again.
    pub async fn say(&self, instance: &Instance) -> bool {
        let id = instance.id;
        if self.is_at_work_on(id) {
            return false;
        }
        self.at_work.lock().expect("no holder panics").insert(id, false);
        tokio::select! {
            () = self.say_once(instance) => {}
            () = super::over(&self.hold) => {}
        }
        let again = self.at_work.lock().expect("no holder panics").remove(&id);
        again.unwrap_or(false)
    }

    async fn say_once(&self, instance: &Instance) {
        let done = match instance.desired.wanted {
            Wanted::Deleted => self.remove(instance).await,
            Wanted::LoggedOut => self.forget(instance).await,
            Wanted::Connected | Wanted::Disconnected | Wanted::Unknown => Ok(Observation::Stored),
        };
        match done {
            // Its jobs that wait for a connection look again: an account that was logged out, or an
            // instance that is gone, sends no more.
            Ok(Observation::Stored | Observation::Gone) => self.links.look_again(instance.id),
            Ok(Observation::Fenced) => {
                self.hold.fence.revoke();
            }
            Err(error) => {
                warn!(instance.id = %instance.id, error = %chain(&error), "an instance could not be ended");
            }
        }
    }

    /// Removes a deleted instance. Its session state goes first, unless its phone is still to be told; everything
    /// else goes at once.
    async fn remove(&self, instance: &Instance) -> Result<Observation, NotEnded> {
        let (deps, id) = (&self.deps, instance.id);
        let is_to_be_unlinked = instance.is_to_be_unlinked(deps.clock.now());
        if !is_to_be_unlinked {
            deps.session_state(id, &self.hold.fence).clear().await?;
        }
        // The function that deleted it has begun with the keys.
        let keys = ApiKeys::new(deps.table.clone());
        keys.revoke_all(id, deps.clock.now()).await?;
        deps.schedule.forget(instance.network, instance.shard, id).await?;
        if is_to_be_unlinked {
            deps.instances.purge_content(id).await?;
        } else {
            deps.instances.purge(id).await?;
        }
        // A bucket that is away holds up no more than this: the next sweep begins again.
        deps.bucket.forget(id).await?;
        // Its jobs that wait for a connection look again, and find it gone.
        self.links.look_again(id);
        if is_to_be_unlinked {
            return Ok(Observation::Stored);
        }
        let token = self.hold.fence.token();
        let buried = deps.instances.bury(id, token, deps.clock.now()).await?;
        if buried == Observation::Stored {
            info!(instance.id = %id, "a deleted instance is gone");
        }
        self.links.look_again(id);
        Ok(buried)
    }

    /// Forgets the account, once its phone was told or is not to be told any more.
    async fn forget(&self, instance: &Instance) -> Result<Observation, NotEnded> {
        let (deps, id, token) = (&self.deps, instance.id, self.hold.fence.token());
        let (observed, generation) = (&instance.observed, instance.desired.generation);
        let is_done = observed.status == Status::LoggedOut && observed.generation >= generation;
        if is_done || instance.is_to_be_unlinked(deps.clock.now()) {
            return Ok(Observation::Stored);
        }
        deps.session_state(id, &self.hold.fence).clear().await?;
        AddressBooks::new(deps.table.clone()).forget(id).await?;
        let forgotten = deps.instances.set_account(id, token, None).await?;
        if forgotten != Observation::Stored {
            return Ok(forgotten);
        }
        let now = deps.clock.now();
        let from = observed.status;
        let mut observed = observed.at_rest(Status::LoggedOut, Reason::LogoutRequested, now, generation);
        let (announcer, account) = (&deps.announcer, instance.person());
        let news = announcer.session_becomes(id, from, &mut observed, &account).await;
        let stored = deps.instances.observe(id, token, &observed).await?;
        if stored == Observation::Stored {
            let fence = &self.hold.fence;
            announcer.session_is(id, fence, news, &observed.untold).await;
        }
        Ok(stored)
    }
}
