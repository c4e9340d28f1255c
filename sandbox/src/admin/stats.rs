//! `GET /admin/stats` and `GET /admin/root-pub`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::error::ApiResult;
use crate::network::Network;
use crate::phone::app_state;
use crate::stats::Counts;
use crate::store::Unit;

/// The network at this moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View {
    /// Linked devices that are connected.
    clients: usize,
    /// Clients that show a QR code.
    pairing: usize,
    phones: u32,
    companions: u32,
    /// Stanzas that wait for a device.
    queued: u32,
    /// Patches of app state that a phone refused because their MACs do not hold.
    app_state_refused: u64,
    /// Faults in force.
    faults: usize,
    #[serde(flatten)]
    counts: Counts,
}

/// `GET /admin/stats`
pub(super) async fn stats(State(network): State<Arc<Network>>) -> ApiResult<Json<View>> {
    let count = |unit: &mut Unit<'_>| {
        let sql = "SELECT (SELECT COUNT(*) FROM phones), (SELECT COUNT(*) FROM companions), (SELECT COUNT(*) FROM queue)";
        let counted = unit
            .prepare(sql)?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok((counted, app_state::faults(unit)?))
    };
    let ((phones, companions, queued), app_state_refused) = network.store.run(count).await?;
    let (clients, pairing) = network.registry.counts();
    let faults = network.faults.list().len();
    let counts = network.stats.counts();
    Ok(Json(View {
        clients,
        pairing,
        phones,
        companions,
        queued,
        app_state_refused,
        faults,
        counts,
    }))
}

/// `GET /admin/root-pub`: the public half of the root of the Noise certificates, in hex.
pub(super) async fn root_pub(State(network): State<Arc<Network>>) -> String {
    hex::encode(network.identity.root)
}
