//! What these routes ask of the daemon that holds the instance's shard: to look at the instance.

use std::time::Duration;

use shared::domain::job::Query;
use shared::domain::payload;
use shared::domain::webhook::Confidential;
use shared::queue::{OutgoingMessage, QueueError};
use shared::seal::SealError;
use shared::storage::webhooks;
use tokio::time::Instant;

use super::side::{Named, Side};
use crate::http::{ApiError, log};

/// How long a nudge may take. What it tells is found by the minute's sweep too.
const NUDGE_DEADLINE: Duration = Duration::from_secs(2);

/// How long a daemon may take to make an instance's data key.
const KEY_DEADLINE: Duration = Duration::from_secs(5);

/// The first pause between two looks for it; each is twice as long as the one before.
const FIRST_LOOK: Duration = Duration::from_millis(25);

/// Has the daemon look at an instance, of which other events are wanted now.
pub async fn nudge<S: Side>(state: &S, instance: Named) {
    let base = state.base();
    let Ok(names) = base.queue_names(instance.network) else {
        return;
    };
    let queries = names.queries(instance.shard.0);
    let nudge = payload::encode(&Query::Nudge {
        instance: instance.id,
    });
    let sending = base.queue.send(&queries, OutgoingMessage::standard(nudge));
    let sent = tokio::time::timeout(NUDGE_DEADLINE, sending).await;
    if let Err(error) = sent.unwrap_or(Err(QueueError::Timeout { operation: "send" })) {
        log::went_wrong(&error.into(), "the shard could not be nudged");
    }
}

/// Seals what is confidential of an instance's webhook. An instance that was never connected has no data key yet, and only
/// its daemon makes one: it is nudged, and waited for.
pub async fn seal<S: Side>(
    state: &S,
    instance: Named,
    confidential: &Confidential,
) -> Result<Vec<u8>, ApiError> {
    let deadline = Instant::now() + KEY_DEADLINE;
    let mut pause = FIRST_LOOK;
    let mut is_asked = false;
    loop {
        match webhooks::seal(&state.hooks().sealer, instance.id, confidential).await {
            Err(SealError::NoKey(_)) if Instant::now() + pause < deadline => {}
            sealed => return Ok(sealed?),
        }
        if !std::mem::replace(&mut is_asked, true) {
            nudge(state, instance).await;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
