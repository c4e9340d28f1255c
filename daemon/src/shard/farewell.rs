//! The last that is done for an instance whose owner logs it out or deletes it, when
//! nothing runs for it any more. All of it may be broken off and done again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use shared::domain::instance::{Instance, Observed, Status, Wanted};
use shared::ids::InstanceId;
use shared::storage::StorageError;
use shared::storage::api_keys::ApiKeys;
use shared::storage::instances::Observation;
use tracing::{info, warn};

use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::{Hold, chain};

/// What a shard's instances leave when they go.
#[derive(Debug)]
pub struct Farewell {
    deps: Arc<Deps>,
    hold: Hold,
    links: Arc<Links>,
    /// The requests for which a session was begun to unlink the instance: one is enough.
    unlinked: Mutex<HashMap<InstanceId, u64>>,
    at_work: Mutex<HashSet<InstanceId>>,
}

impl Farewell {
    /// The farewell to instances of a shard that is held.
    pub fn new(deps: Arc<Deps>, hold: Hold, links: Arc<Links>) -> Self {
        Self {
            deps,
            hold,
            links,
            unlinked: Mutex::default(),
            at_work: Mutex::default(),
        }
    }

    /// Whether a session is to be begun for nothing but to unlink the instance from its
    /// phone. `true` once for a request; never for an account that WhatsApp has closed.
    pub fn is_to_be_unlinked(&self, instance: &Instance) -> bool {
        if instance.account.is_none() || instance.observed.status == Status::Banned {
            return false;
        }
        let request = instance.desired.generation;
        let mut unlinked = self.unlinked.lock().expect("no holder panics");
        unlinked.insert(instance.id, request) != Some(request)
    }

    /// Does what is left to do, until the shard is given up. Where it fails, the sweep
    /// comes back to it.
    pub async fn say(&self, instance: &Instance) {
        let id = instance.id;
        if !self.at_work.lock().expect("no holder panics").insert(id) {
            return;
        }
        let work = async {
            match instance.desired.wanted {
                Wanted::Deleted => self.remove(instance).await,
                Wanted::LoggedOut => self.forget(instance).await,
                Wanted::Connected | Wanted::Disconnected => Ok(Observation::Stored),
            }
        };
        tokio::select! {
            done = work => match done {
                Ok(Observation::Stored | Observation::Gone) => {}
                Ok(Observation::Fenced) => self.hold.fence.revoke(),
                Err(error) => {
                    warn!(instance.id = %id, error = %chain(&error), "an instance could not be ended");
                }
            },
            () = super::over(&self.hold) => {}
        }
        self.at_work.lock().expect("no holder panics").remove(&id);
    }

    /// Session state first: it is what could still act for the account.
    async fn remove(&self, instance: &Instance) -> Result<Observation, StorageError> {
        let (deps, id) = (&self.deps, instance.id);
        deps.session_state(id, &self.hold.fence).clear().await?;
        // The function that deleted it has begun with the keys.
        let keys = ApiKeys::new(deps.table.clone());
        keys.revoke_all(id, deps.clock.now()).await?;
        deps.instances.purge(id).await?;
        let token = self.hold.fence.token();
        let buried = deps.instances.bury(id, token, deps.clock.now()).await?;
        if buried == Observation::Stored {
            info!(instance.id = %id, "a deleted instance is gone");
        }
        // Its jobs that wait for a connection look again, and find it gone.
        self.links.remove(id);
        self.unlinked.lock().expect("no holder panics").remove(&id);
        Ok(buried)
    }

    async fn forget(&self, instance: &Instance) -> Result<Observation, StorageError> {
        let (deps, id, token) = (&self.deps, instance.id, self.hold.fence.token());
        let (observed, generation) = (&instance.observed, instance.desired.generation);
        if observed.status == Status::LoggedOut && observed.generation >= generation {
            return Ok(Observation::Stored);
        }
        deps.session_state(id, &self.hold.fence).clear().await?;
        let forgotten = deps.instances.set_account(id, token, None).await?;
        if forgotten != Observation::Stored {
            return Ok(forgotten);
        }
        let observed = Observed {
            status: Status::LoggedOut,
            since: deps.clock.now(),
            reason: Some("LOGOUT_REQUESTED".to_owned()),
            last_error: observed.last_error.clone(),
            last_round_trip_at: observed.last_round_trip_at,
            qr: None,
            pairing_code: None,
            generation,
        };
        deps.instances.observe(id, token, &observed).await
    }
}
