//! What there is on the network, and what has passed through it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Result;
use crate::faults::Fault;
use crate::network::Network;
use crate::phone::app_state;
use crate::stats::Counts;
use crate::store::Unit;

/// The network at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Linked devices that are connected.
    pub clients: usize,
    /// Clients that show a QR code.
    pub pairing: usize,
    /// Phones on the network.
    pub phones: u32,
    /// Linked devices.
    pub companions: u32,
    /// Stanzas that wait for a device.
    pub queued: u32,
    /// Patches of app state that a phone refused because their MACs do not hold.
    pub app_state_refused: u64,
    /// Faults in force.
    pub faults: usize,
    /// How often faults have struck, by their name.
    pub struck: BTreeMap<&'static str, u64>,
    /// What has passed through since the start.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Counts what there is.
pub(crate) async fn stats(network: &Network) -> Result<Stats> {
    let count = |unit: &mut Unit<'_>| {
        let sql = "SELECT (SELECT COUNT(*) FROM phones), (SELECT COUNT(*) FROM companions), (SELECT COUNT(*) FROM queue)";
        let counted = unit
            .prepare(sql)?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok((counted, app_state::faults(unit)?))
    };
    let ((phones, companions, queued), app_state_refused) = network.store.run(count).await?;
    let (clients, pairing) = network.registry.counts();
    let struck = Fault::ALL.map(|fault| (fault.name(), network.faults.struck(fault)));
    Ok(Stats {
        clients,
        pairing,
        phones,
        companions,
        queued,
        app_state_refused,
        faults: network.faults.list().len(),
        struck: struck.into_iter().filter(|(_, count)| *count > 0).collect(),
        counts: network.stats.counts(),
    })
}
