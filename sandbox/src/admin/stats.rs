//! `GET /admin/stats` and `GET /admin/root-pub`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::error::ApiResult;
use crate::network::Network;
use crate::stats::Counts;
use crate::store::Unit;

/// The network at this moment.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// Linked devices that are connected.
    clients: usize,
    /// Clients that show a QR code.
    pairing: usize,
    phones: u32,
    companions: u32,
    /// Stanzas that wait for a device.
    queued: u32,
    /// Faults in force.
    faults: usize,
    #[serde(flatten)]
    counts: Counts,
}

/// `GET /admin/stats`
pub(super) async fn stats(State(network): State<Arc<Network>>) -> ApiResult<Json<View>> {
    let count = |unit: &mut Unit<'_>| {
        let sql = "SELECT (SELECT COUNT(*) FROM phones), (SELECT COUNT(*) FROM companions), (SELECT COUNT(*) FROM queue)";
        Ok(unit
            .prepare(sql)?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
    };
    let (phones, companions, queued) = network.store.run(count).await?;
    let (clients, pairing) = network.registry.counts();
    let faults = network.faults.list().len();
    let counts = network.stats.counts();
    Ok(Json(View {
        clients,
        pairing,
        phones,
        companions,
        queued,
        faults,
        counts,
    }))
}

/// `GET /admin/root-pub`: the public half of the root of the Noise certificates, in hex.
pub(super) async fn root_pub(State(network): State<Arc<Network>>) -> String {
    hex::encode(network.identity.root)
}
