//! `GET /api/instances/{instance}/status`: how its connection is.

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use shared::domain::instance::{Instance, Status};
use utoipa::ToSchema;

use super::find::{InstanceRef, find};
use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Path, Reply, Timestamp};
use crate::management::ManagementState;
use crate::openapi::Tag;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InstanceConnection)]
pub struct Response {
    status: Status,
    since: Timestamp,
    #[schema(example = json!(null))]
    reason: Option<String>,
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000012345678")]
    lid: Option<String>,
    #[schema(example = "Customer Service")]
    display_name: Option<String>,
    last_round_trip_at: Option<Timestamp>,
    #[schema(example = json!(null))]
    last_error: Option<String>,
    #[schema(example = json!(null))]
    qr_attempt: Option<u8>,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::GET,
        "/api/instances/{instance}/status",
        "getInstanceStatus",
        handler,
    )
    .about(Tag::Instances, "Tells how the connection of an instance is")
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let owners = Owners::of(&state, [&instance]).await?;
    Ok(Reply::ok(Response::new(instance, &owners)))
}

impl Response {
    /// The instance's status.
    pub fn new(instance: Instance, owners: &Owners) -> Self {
        let connection = owners.connection(&instance);
        let account = instance.account;
        let display_name = account.as_ref().and_then(|account| account.display_name.clone());
        let person = account.map(|account| account.person).unwrap_or_default();
        let qr = instance.observed.qr;
        Self {
            status: connection.status,
            since: connection.since.into(),
            reason: connection.reason,
            phone: person.phone,
            lid: person.lid,
            display_name,
            last_round_trip_at: connection.last_round_trip_at.map(Timestamp::from),
            last_error: instance.observed.last_error,
            qr_attempt: qr
                .filter(|_| connection.status == Status::AwaitingQr)
                .map(|qr| qr.attempt),
        }
    }
}
