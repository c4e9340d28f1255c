//! Asks something of the daemon that holds an instance's shard: stores what is wanted, and nudges the shard.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt as _};
use shared::domain::audit::Action;
use shared::domain::instance::{Desired, Instance, Wanted};
use shared::domain::network::Network;
use shared::ids::InstanceId;
use shared::queue::QueueError;
use shared::storage::StorageError;
use shared::storage::instances::Instances;

use super::behalf::Behalf;
use super::find::{InstanceRef, find};
use super::status;
use crate::connection::Owners;
use crate::http::caller::{UserCaller, require_verified};
use crate::http::{ApiError, Reply, Trail, log};
use crate::management::ManagementState;
use crate::nudge::{BRIEF, PATIENT, nudge};

/// How many nudges are on their way at once.
const AT_ONCE: usize = 8;

/// How long those of many instances may take in all.
const ALL: Duration = Duration::from_secs(5);

/// What a user asks of an instance's connection.
#[derive(Debug, Clone, Copy)]
pub enum Asked {
    Connect,
    Disconnect,
    Logout,
    Restart,
}

impl Asked {
    /// Whether it leads to a connection.
    fn connects(self) -> bool {
        match self {
            Self::Connect | Self::Restart => true,
            Self::Disconnect | Self::Logout => false,
        }
    }

    fn action(self) -> Action {
        match self {
            Self::Connect => Action::InstanceConnect,
            Self::Disconnect => Action::InstanceDisconnect,
            Self::Logout => Action::InstanceLogout,
            Self::Restart => Action::InstanceRestart,
        }
    }

    async fn store(
        self,
        instances: &Instances,
        id: InstanceId,
        now: DateTime<Utc>,
    ) -> Result<Option<Desired>, StorageError> {
        match self {
            Self::Connect => instances.want(id, Wanted::Connected).await,
            Self::Disconnect => instances.want(id, Wanted::Disconnected).await,
            Self::Logout => instances.want_logout(id, now).await,
            Self::Restart => instances.want_restart(id).await,
        }
    }
}

/// Stores what the caller asks of an instance, and nudges its shard. The answer has the present status.
pub async fn ask(
    state: &ManagementState,
    caller: &UserCaller,
    trail: &Trail,
    which: &InstanceRef,
    asked: Asked,
) -> Result<Reply<status::Response>, ApiError> {
    let instance = find(state, caller.subscription.id, which).await?;
    let behalf = Behalf::of(&caller.user);
    let (instance, owners) = ask_of(state, behalf, trail, instance, asked).await?;
    Ok(Reply::accepted(status::Response::new(instance, &owners)))
}

/// The same for an instance that was read. Answers it with what is wanted now, and with who holds its shard.
pub async fn ask_of(
    state: &ManagementState,
    behalf: Behalf<'_>,
    trail: &Trail,
    mut instance: Instance,
    asked: Asked,
) -> Result<(Instance, Owners), ApiError> {
    // A network that is not served any more has no shard to nudge.
    state.queue_names(instance.network)?;
    if asked.connects() && instance.network == Network::Live {
        require_verified(state, behalf.user())?;
    }
    // This comes before anything is stored: after an error the caller would ask again, and a restart be done twice.
    let owners = Owners::of(state, [&instance]).await?;
    let desired = asked
        .store(&state.instances, instance.id, state.clock.now())
        .await?;
    instance.desired = desired.ok_or_else(|| ApiError::not_found("instance"))?;
    nudge(state, instance.network, instance.shard, instance.id, PATIENT).await;
    let record = behalf.record(asked.action()).on(instance.id);
    trail.record(state, record).await;
    Ok((instance, owners))
}

/// Nudges the shards of many instances. What cannot be nudged in time is left to the daemon, which looks by itself.
pub async fn nudge_all(state: &ManagementState, instances: &[Instance]) {
    let nudges: Vec<_> = instances
        .iter()
        .map(|instance| nudge(state, instance.network, instance.shard, instance.id, BRIEF))
        .collect();
    let nudges = stream::iter(nudges).for_each_concurrent(AT_ONCE, |nudge| nudge);
    if tokio::time::timeout(ALL, nudges).await.is_err() {
        let late = QueueError::Timeout { operation: "send" };
        log::went_wrong(&late.into(), "some shards were not nudged");
    }
}
