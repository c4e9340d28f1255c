//! Nudges: a hint to the daemon that holds an instance's shard to look at the instance now, since what is wanted of it has
//! changed.
//!
//! The daemon looks at all of its instances each minute besides. So nothing is lost with a nudge: one that cannot be sent is
//! logged, and the request goes on.

use std::time::Duration;

use shared::domain::job::Query;
use shared::domain::network::Network;
use shared::domain::payload;
use shared::domain::shard::Shard;
use shared::ids::InstanceId;
use shared::queue::{OutgoingMessage, QueueError};

use crate::http::log;
use crate::state::Base;

/// How long a nudge may take with which the effect of its request begins, such as a connection.
pub const PATIENT: Duration = Duration::from_secs(10);

/// How long any other may take: its request goes on.
pub const BRIEF: Duration = Duration::from_secs(2);

/// Nudges the shard of an instance. A network that is not served any more has no shard to nudge. That is no error: its instances
/// can be changed and deleted too.
pub async fn nudge(base: &Base, network: Network, shard: Shard, instance: InstanceId, within: Duration) {
    let Ok(names) = base.queue_names(network) else {
        return;
    };
    let queries = names.queries(shard.0);
    let nudge = OutgoingMessage::standard(payload::encode(&Query::Nudge { instance }));
    let sent = tokio::time::timeout(within, base.queue.send(&queries, nudge)).await;
    if let Err(error) = sent.unwrap_or(Err(QueueError::Timeout { operation: "send" })) {
        log::went_wrong(&error.into(), "the shard could not be nudged");
    }
}
