//! `POST /api/subscription/members`: invites somebody by e-mail. It is a member from here
//! on, and can log in once it has set a password with the code of the mail.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use shared::domain::account::{EmailAddress, PersonName, Role, User};
use shared::domain::audit::Action;
use shared::ids::UserId;
use shared::storage::accounts::Added;
use utoipa::ToSchema;

use super::view::MemberView;
use crate::http::caller::Owner;
use crate::http::{ApiError, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::management::people;
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = EmailAddress)]
    email: String,
    #[schema(value_type = PersonName)]
    name: String,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::POST, "/api/subscription/members", "inviteMember", handler)
        .about(Tag::Subscription, "Invites somebody by e-mail")
        .details("It can log in once it has set a password with the code of the mail.")
        .status(StatusCode::CREATED)
        .errors(&[Code::EmailTaken, Code::UpstreamError, Code::NotFound])
}

pub async fn handler(
    State(state): State<AppState>,
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
    let now = state.clock.now();
    let user = User {
        id: UserId::new(now),
        subscription: caller.subscription.id,
        email,
        name,
        role: Role::User,
        active: true,
        email_verified_at: None,
        credentials: 1,
        created_at: now,
    };
    match people::invite(&state, &caller.user, &user).await? {
        Added::Created => {}
        Added::EmailTaken => return Err(people::email_taken()),
        Added::SubscriptionGone => return Err(ApiError::not_found("subscription")),
    }
    let record = Record::by(&caller.user, Action::MemberInvited).on(user.id);
    trail.record(&state, record).await;
    Ok(Reply::created(MemberView::new(user, true, &caller.subscription)))
}
