//! `GET /ready`: the process can do its work, which takes the table and the queues.

use axum::extract::{FromRef, State};
use axum::http::Method;
use futures::future::try_join_all;
use serde::Serialize;
use shared::storage::keys;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::{ApiError, Reply};
use crate::openapi::Tag;
use crate::state::Base;

#[derive(Serialize, ToSchema)]
pub struct Response {
    #[schema(example = "ready")]
    status: &'static str,
    networks: Vec<Network>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NetworkReadiness)]
pub struct Network {
    network: shared::domain::network::Network,
    /// Messages that wait in the first shard's queue: a sample, at a fixed cost.
    waiting_in_first_shard: u64,
}

pub fn endpoint<S: Clone + Send + Sync + 'static>() -> Endpoint<S>
where
    Base: FromRef<S>,
{
    Endpoint::new(Method::GET, "/ready", "getReadiness", handler)
        .about(Tag::Operations, "Tells whether the process can do its work")
}

pub async fn handler(State(state): State<Base>) -> Result<Reply<Response>, ApiError> {
    state.table.get_recent(&keys::config()).await?;
    let networks = try_join_all(state.networks.iter().map(async |network| {
        let depth = state.queue.depth(&state.queue_names(*network)?.sends(0)).await?;
        Ok::<_, ApiError>(Network {
            network: *network,
            waiting_in_first_shard: depth.visible,
        })
    }))
    .await?;
    Ok(Reply::ok(Response {
        status: "ready",
        networks,
    }))
}
