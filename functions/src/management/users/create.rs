//! `POST /api/users`: a new user of a subscription that is there; without a password it is
//! invited by mail.

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
use crate::http::caller::Administrator;
use crate::http::{ApiError, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::management::people;
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    #[schema(value_type = EmailAddress)]
    email: String,
    #[schema(value_type = Option<NewPassword>)]
    password: Option<OfferedPassword>,
    #[schema(value_type = PersonName)]
    name: String,
    #[schema(value_type = Role)]
    role: String,
    #[schema(value_type = SubscriptionId)]
    subscription_id: String,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::POST, "/api/users", "createUser", handler)
        .about(Tag::Administration, "Creates a user of a subscription")
        .details("Without a password it is invited by mail.")
        .status(StatusCode::CREATED)
        .errors(&[Code::EmailTaken, Code::UpstreamError])
}

pub async fn handler(
    State(state): State<AppState>,
    Administrator(caller): Administrator,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<UserView>, ApiError> {
    let (user, password) = parse(&state, &request)?;
    let added = match password {
        Some(password) => {
            let hash = state.passwords.hash(password).await?;
            state.accounts.add(&user, Some(&hash)).await?
        }
        None => people::invite(&state, &caller.user, &user).await?,
    };
    match added {
        Added::Created => {}
        Added::EmailTaken => return Err(people::email_taken()),
        Added::SubscriptionGone => {
            return Err(ApiError::field("subscriptionId", "names no subscription"));
        }
    }
    let record = Record::by(&caller.user, Action::UserCreated).of(user.subscription);
    trail
        .record(&state, record.on(user.id).detail("role", user.role))
        .await;
    Ok(Reply::created(user.into()))
}

fn parse(state: &AppState, request: &Request) -> Result<(User, Option<NewPassword>), ApiError> {
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
