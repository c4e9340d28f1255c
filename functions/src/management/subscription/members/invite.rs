//! `POST /api/subscription/members`: invites somebody by e-mail. They are a member once they have accepted with the
//! code of the mail, and not before. The answer does not tell whether the address has an account.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use shared::domain::account::{EmailAddress, PersonName, Role};
use shared::domain::audit::Action;
use utoipa::ToSchema;

use super::view::MemberView;
use crate::endpoint::Endpoint;
use crate::http::caller::{Owner, require_verified};
use crate::http::{ApiError, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::management::ManagementState;
use crate::management::people::{self, Invitee};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = EmailAddress)]
    email: String,
    #[schema(value_type = PersonName)]
    name: String,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::POST, "/api/subscription/members", "inviteMember", handler)
        .about(Tag::Subscription, "Invites somebody by e-mail")
        .details(
            "It is a member once it has accepted, by `POST /api/auth/reset-password` with the code of the mail and a password. \
             Until then it is listed as `invited`, for seven days, and can be removed like a member. The inviter's own address \
             must be verified.",
        )
        .status(StatusCode::CREATED)
        .errors(&[Code::EmailTaken, Code::Conflict, Code::UpstreamError, Code::NotFound])
}

pub async fn handler(
    State(state): State<ManagementState>,
    Owner(caller): Owner,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<MemberView>, ApiError> {
    let mut fields = Fields::default();
    let email = fields.parse::<EmailAddress>("email", &request.email);
    let name = fields.parse::<PersonName>("name", &request.name);
    let (Some(email), Some(name)) = (email, name) else {
        return Err(fields.error());
    };
    // An inviter without a verified address may let others into what is not theirs.
    require_verified(&state, &caller.user)?;
    let invitee = Invitee {
        email,
        name,
        role: Role::User,
        subscription: caller.subscription.id,
    };
    let invitation = people::invite(&state, &caller.user, invitee).await?;
    let record = Record::by(&caller.user, Action::MemberInvited).on(invitation.id);
    trail.record(&state, record).await;
    let user = invitation.user();
    Ok(Reply::created(MemberView::new(user, true, &caller.subscription)))
}
