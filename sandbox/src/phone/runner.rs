//! The task that lets phones act when stanzas arrive for them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::{error, warn};

use super::{history, receive};
use crate::error::Error;
use crate::network::Network;

/// The phones that have something to do. As many entries at most as there are phones.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    phones: Mutex<BTreeSet<String>>,
    wake: Notify,
}

impl Agenda {
    /// Puts a phone on the agenda. Never waits.
    pub(crate) fn add(&self, phone: &str) {
        let mut phones = self.phones.lock().unwrap_or_else(PoisonError::into_inner);
        if phones.insert(phone.to_owned()) {
            self.wake.notify_one();
        }
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.phones.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves the agenda until the network stops.
pub(crate) async fn run(network: Arc<Network>) {
    let (agenda, stop) = (Arc::clone(&network.registry.agenda), network.stop.clone());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = agenda.wake.notified() => {}
        }
        for phone in agenda.take() {
            serve(&network, phone).await;
        }
    }
}

async fn serve(network: &Arc<Network>, phone: String) {
    let store = &network.store;
    while !network.stop.is_cancelled() {
        let one = phone.clone();
        let taken = match store.run(move |unit| receive::step(unit, &one)).await {
            Ok(taken) => taken,
            Err(Error::Stopped) => return,
            // The store itself fails: the stanza stays where it is, and the next wake tries again.
            Err(cause @ (Error::Storage(_) | Error::Commit(_))) => {
                error!(cause = %cause.for_log(), "a phone's stanza was not stored");
                return;
            }
            Err(cause) => {
                warn!(cause = %cause.for_log(), "a phone drops a stanza that it cannot take");
                let one = phone.clone();
                if store.run(move |unit| receive::skip(unit, &one)).await.is_err() {
                    return;
                }
                true
            }
        };
        if !taken && !serve_history(network, &phone).await {
            return;
        }
    }
}

/// Sends one new companion its history. `false` if there is none that waits for it.
async fn serve_history(network: &Arc<Network>, phone: &str) -> bool {
    match history::step(network, phone).await {
        Ok(sent) => sent,
        Err(Error::Stopped) => false,
        Err(cause) => {
            error!(cause = %cause.for_log(), "a phone's history was not sent");
            false
        }
    }
}
