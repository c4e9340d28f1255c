//! How what is confidential of a webhook is sealed, once its instance has a data key.

use std::time::Duration;

use shared::domain::webhook::Confidential;
use shared::seal::SealError;
use shared::storage::webhooks;
use tokio::time::Instant;

use super::side::{Named, Side};
use crate::http::ApiError;
use crate::nudge::{BRIEF, nudge};

/// How long a daemon may take to make an instance's data key.
const KEY_DEADLINE: Duration = Duration::from_secs(5);

/// The first pause between two looks for it; each is twice as long as the one before.
const FIRST_LOOK: Duration = Duration::from_millis(25);

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
            nudge(state.base(), instance.network, instance.shard, instance.id, BRIEF).await;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
