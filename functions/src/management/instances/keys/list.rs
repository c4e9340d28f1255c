//! `GET /api/instances/{instance}/keys`: an instance's API keys, newest first, without their secrets.

use axum::extract::State;
use shared::ids::KeyId;

use super::view::KeyView;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, PageQuery, Path, Query, Reply};
use crate::management::instances::find::{InstanceRef, find};
use crate::state::AppState;

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
    Query(query): Query<PageQuery>,
) -> Result<Reply<Vec<KeyView>>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let page = query.parse::<KeyId>()?;
    let keys = state
        .api_keys
        .list(instance.id, page.after, page.limit + 1)
        .await?;
    let (keys, pagination) = page.cut(keys, |key| key.grant.key);
    Ok(Reply::ok(keys.into_iter().map(KeyView::from).collect()).page(pagination))
}
