//! Removes files that nothing refers to: expired ones, and those that a killed process or a client left half done.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::catalogue;
use crate::error::{Error, Result};
use crate::network::Network;

/// Time between two sweeps.
const EVERY: Duration = Duration::from_mins(1);

/// An upload that nobody went on with for this long is given up.
const GIVEN_UP: Duration = Duration::from_hours(24);

/// Sweeps until the network stops.
pub(super) async fn run(network: Arc<Network>) {
    loop {
        match sweep(&network).await {
            Ok(0) => {}
            Ok(removed) => debug!(removed, "media files that nobody refers to are gone"),
            Err(Error::Stopped) => return,
            Err(error) => warn!(cause = %error.for_log(), "media files could not be swept"),
        }
        tokio::select! {
            () = network.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Removes what nobody refers to; answers how many files went.
async fn sweep(network: &Arc<Network>) -> Result<usize> {
    // No file becomes complete meanwhile, so nothing is about to refer to a file that nothing refers to now.
    let _alone = network.media.referring.write().await;
    let found = blocking(network, |network| network.media.blobs.all()).await?;
    let unused = network
        .store
        .run(move |unit| {
            catalogue::forget_old(unit)?;
            let mut unused = Vec::new();
            for one in found {
                let keep = match one.unfinished {
                    None => catalogue::is_referred_to(unit, &one.hash)?,
                    Some(age) => age < GIVEN_UP,
                };
                if !keep {
                    unused.push(one);
                }
            }
            Ok(unused)
        })
        .await?;
    blocking(network, move |network| {
        let mut removed = 0;
        for one in unused {
            if one.unfinished.is_none() || !network.media.uploads.is_under_way(&one.hash) {
                network.media.blobs.remove(one)?;
                removed += 1;
            }
        }
        Ok(removed)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    network: &Arc<Network>,
    work: impl FnOnce(&Network) -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let network = Arc::clone(network);
    let done = tokio::task::spawn_blocking(move || work(&network)).await;
    done.map_err(|error| Error::codec("the media files", error))?
        .map_err(|error| Error::codec("the media files", error))
}
