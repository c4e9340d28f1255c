//! `POST /api/auth/reset-password`: a new password for the code of a mail, which is used up. All sessions end. An
//! invitation is accepted here too.
//!
//! If the address was not verified before, a stranger may have registered it. Then the account's webhooks are deleted and its
//! API keys revoked as well, and everything else ends that would outlive the old password.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::auth::mail_code::MailCode;
use shared::auth::password::{NewPassword, OfferedPassword};
use shared::domain::account::User;
use shared::domain::audit::{Action, Actor};
use shared::domain::instance::Instance;
use shared::domain::webhook::Webhook;
use shared::ids::UserId;
use shared::mail::Letter;
use shared::storage::accounts::Changed;
use shared::storage::lockouts::Network;
use shared::storage::mail_codes::Purpose;
use shared::storage::webhooks;
use utoipa::ToSchema;

use super::view::UserView;
use super::{administrator, invitation, mails};
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::{ApiError, AuthGate, Code, Fields, JsonBody, Record, Reply, Trail, log};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = MailCode)]
    token: String,
    #[schema(value_type = NewPassword)]
    password: OfferedPassword,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    user: UserView,
    /// What was made before the address was verified, and ended with this: `null` where the address was verified already, or
    /// the account is new.
    revoked: Option<Revoked>,
}

/// What ended because nobody had shown yet that the address is its own.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RevokedAtVerification)]
pub struct Revoked {
    /// Every session ended.
    #[schema(example = true)]
    sessions: bool,
    /// API keys that were revoked.
    #[schema(example = 1)]
    api_keys: u32,
    /// Webhooks that were deleted.
    #[schema(example = 0)]
    webhooks: u32,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(Method::POST, "/api/auth/reset-password", "resetPassword", handler)
        .about(Tag::Authentication, "Sets a new password with the code of a mail")
        .details(
            "All sessions end. Where this verifies the address for the first time, the API keys and webhooks that the account made \
             before end too, and `revoked` says so. With the code of an invitation it is accepted: that makes the user, or \
             moves the one who has the address. An account that would leave instances behind does not move: a 409.",
        )
        .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<AuthState>,
    _: AuthGate,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    // The password is checked first, so that one that is too short does not use up the code.
    let mut fields = Fields::default();
    let password = fields.check("password", request.password.to_new());
    let Some(password) = password else {
        return Err(fields.error());
    };
    let code = MailCode::parse(&request.token).ok_or_else(refused)?;
    let purposes = [Purpose::ResetPassword, Purpose::AcceptInvitation];
    let now = state.clock.now();
    let issued = state.mail_codes.get(&code, &purposes, now).await?;
    let issued = issued.ok_or_else(refused)?;
    if issued.purpose == Purpose::AcceptInvitation
        && let Some(invitation) = state
            .accounts
            .get_invitation(issued.subscription, issued.user, now)
            .await?
    {
        let user = invitation::accept(&state, &trail, &invitation, password).await?;
        let user = user.ok_or_else(refused)?;
        return Ok(Reply::ok(Response {
            user: user.into(),
            revoked: None,
        }));
    }
    let found = state
        .accounts
        .get_user_with_password(issued.subscription, issued.user)
        .await?;
    let (user, present) = found.filter(|(user, _)| user.active).ok_or_else(refused)?;
    // An invitation's code is no good for a user who has accepted already.
    if issued.purpose == Purpose::AcceptInvitation && !user.never_came(present.as_ref()) {
        return Err(refused());
    }
    let hash = state.passwords.hash(password).await?;
    // The code is good for one version of the credentials. What follows raises it, and so uses the code up.
    let (user, revoked) = if user.email_verified_at.is_some() {
        let is_current = user.credentials == issued.credentials;
        (is_current.then_some(user).ok_or_else(refused)?, None)
    } else {
        let begun = state
            .accounts
            .begin_reset(&user, issued.credentials, &code)
            .await?;
        let user = begun.ok_or_else(refused)?;
        let revoked = revoke(&state, &user).await?;
        (user, Some(revoked))
    };
    // The code came to the address, so the address is verified too.
    match state.accounts.set_password(&user, &hash, Some(now)).await? {
        Changed::Done => {}
        Changed::Stale => return Err(refused()),
    }
    // A user who has shown the code is not kept out by somebody else's guesses. If this fails, the password is set
    // and the code used up all the same.
    let network = Network::of(trail.source());
    if let Err(error) = state.lockouts.succeeded(&user.email, network, now).await {
        log::went_wrong(
            &error.into(),
            "guesses at an account whose password was reset stay counted",
        );
    }
    let user = User {
        credentials: user.credentials + 1,
        email_verified_at: user.email_verified_at.or(Some(now)),
        ..user
    };
    let mut record = Record::by(&user, Action::PasswordReset).on(user.id);
    if let Some(revoked) = &revoked {
        record = record
            .detail("revokedKeys", revoked.api_keys)
            .detail("deletedWebhooks", revoked.webhooks);
    }
    trail.record(&state, record).await;
    let user = administrator::promote(&state, &trail, user).await;
    if issued.purpose == Purpose::ResetPassword {
        mails::send_beside(&state, &user, Letter::PasswordChanged).await;
    }
    Ok(Reply::ok(Response {
        user: user.into(),
        revoked,
    }))
}

/// Revokes the API keys whose secrets the stranger may know who registered the address, and deletes the webhooks by which
/// that person may get events. Of an owner these are all of the subscription, since whoever registered it was alone there;
/// of another member, keys that were shown to that member, and webhooks that were set by that member or with such a key.
async fn revoke(state: &AuthState, user: &User) -> Result<Revoked, ApiError> {
    let subscription = state.accounts.get_subscription(user.subscription).await?;
    let is_owner = subscription.is_some_and(|subscription| subscription.owner == user.id);
    let known_to = (!is_owner).then_some(user.id);
    let (mut api_keys, mut webhooks) = (0, 0);
    for instance in state.instances.list_all(user.subscription).await? {
        // While the keys are still there: they tell who has set a webhook.
        webhooks += u32::from(delete_webhook(state, &instance, known_to).await?);
        let now = state.clock.now();
        let of_instance = state.api_keys.revoke_shown_to(instance.id, known_to, now);
        api_keys += of_instance.await?;
        // One that was set with a key in the meantime.
        webhooks += u32::from(delete_webhook(state, &instance, known_to).await?);
    }
    Ok(Revoked {
        sessions: true,
        api_keys,
        webhooks,
    })
}

/// Deletes an instance's webhook, or only one that `known_to` may get events by; answers whether there was one.
async fn delete_webhook(
    state: &AuthState,
    instance: &Instance,
    known_to: Option<UserId>,
) -> Result<bool, ApiError> {
    loop {
        let found = state.webhooks.get(instance.subscription, instance.id).await?;
        let Some(webhook) = found else {
            return Ok(false);
        };
        if let Some(user) = known_to
            && !is_known_to(state, &webhook, user).await?
        {
            return Ok(false);
        }
        match state.webhooks.delete(&webhook).await? {
            webhooks::Changed::Done => return Ok(true),
            webhooks::Changed::InstanceGone => return Ok(false),
            // Changed meanwhile.
            webhooks::Changed::Stale | webhooks::Changed::SessionOver => {}
        }
    }
}

/// Whether a user has set a webhook, or may have: with a key that the user was shown, or that is gone.
async fn is_known_to(state: &AuthState, webhook: &Webhook, user: UserId) -> Result<bool, ApiError> {
    Ok(match webhook.set_by {
        Actor::User(by) => by == user,
        Actor::Key(key) => {
            let key = state.api_keys.get(webhook.instance, key).await?;
            key.is_none_or(|key| key.was_shown_to(user))
        }
        Actor::Anonymous | Actor::System => true,
    })
}

fn refused() -> ApiError {
    ApiError::field(
        "token",
        "is not valid, was used before, or is too old: ask for a new one",
    )
}
