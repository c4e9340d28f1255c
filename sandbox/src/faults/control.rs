//! Adding and ending faults: what the admin API and programs call.

use std::sync::Arc;

use serde::Serialize;
use wacore_binary::builder::NodeBuilder;

use super::target::Subject;
use super::verdict::Ending;
use super::{Fault, InForce, MAX_RULES, Rule, Standing};
use crate::companions;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::server::refusals::{self, StreamEnd};
use crate::server::registry::Client;

/// What came of a fault that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Added {
    /// The fault. One that strikes but once is not in force any more.
    #[serde(flatten)]
    pub fault: InForce,
    /// The clients that it has befallen already.
    pub clients: u64,
}

/// The faults of one network.
#[derive(Clone)]
pub struct FaultControl {
    network: Arc<Network>,
}

impl FaultControl {
    pub(crate) fn new(network: Arc<Network>) -> Self {
        Self { network }
    }

    /// Puts a fault in force, or lets it strike if it is one that strikes only once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for members that make no sense together, [`Error::Conflict`] for the 1,001st rule.
    pub async fn add(&self, rule: Rule) -> Result<Added> {
        rule.check()?;
        let faults = &self.network.faults;
        let mut standing = faults.prepare(rule);
        let clients = self.blow(&mut standing).await?;
        let fault = standing.view();
        if !fault.rule.is_blow() && !faults.put(standing) {
            return Err(Error::Conflict(format!(
                "{MAX_RULES} faults are in force already"
            )));
        }
        Ok(Added { fault, clients })
    }

    /// The faults in force, oldest first.
    pub fn list(&self) -> Vec<InForce> {
        self.network.faults.list()
    }

    /// How often `fault` has struck since the start, by whatever rule.
    pub fn struck(&self, fault: Fault) -> u64 {
        self.network.faults.struck(fault)
    }

    /// Ends one fault.
    ///
    /// # Errors
    /// [`Error::NotFound`] where none of that id is in force.
    pub fn remove(&self, id: u64) -> Result<()> {
        let removed = self.network.faults.remove(id);
        removed
            .then_some(())
            .ok_or_else(|| Error::NotFound("no fault of this id is in force".into()))
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.network.faults.clear();
    }

    /// What a rule does when it is added; answers how many clients it befell.
    async fn blow(&self, standing: &mut Standing) -> Result<u64> {
        let fault = standing.rule.fault;
        let ending = match fault {
            Fault::Restart => {
                standing.struck += 1;
                self.network.faults.count(fault, 1);
                return Ok(self.network.restart().await);
            }
            Fault::LogOut => return self.log_out(standing).await,
            // The ban strikes at the login that follows; this is its beginning.
            Fault::Ban => {
                let connected = self.network.registry.connected();
                let hit = connected
                    .iter()
                    .filter(|client| standing.rule.target.covers(client.subject()));
                return Ok(hit.map(|client| client.end(Ending::Drop)).count() as u64);
            }
            _ if !standing.rule.is_blow() => return Ok(0),
            Fault::Replace => Ending::Replaced,
            Fault::StreamError => Ending::StreamError(standing.rule.code.unwrap_or_default()),
            _ => Ending::Drop,
        };
        for client in self.network.registry.connected() {
            if standing.strikes(client.subject()) {
                client.end(ending);
            }
        }
        self.network.faults.count(fault, standing.struck);
        Ok(standing.struck)
    }

    /// Removes the companions that are meant, connected or not.
    async fn log_out(&self, standing: &mut Standing) -> Result<u64> {
        let all = self
            .network
            .store
            .run(|unit| companions::everywhere(unit))
            .await?;
        let registry = &self.network.registry;
        let hit = all.into_iter().filter(|address| {
            // Connections count from 1.
            let client = registry.client(address).map_or(0, |client| client.id);
            standing.strikes(Subject {
                client,
                address: Some(address),
            })
        });
        let hit: Vec<_> = hit.collect();
        let work = move |unit: &mut crate::store::Unit<'_>| {
            hit.iter()
                .try_for_each(|address| companions::unlink(unit, address))
        };
        self.network.store.run(work).await?;
        self.network.faults.count(Fault::LogOut, standing.struck);
        Ok(standing.struck)
    }
}

impl std::fmt::Debug for FaultControl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultControl")
            .field("faults", &self.network.faults)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Ends the connection as a fault wants it.
    pub(crate) fn end(&self, ending: Ending) {
        match ending {
            Ending::Drop => self.close.cancel(),
            Ending::Replaced => refusals::end(self, StreamEnd::Replaced),
            Ending::StreamError(code) => {
                let error = NodeBuilder::new("stream:error").attr("code", code).build();
                if self.send_last(&error).is_err() {
                    self.close.cancel();
                }
            }
        }
    }
}
