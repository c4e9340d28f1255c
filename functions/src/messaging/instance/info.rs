//! `GET /api/instance/info`.

use axum::extract::State;

use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Reply};
use crate::management::InstanceView;
use crate::presence::Presence;
use crate::state::AppState;

pub async fn handler(
    State(state): State<AppState>,
    caller: KeyCaller<permission::InstanceRead>,
) -> Result<Reply<InstanceView>, ApiError> {
    let found = state
        .instances
        .get(caller.subscription.id, caller.grant.instance)
        .await?;
    let instance = found.ok_or_else(|| ApiError::not_found("instance"))?;
    let presence = Presence::of(&state, [&instance]).await?;
    Ok(Reply::ok(InstanceView::new(instance, &presence)))
}
