//! `/admin/phones/{phone}/groups`, `join` and `leave`: what a person does with groups.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::error::{ApiResult, Body};
use crate::script::{GroupEdit, GroupInfo, Joined, NewGroup, ParticipantResult, ParticipantsRequest, Phone};

/// `GET …/groups`
pub(super) async fn list(phone: Phone) -> ApiResult<Json<Vec<GroupInfo>>> {
    Ok(Json(phone.groups().await?))
}

/// `POST …/groups`
pub(super) async fn create(
    phone: Phone,
    Body(new): Body<NewGroup>,
) -> ApiResult<(StatusCode, Json<GroupInfo>)> {
    Ok((StatusCode::CREATED, Json(phone.create_group(new).await?)))
}

/// `PATCH …/groups/{group}`
pub(super) async fn edit(
    phone: Phone,
    Path((_, group)): Path<(String, String)>,
    Body(edit): Body<GroupEdit>,
) -> ApiResult<Json<GroupInfo>> {
    Ok(Json(phone.edit_group(&group, edit).await?))
}

/// `POST …/groups/{group}/participants`; answers a result for each.
pub(super) async fn change_participants(
    phone: Phone,
    Path((_, group)): Path<(String, String)>,
    Body(request): Body<ParticipantsRequest>,
) -> ApiResult<Json<Vec<ParticipantResult>>> {
    Ok(Json(phone.change_participants(&group, request).await?))
}

/// The code at the end of a group's invite link.
#[derive(Debug, Serialize)]
pub(super) struct InviteCode {
    code: String,
}

/// `POST …/groups/{group}/invite-link`: the former link leads nowhere any more; answers the code of the new one.
pub(super) async fn reset_invite_link(
    phone: Phone,
    Path((_, group)): Path<(String, String)>,
) -> ApiResult<Json<InviteCode>> {
    let code = phone.reset_invite_link(&group).await?;
    Ok(Json(InviteCode { code }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaveRequest {
    group: String,
}

/// `POST …/leave`
pub(super) async fn leave(phone: Phone, Body(request): Body<LeaveRequest>) -> ApiResult<StatusCode> {
    phone.leave_group(&request.group).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinRequest {
    code: String,
}

/// `POST …/join`
pub(super) async fn join(phone: Phone, Body(request): Body<JoinRequest>) -> ApiResult<Json<Joined>> {
    Ok(Json(phone.join_group(&request.code).await?))
}
