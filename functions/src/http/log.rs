//! What the API logs of requests, by category. These are the lines that dashboards and alarms
//! read, so every one is written here, with the same fields: `docs/operations.md` lists them.
//!
//! A category is a target of its own below `waxwing`, and the field `category`: so
//! `WAXWING_LOG=info,waxwing::request=off` does without one line a request. No secrets, bodies,
//! phone numbers or e-mail addresses: what goes in are ids, codes, routes and times.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use axum::response::Response;
use shared::domain::audit::{Action, Actor, Entry};
use shared::ids::{KeyId, MessageId, UserId};
use shared::telemetry;

use super::context::RequestContext;
use super::error::{ApiError, Code};

/// Writes a line about a request, with what is known of it.
macro_rules! line {
    ($level:ident, $category:literal, $context:expr, $($fields:tt)+) => {{
        let context: Option<&RequestContext> = $context;
        let caller = context.and_then(RequestContext::caller);
        tracing::event!(
            target: concat!("waxwing::", $category),
            tracing::Level::$level,
            category = $category,
            request.id = context.map(RequestContext::id),
            subscription.id = context.and_then(RequestContext::subscription).map(tracing::field::display),
            instance.id = context.and_then(RequestContext::instance).map(tracing::field::display),
            user.id = caller.and_then(user).map(tracing::field::display),
            key.id = caller.and_then(key).map(tracing::field::display),
            method = context.map(RequestContext::method),
            route = context.map(RequestContext::route),
            $($fields)+
        );
    }};
}

/// A request is answered. One line for each, and others where the answer is a refusal or a
/// failure.
pub(crate) fn answered(response: &Response, context: &RequestContext, taken: Duration) {
    let error = response.extensions().get::<ApiError>();
    if let Some(error) = error {
        failed(error, context);
        refused(error.code, context);
    }
    line!(
        INFO,
        "request",
        Some(context),
        status = response.status().as_u16(),
        code = error.map(|error| error.code.as_str()),
        duration_ms = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
        "request"
    );
}

/// A failure of ours, or of what we need. A caller's mistake is no news.
fn failed(error: &ApiError, context: &RequestContext) {
    let cause = error.cause.as_deref().map(|cause| without_addresses(cause));
    let code = error.code.as_str();
    if error.code == Code::Internal {
        line!(ERROR, "error", Some(context), code, cause, "request failed");
    } else if error.code.status().is_server_error() || cause.is_some() {
        line!(WARN, "error", Some(context), code, cause, "request failed");
    }
}

/// Which line a code has beside the request's own.
enum Told {
    /// Somebody was kept out.
    Security,
    /// Somebody has used up what the tier allows.
    Business,
    /// Nothing.
    Nothing,
}

fn refused(code: Code, context: &RequestContext) {
    let source = context.source().map(tracing::field::display);
    let name = code.as_str();
    match told_by(code) {
        Told::Security => line!(
            WARN,
            "security",
            Some(context),
            event = "request.refused",
            code = name,
            source,
            "refused"
        ),
        Told::Business => line!(
            INFO,
            "business",
            Some(context),
            event = "limit.reached",
            code = name,
            "a limit is reached"
        ),
        Told::Nothing => {}
    }
}

fn told_by(code: Code) -> Told {
    match code {
        Code::Unauthenticated
        | Code::InvalidCredentials
        | Code::TokenExpired
        | Code::Forbidden
        | Code::InsufficientScope
        | Code::IpNotAllowed
        | Code::SubscriptionInactive
        | Code::RateLimited
        | Code::AccountLocked => Told::Security,
        Code::QuotaExceeded | Code::InstanceLimitReached | Code::QueueFull => Told::Business,
        Code::ValidationError
        | Code::RequestTimeout
        | Code::InvalidJson
        | Code::NotFound
        | Code::MethodNotAllowed
        | Code::Conflict
        | Code::EmailTaken
        | Code::NameTaken
        | Code::InstanceNotConnected
        | Code::IdempotencyConflict
        | Code::EditWindowClosed
        | Code::ContentNotKept
        | Code::MediaGone
        | Code::PayloadTooLarge
        | Code::UnsupportedMediaType
        | Code::RecipientNotOnWhatsapp
        | Code::Internal
        | Code::UpstreamError
        | Code::Unavailable
        | Code::UpstreamTimeout => Told::Nothing,
    }
}

/// An entry goes into the audit log. Some entries have a line of their own here.
pub(super) fn audited(entry: &Entry) {
    let context = RequestContext::current();
    let context = context.as_ref();
    let (action, outcome) = (entry.action.as_str(), entry.outcome.as_str());
    let (on, source) = (
        entry.target.as_deref(),
        entry.source.map(tracing::field::display::<IpAddr>),
    );
    line!(
        INFO,
        "audit",
        context,
        audit.id = %entry.id,
        action,
        outcome,
        on,
        source,
        "audited"
    );
    match told_by_action(entry.action) {
        Told::Security => line!(
            WARN,
            "security",
            context,
            event = action,
            on,
            source,
            "attacked or locked"
        ),
        Told::Business => line!(INFO, "business", context, event = action, on, "done"),
        Told::Nothing => {}
    }
}

/// Refusals have a line by their code already.
fn told_by_action(action: Action) -> Told {
    match action {
        Action::RefreshReplayed | Action::Locked => Told::Security,
        Action::Registered
        | Action::UserDeleted
        | Action::SubscriptionUpdated
        | Action::SubscriptionDeleted
        | Action::InstanceCreated
        | Action::InstanceDeleted
        | Action::InstanceConnect
        | Action::InstanceDisconnect
        | Action::InstanceRestart
        | Action::InstanceLogout
        | Action::PairingCodeRequested
        | Action::PairingLinkCreated
        | Action::PasskeyAnswered => Told::Business,
        Action::Login
        | Action::Logout
        | Action::PasswordChanged
        | Action::PasswordResetRequested
        | Action::PasswordReset
        | Action::EmailVerified
        | Action::UserCreated
        | Action::UserUpdated
        | Action::MemberInvited
        | Action::MemberJoined
        | Action::MemberRemoved
        | Action::InstanceUpdated
        | Action::WebhookCreated
        | Action::WebhookUpdated
        | Action::WebhookDeleted
        | Action::WebhookSecretRotated
        | Action::WebhookTested
        | Action::WebhookReplayed
        | Action::WebhookDisabled
        | Action::KeyCreated
        | Action::KeyUpdated
        | Action::KeyRotated
        | Action::KeyRevoked
        | Action::KeyRefused
        | Action::AccessDenied => Told::Nothing,
    }
}

/// An audit entry could not be stored, so the log has it instead.
pub(super) fn not_audited(entry: &Entry, error: &(dyn Error + 'static)) {
    let context = RequestContext::current();
    line!(
        ERROR,
        "audit",
        context.as_ref(),
        ?entry,
        error = without_addresses(error),
        "an audit entry was not stored"
    );
}

/// A message is accepted, and will be sent.
pub fn message_accepted(id: MessageId) {
    let context = RequestContext::current();
    line!(
        INFO,
        "business",
        context.as_ref(),
        event = "message.accepted",
        message.id = %id,
        "done"
    );
}

/// Something beside the request's own purpose failed, and the request goes on.
pub fn went_wrong(error: &ApiError, what: &'static str) {
    let context = RequestContext::current();
    let cause = error.cause.as_deref().map(|cause| without_addresses(cause));
    line!(
        WARN,
        "error",
        context.as_ref(),
        code = error.code.as_str(),
        cause,
        what,
        "went wrong beside a request"
    );
}

fn user(caller: Actor) -> Option<UserId> {
    match caller {
        Actor::User(id) => Some(id),
        Actor::Key(_) | Actor::Anonymous | Actor::System => None,
    }
}

fn key(caller: Actor) -> Option<KeyId> {
    match caller {
        Actor::Key(id) => Some(id),
        Actor::User(_) | Actor::Anonymous | Actor::System => None,
    }
}

/// An error with its causes, in one line, without e-mail addresses: other servers' words and keys of stored items may
/// hold them.
fn without_addresses(error: &(dyn Error + 'static)) -> String {
    let text = telemetry::chain(error);
    let words = text
        .split(' ')
        .map(|word| if word.contains('@') { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the mail server refused the mail")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_cause_is_told_without_addresses() {
        let said = "550 5.1.1 <ada@example.com>: no such recipient";
        let error = Outer(std::io::Error::other(said));
        assert_eq!(
            without_addresses(&error),
            "the mail server refused the mail: 550 5.1.1 … no such recipient"
        );
    }
}
