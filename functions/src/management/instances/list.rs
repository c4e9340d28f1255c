//! `GET /api/instances`: the subscription's instances, newest first.

use axum::extract::State;
use shared::ids::InstanceId;

use super::InstanceView;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, PageQuery, Query, Reply};
use crate::presence::Presence;
use crate::state::AppState;

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    Query(query): Query<PageQuery>,
) -> Result<Reply<Vec<InstanceView>>, ApiError> {
    let page = query.parse::<InstanceId>()?;
    let instances = state
        .instances
        .list(caller.subscription.id, page.after, page.limit + 1)
        .await?;
    let (instances, pagination) = page.cut(instances, |instance| instance.id);
    let presence = Presence::of(&state, &instances).await?;
    let views = instances
        .into_iter()
        .map(|instance| InstanceView::new(instance, &presence));
    Ok(Reply::ok(views.collect()).page(pagination))
}
