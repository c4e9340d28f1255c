//! Tells the realtime feed of what a function has done. The feed is ephemeral, so nothing depends on it: what cannot be
//! queued in a moment is logged, and the request goes on. A request that asks for this very news is told instead.

use std::time::Duration;

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

/// Tells the daemon of this shard. What fails is logged.
pub async fn tell(state: &Base, network: Network, shard: Shard, news: News) {
    if let Err(error) = try_tell(state, network, shard, news, BRIEF).await {
        log::went_wrong(&error.into(), "the realtime feed was not told");
    }
}

/// The same for a request that asks for this very news. An error where the daemon's queue does not take it `within` this time,
/// as far as is known.
pub async fn try_tell(
    state: &Base,
    network: Network,
    shard: Shard,
    news: News,
    within: Duration,
) -> Result<(), QueueError> {
    let Ok(names) = state.queue_names(network) else {
        // No daemon of this deployment has a feed of that network.
        return Ok(());
    };
    let told = OutgoingMessage::standard(payload::encode(&Query::Tell { news }));
    let queries = names.queries(shard.0);
    let sent = tokio::time::timeout(within, state.queue.send(&queries, told)).await;
    sent.unwrap_or(Err(QueueError::Timeout { operation: "send" }))?;
    Ok(())
}

/// Tells a daemon of each network: a subscription is of all of them.
pub async fn tell_everywhere(state: &Base, news: &News) {
    for network in &state.networks {
        tell(state, *network, ANY, news.clone()).await;
    }
}
