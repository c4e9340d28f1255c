//! What the audit log tells: who did what, to what, from where, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};

use super::{UnknownText, text_enum};
use crate::ids::{AuditId, KeyId, SubscriptionId, UserId};

/// How long an entry is kept.
pub const TERM: TimeDelta = TimeDelta::days(90);

text_enum! {
    /// What was done. The texts are stable: filters use them.
    Action {
        /// A user registered.
        Registered = "auth.registered",
        /// Somebody logged in, or failed to.
        Login = "auth.login",
        /// A session ended by its user's wish.
        Logout = "auth.logout",
        /// A refresh token was used twice: its session was ended.
        RefreshReplayed = "auth.refresh_replayed",
        /// An account or an address was locked after failed logins.
        Locked = "auth.locked",
        /// A user changed its password.
        PasswordChanged = "auth.password_changed",
        /// A reset of a password was asked for.
        PasswordResetRequested = "auth.password_reset_requested",
        /// A password was reset by e-mail.
        PasswordReset = "auth.password_reset",
        /// An e-mail address was verified.
        EmailVerified = "auth.email_verified",
        /// A user was created by an administrator.
        UserCreated = "user.created",
        /// A user was changed: name, role, active flag, subscription.
        UserUpdated = "user.updated",
        /// A user was deleted.
        UserDeleted = "user.deleted",
        /// Somebody was invited into a subscription.
        MemberInvited = "member.invited",
        /// Somebody accepted an invitation into a subscription.
        MemberJoined = "member.joined",
        /// A member was removed.
        MemberRemoved = "member.removed",
        /// A subscription's tier or active flag was changed.
        SubscriptionUpdated = "subscription.updated",
        /// A subscription was deleted.
        SubscriptionDeleted = "subscription.deleted",
        /// An instance was created.
        InstanceCreated = "instance.created",
        /// An instance was changed.
        InstanceUpdated = "instance.updated",
        /// An instance was deleted.
        InstanceDeleted = "instance.deleted",
        /// An instance was asked to connect.
        InstanceConnect = "instance.connect",
        /// An instance was asked to disconnect.
        InstanceDisconnect = "instance.disconnect",
        /// An instance was asked to restart.
        InstanceRestart = "instance.restart",
        /// An instance was asked to log out of WhatsApp.
        InstanceLogout = "instance.logout",
        /// A pairing code was asked for.
        PairingCodeRequested = "instance.pairing_code",
        /// A link to the pairing page was made.
        PairingLinkCreated = "instance.pairing_link",
        /// The answer to a request for a passkey was given, or its code confirmed.
        PasskeyAnswered = "instance.passkey",
        /// A webhook was made.
        WebhookCreated = "webhook.created",
        /// A webhook was changed.
        WebhookUpdated = "webhook.updated",
        /// A webhook was deleted.
        WebhookDeleted = "webhook.deleted",
        /// A webhook's secret was replaced.
        WebhookSecretRotated = "webhook.secret_rotated",
        /// A test event was sent to a webhook.
        WebhookTested = "webhook.tested",
        /// Events were sent to a webhook once more.
        WebhookReplayed = "webhook.replayed",
        /// A webhook was switched off by the service, since its endpoint wants no more or has failed too long.
        WebhookDisabled = "webhook.disabled",
        /// An API key was created.
        KeyCreated = "key.created",
        /// An API key was changed.
        KeyUpdated = "key.updated",
        /// An API key's secret was replaced.
        KeyRotated = "key.rotated",
        /// An API key was revoked.
        KeyRevoked = "key.revoked",
        /// A known API key was refused: revoked, expired, used from elsewhere, or without the scope. Of an hour's
        /// refusals for a reason the first.
        KeyRefused = "key.refused",
        /// A caller asked for what its role does not allow.
        AccessDenied = "access.denied",
    }
}

text_enum! {
    /// What came of it.
    Outcome {
        /// It was done.
        Success = "success",
        /// It was tried, and the attempt was wrong: a password, a token.
        Failure = "failure",
        /// It is not allowed to this caller.
        Denied = "denied",
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A user who is logged in, or is about to be.
    User(UserId),
    /// A program with an API key.
    Key(KeyId),
    /// Somebody unknown.
    Anonymous,
    /// The service itself.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "{id}"),
            Self::Key(id) => write!(f, "{id}"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::System => f.write_str("system"),
        }
    }
}

impl FromStr for Actor {
    type Err = UnknownText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "anonymous" => Ok(Self::Anonymous),
            "system" => Ok(Self::System),
            id => match (id.parse(), id.parse()) {
                (Ok(user), _) => Ok(Self::User(user)),
                (_, Ok(key)) => Ok(Self::Key(key)),
                _ => Err(UnknownText {
                    wanted: &["anonymous", "system", "the id of a user", "the id of a key"],
                }),
            },
        }
    }
}

/// One entry. Entries are written once and never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id, which tells when.
    pub id: AuditId,
    /// When, to the millisecond.
    pub at: DateTime<Utc>,
    /// The subscription that it is about; `None` where none is known.
    pub subscription: Option<SubscriptionId>,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// On what: the id of a user, an instance, a key.
    pub target: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// From where; `None` for what the service does by itself.
    pub source: Option<IpAddr>,
    /// The request that did it.
    pub request: Option<String>,
    /// More, such as the fields that changed. Never secrets or content.
    pub details: BTreeMap<String, String>,
}

/// An entry as a list shows it, in the texts that it was stored with: a newer version may know actions, outcomes and actors
/// that this one does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id, which tells when.
    pub id: AuditId,
    /// When, to the millisecond.
    pub at: DateTime<Utc>,
    /// The subscription that it is about; `None` where none is known.
    pub subscription: Option<SubscriptionId>,
    /// Who: the id of a user or a key, or a word.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub target: Option<String>,
    /// What came of it.
    pub outcome: String,
    /// From where.
    pub source: Option<IpAddr>,
    /// The request that did it.
    pub request: Option<String>,
    /// More.
    pub details: BTreeMap<String, String>,
}

impl Listed {
    /// The entry, where this version knows all of its texts.
    pub fn entry(&self) -> Option<Entry> {
        Some(Entry {
            id: self.id,
            at: self.at,
            subscription: self.subscription,
            actor: self.actor.parse().ok()?,
            action: self.action.parse().ok()?,
            target: self.target.clone(),
            outcome: self.outcome.parse().ok()?,
            source: self.source,
            request: self.request.clone(),
            details: self.details.clone(),
        })
    }
}
