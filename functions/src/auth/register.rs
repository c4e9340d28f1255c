//! `POST /api/auth/register`: a new user with a Basic subscription of its own, where the deployment lets this one register.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use shared::auth::password::{NewPassword, OfferedPassword};
use shared::config::Registration;
use shared::domain::account::{EmailAddress, PersonName, Role, Subscription, Tier, User};
use shared::domain::audit::Action;
use shared::ids::{SubscriptionId, UserId};
use shared::storage::accounts::Registered;
use utoipa::ToSchema;

use super::lock::remember_network;
use super::mails;
use super::tokens::{Carrier, Issued, Tokens, begin_session};
use super::view::{SubscriptionView, UserView};
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::{ApiError, AuthGate, Code, Fields, JsonBody, Record, Reply, Trail, log};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = EmailAddress)]
    email: String,
    #[schema(value_type = NewPassword)]
    password: OfferedPassword,
    #[schema(value_type = PersonName)]
    name: String,
    /// Whether the refresh token is to be set as a cookie instead of being answered: for browsers.
    #[serde(default)]
    cookie: bool,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    user: UserView,
    subscription: SubscriptionView,
    tokens: Tokens,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(Method::POST, "/api/auth/register", "register", handler)
        .about(
            Tag::Authentication,
            "Registers a user, with a Basic subscription of its own",
        )
        .details(
            "A mail with a code that verifies the address goes out. A deployment may let nobody register, or the first user alone: a \
             403 then.",
        )
        .status(StatusCode::CREATED)
        .errors(&[Code::EmailTaken, Code::Forbidden])
}

pub async fn handler(
    State(state): State<AuthState>,
    _: AuthGate,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    // Whoever may not register does not learn which addresses are known, and no password is hashed for them.
    let is_first_alone = match state.registration {
        Registration::Open => false,
        Registration::First if !state.accounts.has_user().await? => true,
        Registration::First | Registration::Closed => return Err(closed()),
    };
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
    let accounts = &state.accounts;
    // Another one may have come first since.
    let registered = if is_first_alone {
        accounts.register_first(&user, &hash, &subscription).await?
    } else {
        accounts.register(&user, &hash, &subscription).await?
    };
    match registered {
        Registered::Created => {}
        Registered::NotFirst => return Err(closed()),
        Registered::EmailTaken => {
            return Err(ApiError::new(
                Code::EmailTaken,
                "Another user has this e-mail address",
            ));
        }
    }
    remember_network(&state, &trail, &user.email).await;
    if let Err(error) = mails::send_verification(&state, &user).await {
        // The user is there and can ask for the mail again.
        log::went_wrong(&error, "a verification mail did not go out");
    }
    let record = Record::by(&user, Action::Registered).on(user.id);
    trail.record(&state, record).await;
    let carrier = Carrier::cookie_if(request.cookie);
    let Issued { tokens, cookie } = begin_session(&state, &user, carrier).await?;
    let response = Response {
        user: user.into(),
        subscription: subscription.into(),
        tokens,
    };
    Ok(Reply::created(response).cookie(cookie))
}

/// Somebody whose registration succeeded and whose answer was lost gets it too when they try again: nothing may tell them from others.
fn closed() -> ApiError {
    ApiError::new(
        Code::Forbidden,
        "Nobody may register here: log in if you have an account, also where the answer to your registration was lost; else ask who runs \
         this deployment for one, or the owner of a subscription for an invitation",
    )
}
