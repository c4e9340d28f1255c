//! Tells the realtime feed of what a function has done. The feed is ephemeral, so nothing depends on it: what cannot be
//! queued in a moment is logged, and the request goes on.

use shared::domain::job::Query;
use shared::domain::network::Network;
use shared::domain::news::News;
use shared::domain::payload;
use shared::domain::shard::Shard;
use shared::queue::{OutgoingMessage, QueueError};

use crate::http::log;
use crate::nudge::BRIEF;
use crate::state::Base;

/// The shard whose daemon is told what belongs to no shard.
const ANY: Shard = Shard(0);

/// Tells the daemon of this shard.
pub async fn tell(state: &Base, network: Network, shard: Shard, news: News) {
    let Ok(names) = state.queue_names(network) else {
        // No daemon of this deployment has a feed of that network.
        return;
    };
    let told = OutgoingMessage::standard(payload::encode(&Query::Tell { news }));
    let queries = names.queries(shard.0);
    let sent = tokio::time::timeout(BRIEF, state.queue.send(&queries, told)).await;
    if let Err(error) = sent.unwrap_or(Err(QueueError::Timeout { operation: "send" })) {
        log::went_wrong(&error.into(), "the realtime feed was not told");
    }
}

/// Tells a daemon of each network: a subscription is of all of them.
pub async fn tell_everywhere(state: &Base, news: &News) {
    for network in &state.networks {
        tell(state, *network, ANY, news.clone()).await;
    }
}
