//! `GET /api/instances/{instance}/status`: how its connection is.

use axum::extract::State;
use serde::Serialize;
use shared::domain::instance::{Instance, Status};

use super::find::{InstanceRef, find};
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Path, Reply, Timestamp};
use crate::presence::Presence;
use crate::state::AppState;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status: Status,
    since: Timestamp,
    reason: Option<String>,
    phone: Option<String>,
    lid: Option<String>,
    display_name: Option<String>,
    last_round_trip_at: Option<Timestamp>,
    last_error: Option<String>,
    qr_attempt: Option<u8>,
}

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let presence = Presence::of(&state, [&instance]).await?;
    Ok(Reply::ok(Response::new(instance, &presence)))
}

impl Response {
    /// The instance's status.
    pub fn new(instance: Instance, presence: &Presence) -> Self {
        let connection = presence.connection(&instance);
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
