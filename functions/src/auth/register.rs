//! `POST /api/auth/register`: a new user with a Basic subscription of its own.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::auth::password::OfferedPassword;
use shared::domain::account::{EmailAddress, PersonName, Role, Subscription, Tier, User};
use shared::domain::audit::Action;
use shared::ids::{SubscriptionId, UserId};
use shared::storage::accounts::Registered;

use super::mails;
use super::tokens::{Tokens, begin_session};
use super::view::{SubscriptionView, UserView};
use crate::http::{ApiError, AuthGate, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    email: String,
    password: OfferedPassword,
    name: String,
}

#[derive(Serialize)]
pub struct Response {
    user: UserView,
    subscription: SubscriptionView,
    tokens: Tokens,
}

pub async fn handler(
    State(state): State<AppState>,
    _: AuthGate,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let mut fields = Fields::default();
    let email = fields.parse::<EmailAddress>("email", &request.email);
    let password = fields.check("password", request.password.to_new());
    let name = fields.parse::<PersonName>("name", &request.name);
    let (Some(email), Some(password), Some(name)) = (email, password, name) else {
        return Err(fields.error());
    };
    let hash = state.passwords.hash(password).await?;
    let now = state.clock.now();
    let id = UserId::new(now);
    let subscription = Subscription {
        id: SubscriptionId::new(now),
        owner: id,
        tier: Tier::Basic,
        active: true,
        created_at: now,
    };
    let user = User {
        id,
        subscription: subscription.id,
        email,
        name,
        role: Role::User,
        active: true,
        email_verified_at: None,
        credentials: 1,
        created_at: now,
    };
    match state.accounts.register(&user, &hash, &subscription).await? {
        Registered::Created => {}
        Registered::EmailTaken => {
            return Err(ApiError::new(
                Code::EmailTaken,
                "Another user has this e-mail address",
            ));
        }
    }
    if let Err(error) = mails::send_verification(&state, &user).await {
        // The user is there and can ask for the mail again.
        tracing::warn!(user.id = %user.id, code = error.code().as_str(), "a verification mail did not go out");
    }
    let tokens = begin_session(&state, &user).await?;
    let record = Record::by(&user, Action::Registered).on(user.id);
    trail.record(&state, record).await;
    Ok(Reply::created(Response {
        user: user.into(),
        subscription: subscription.into(),
        tokens,
    }))
}
