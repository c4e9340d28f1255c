//! Settings that an account's devices share.

mod between_devices;
mod from_the_phone;
mod keys;
mod refusals;
mod salt;
mod snapshots;
mod tampering;

use std::time::{Duration, Instant};

use serde_json::Value;
use wacore::appstate::patch_decode::WAPatchName;
use wacore::store::traits::AppSyncStore as _;
use wacore::types::events::Event;
use wacore_binary::Jid;
use whatsapp_rust::sync_task::MajorSyncTask;

use crate::client::TestClient;
use crate::net::{Admin, DEADLINE};

/// What a phone holds in the clear.
pub fn path(phone: &str) -> String {
    format!("/admin/phones/{phone}/app-state")
}

/// The value of one setting in the answer of that path.
pub fn setting<'a>(all: &'a Value, index: &[&str]) -> Option<&'a Value> {
    let found = all
        .as_array()?
        .iter()
        .find(|record| record["index"].as_array().is_some_and(|parts| parts == index))?;
    Some(&found["value"])
}

/// Lets the phone's person do something.
pub async fn act(admin: Admin, phone: &str, action: Value) {
    admin.ok("POST", &path(phone), &action.to_string()).await;
}

/// The chat of `event` and whether it is pinned.
pub fn pin(event: &Event) -> Option<(Jid, bool)> {
    match event {
        Event::PinUpdate(pin) => Some((pin.jid.clone(), pin.action.pinned?)),
        _ => None,
    }
}

/// Waits until a client has heard that `chat` is pinned, or no longer.
///
/// Notices that it dropped (see [`catch_up`]) are made up for after a while.
pub async fn pinned(client: &TestClient, chat: &Jid, pinned: bool) {
    let heard = client.wait("pin", |event| {
        pin(event)
            .filter(|seen| *seen == (chat.clone(), pinned))
            .map(drop)
    });
    let late = async {
        loop {
            tokio::time::sleep(PATIENCE).await;
            catch_up(client).await;
        }
    };
    tokio::select! {
        () = heard => {}
        () = late => {}
    }
}

/// When a notice that has not come is taken for dropped.
const PATIENCE: Duration = Duration::from_secs(3);

/// Version and LT-hash of a collection as a client has them.
pub async fn state(client: &TestClient, collection: &str) -> (u64, Vec<u8>) {
    let state = client.backend.get_version(collection).await.expect("a state");
    (state.version, state.hash.to_vec())
}

/// Lets a client ask for what it lacks of each collection.
///
/// `whatsapp-rust` 0.7 drops the notice of a change that comes while it fetches an earlier one of the same
/// collection, and stays behind until the next. So a test asks for the change where changes follow each other at
/// once.
pub async fn catch_up(client: &TestClient) {
    for name in [
        WAPatchName::CriticalBlock,
        WAPatchName::CriticalUnblockLow,
        WAPatchName::RegularHigh,
        WAPatchName::Regular,
        WAPatchName::RegularLow,
    ] {
        let task = MajorSyncTask::AppStateSync {
            name,
            full_sync: false,
        };
        tokio::time::timeout(DEADLINE, client.client().process_sync_task(task))
            .await
            .expect("it catches up in time");
    }
}

/// Waits until a client has a collection at this version.
pub async fn until_version(client: &TestClient, collection: &str, version: u64) {
    let begun = Instant::now();
    loop {
        let found = state(client, collection).await.0;
        if found == version {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{collection} is at version {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until both clients have a collection at the same version, at least `version`, with the same hash.
pub async fn agree(one: &TestClient, other: &TestClient, collection: &str, version: u64) {
    let begun = Instant::now();
    let mut asked = begun;
    loop {
        let states = (state(one, collection).await, state(other, collection).await);
        if states.0 == states.1 && states.0.0 >= version {
            return;
        }
        assert!(
            begun.elapsed() < DEADLINE,
            "{collection} differs: version {} and {}, hashes {}",
            states.0.0,
            states.1.0,
            if states.0.1 == states.1.1 {
                "equal"
            } else {
                "different"
            }
        );
        if asked.elapsed() > PATIENCE {
            catch_up(one).await;
            catch_up(other).await;
            asked = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
