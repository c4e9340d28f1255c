//! Which network a folder is of, and that it stays so.
//!
//! Shards, queues and instances are a network's own. A stack of another network that starts on the folder would raise the table's
//! number of shards, which never become fewer, and the folder's own stack would refuse it from then on. So the folder tells.

use std::path::Path;

use anyhow::{Context as _, ensure};
use shared::domain::network::Network;
use shared::queue::QueueNames;
use shared::queue::embedded::EmbeddedQueue;

use crate::place::{NETWORK, QUEUES_FILE, read_mark, write_mark};
use crate::stack::QUEUE_PREFIX;

/// Notes the network of a folder that tells none. Fails where the folder is another network's.
pub fn settle(directory: &Path, network: Network) -> anyhow::Result<()> {
    let noted = read_mark(directory, NETWORK)?;
    let own = match &noted {
        Some(text) => {
            let read = text.trim().parse::<Network>();
            Some(read.with_context(|| format!("what is in {}", directory.join(NETWORK).display()))?)
        }
        None => by_queues(directory)?,
    };
    ensure!(
        own.is_none_or(|own| own == network),
        "{} is of the network `{}`, and this Waxwing is for `{network}`: --data-dir takes another directory. The local stack is for \
         `{}`, `waxwing-server` for `{}`",
        directory.display(),
        own.map_or("", Network::as_str),
        Network::Sandbox,
        Network::Live
    );
    match noted {
        Some(_) => Ok(()),
        None => write_mark(directory, NETWORK, network.as_str()),
    }
}

/// The network whose queues are in a folder on which older versions alone have started. A folder with the queues of both is `live`:
/// either it was a server's from the start, or it is the local stack's, which cannot start on it any more.
fn by_queues(directory: &Path) -> anyhow::Result<Option<Network>> {
    let file = directory.join(QUEUES_FILE);
    let is_there = file.try_exists();
    if !is_there.with_context(|| format!("cannot look into {}", directory.display()))? {
        return Ok(None);
    }
    let names = EmbeddedQueue::names_in(&file).with_context(|| format!("cannot read {}", file.display()))?;
    for network in [Network::Live, Network::Sandbox] {
        let events = QueueNames::new(QUEUE_PREFIX, network.as_str())?.events();
        if names.iter().any(|name| name == events.as_str()) {
            return Ok(Some(network));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use shared::clock::SystemClock;
    use shared::queue::deployment;

    use super::*;

    fn settled(directory: &Path, network: Network) -> Result<(), String> {
        settle(directory, network).map_err(|refusal| format!("{refusal:#}"))
    }

    /// Makes the queues of a network, as a start of an older version has.
    async fn make_queues(directory: &Path, network: Network) {
        let file = directory.join(QUEUES_FILE);
        let queue = EmbeddedQueue::open(Some(&file), Arc::new(SystemClock)).expect("opened");
        let names = QueueNames::new(QUEUE_PREFIX, network.as_str()).expect("names");
        deployment::ensure_all(&queue, &names, 1).await.expect("made");
        queue.close().await;
    }

    #[test]
    fn a_folder_stays_the_network_s_that_was_first() {
        let folder = tempfile::tempdir().expect("made");
        settled(folder.path(), Network::Sandbox).expect("nobody's yet");
        let said = settled(folder.path(), Network::Live).expect_err("refused");
        assert!(said.contains("is of the network `sandbox`"), "{said}");
        assert!(said.contains("--data-dir takes another directory"), "{said}");
        settled(folder.path(), Network::Sandbox).expect("its own");

        fs::write(folder.path().join(NETWORK), "moon").expect("written");
        let said = settled(folder.path(), Network::Sandbox).expect_err("refused");
        assert!(said.contains("must be one of"), "{said}");
    }

    #[tokio::test]
    async fn a_folder_without_a_mark_is_the_network_s_whose_queues_it_has() {
        let folder = tempfile::tempdir().expect("made");
        make_queues(folder.path(), Network::Sandbox).await;
        settled(folder.path(), Network::Live).expect_err("it is the local stack's");
        assert!(!folder.path().join(NETWORK).exists(), "a refusal changes nothing");
        settled(folder.path(), Network::Sandbox).expect("its own");

        fs::remove_file(folder.path().join(NETWORK)).expect("removed");
        make_queues(folder.path(), Network::Live).await;
        settled(folder.path(), Network::Sandbox).expect_err("it is a server's");
        settled(folder.path(), Network::Live).expect("its own");
    }
}
