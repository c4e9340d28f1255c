//! `POST /api/users`: a new user of an existing subscription. Without a password the person is invited by mail.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use shared::auth::password::{NewPassword, OfferedPassword};
use shared::domain::account::{EmailAddress, PersonName, Role, User};
use shared::domain::audit::Action;
use shared::ids::{SubscriptionId, UserId};
use shared::storage::accounts::Added;
use utoipa::ToSchema;

use crate::auth::view::UserView;
use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::management::ManagementState;
use crate::management::people::{self, Invitee};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    #[schema(value_type = EmailAddress)]
    email: String,
    #[schema(value_type = NewPassword, required = false)]
    password: Option<OfferedPassword>,
    #[schema(value_type = PersonName)]
    name: String,
    #[schema(value_type = Role)]
    role: String,
    #[schema(value_type = SubscriptionId)]
    subscription_id: String,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::POST, "/api/users", "createUser", handler)
        .about(Tag::Administration, "Creates a user of a subscription")
        .details(
            "Without a password it is invited by mail, and there once it has accepted: until then its id leads to nothing, and \
             `DELETE /api/users/{user}` takes the invitation back.",
        )
        .status(StatusCode::CREATED)
        .errors(&[Code::EmailTaken, Code::Conflict, Code::UpstreamError])
}

pub async fn handler(
    State(state): State<ManagementState>,
    Administrator(caller): Administrator,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<UserView>, ApiError> {
    let (user, password) = parse(&state, &request)?;
    let Some(password) = password else {
        return invite(&state, &caller.user, &trail, user).await;
    };
    let hash = state.passwords.hash(password).await?;
    match state.accounts.add(&user, Some(&hash)).await? {
        Added::Created => {}
        Added::EmailTaken => return Err(people::email_taken()),
        Added::SubscriptionGone => return Err(no_subscription()),
    }
    let record = Record::by(&caller.user, Action::UserCreated).of(user.subscription);
    trail
        .record(&state, record.on(user.id).detail("role", user.role))
        .await;
    Ok(Reply::created(user.into()))
}

/// Invites the person who is to be that user, who exists once they have accepted.
async fn invite(
    state: &ManagementState,
    inviter: &User,
    trail: &Trail,
    user: User,
) -> Result<Reply<UserView>, ApiError> {
    let whom = Invitee {
        email: user.email,
        name: user.name,
        role: user.role,
        subscription: user.subscription,
    };
    let outcome = people::invite(state, inviter, whom).await;
    let invitation = outcome.map_err(|error| match error.code() {
        Code::NotFound => no_subscription(),
        _ => error,
    })?;
    let record = Record::by(inviter, Action::MemberInvited).of(invitation.subscription);
    trail
        .record(state, record.on(invitation.id).detail("role", invitation.role))
        .await;
    Ok(Reply::created(invitation.user().into()))
}

fn no_subscription() -> ApiError {
    ApiError::field("subscriptionId", "names no subscription")
}

fn parse(state: &ManagementState, request: &Request) -> Result<(User, Option<NewPassword>), ApiError> {
    let mut fields = Fields::default();
    let email = fields.parse::<EmailAddress>("email", &request.email);
    let offered = request.password.as_ref();
    let password = offered.and_then(|password| fields.check("password", password.to_new()));
    let name = fields.parse::<PersonName>("name", &request.name);
    let role = fields.parse::<Role>("role", &request.role);
    let subscription = fields.parse::<SubscriptionId>("subscriptionId", &request.subscription_id);
    fields.finish()?;
    let (Some(email), Some(name), Some(role), Some(subscription)) = (email, name, role, subscription) else {
        return Err(fields.error());
    };
    let now = state.clock.now();
    let user = User {
        id: UserId::new(now),
        subscription,
        email,
        name,
        role,
        active: true,
        email_verified_at: None,
        credentials: 1,
        created_at: now,
    };
    Ok((user, password))
}
