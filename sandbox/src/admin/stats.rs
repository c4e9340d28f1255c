//! `GET /admin/stats` and `GET /admin/root-pub`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::error::ApiResult;
use crate::error::Result;
use crate::faults::Fault;
use crate::network::Network;
use crate::phone::app_state;
use crate::stats::Counts;
use crate::store::Unit;

/// The network at this moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    /// Linked devices that are connected.
    pub(super) clients: usize,
    /// Clients that show a QR code.
    pub(super) pairing: usize,
    pub(super) phones: u32,
    pub(super) companions: u32,
    /// Stanzas that wait for a device.
    pub(super) queued: u32,
    /// Patches of app state that a phone refused because their MACs do not hold.
    pub(super) app_state_refused: u64,
    /// Faults in force.
    pub(super) faults: usize,
    /// How often faults have struck, by their name.
    pub(super) struck: BTreeMap<&'static str, u64>,
    #[serde(flatten)]
    pub(super) counts: Counts,
}

impl View {
    /// Counts what there is.
    pub(super) async fn of(network: &Network) -> Result<Self> {
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
        Ok(Self {
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
}

/// `GET /admin/stats`
pub(super) async fn stats(State(network): State<Arc<Network>>) -> ApiResult<Json<View>> {
    Ok(Json(View::of(&network).await?))
}

/// `GET /admin/root-pub`: the public half of the root of the Noise certificates, in hex.
pub(super) async fn root_pub(State(network): State<Arc<Network>>) -> String {
    hex::encode(network.identity.root)
}
