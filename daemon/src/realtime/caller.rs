//! Who follows, and what of the feed is theirs.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use shared::auth::api_key::{Grant, Unusable};
use shared::auth::login::{Login, NoLogin};
use shared::auth::pairing_link::PairingTokenHash;
use shared::domain::account::{Subscription, User};
use shared::domain::feed::FeedEvent;
use shared::ids::{InstanceId, SubscriptionId, UserId};
use shared::storage::instances::PairingLink;
use shared::storage::standings::{Credential, Standing};

use super::refusal::{Code, Refusal};
use crate::announce::shown::Shown;

/// Who follows, as they were let in or found to be since.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A program with an API key: it hears of the key's instance, as far as the key's scopes go.
    Key(KeyCaller),
    /// A pairing page: it hears that the pairing of its link's instance goes on, and of nothing else.
    Link(LinkCaller),
    /// A user who is logged in, who hears of the whole subscription.
    User(UserCaller),
}

/// A program with an API key.
#[derive(Debug, Clone)]
pub struct KeyCaller {
    /// The hash of the key's secret.
    pub hash: String,
    /// What the key grants.
    pub grant: Grant,
    /// Where it calls from.
    pub from: Option<IpAddr>,
}

/// A pairing page.
#[derive(Debug, Clone)]
pub struct LinkCaller {
    /// What the store knows the link's token by.
    pub hash: PairingTokenHash,
    /// The instance that the link is for.
    pub instance: InstanceId,
    /// The instance's subscription.
    pub subscription: SubscriptionId,
    /// The link.
    pub link: PairingLink,
}

/// A user who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCaller {
    /// The user.
    pub user: UserId,
    /// The user's subscription.
    pub subscription: SubscriptionId,
    /// The session that the access token names.
    pub session: String,
    /// When the token expires.
    pub expires_at: DateTime<Utc>,
}

impl Caller {
    /// Whose events it hears.
    pub fn subscription(&self) -> SubscriptionId {
        match self {
            Self::Key(key) => key.grant.subscription,
            Self::Link(link) => link.subscription,
            Self::User(user) => user.subscription,
        }
    }

    /// The one instance of which it hears; `None` for all of the subscription.
    pub fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Key(key) => Some(key.grant.instance),
            Self::Link(link) => Some(link.instance),
            Self::User(_) => None,
        }
    }

    /// Whether this is for it.
    pub fn hears(&self, shown: &Shown) -> bool {
        match self {
            Self::Key(KeyCaller { grant, .. }) => {
                shown.instance == Some(grant.instance) && may_hear(grant, shown.event)
            }
            Self::Link(link) => shown.instance == Some(link.instance) && self.may_hear(shown.event),
            Self::User(user) => shown.subscription == user.subscription && self.may_hear(shown.event),
        }
    }

    /// Whether it hears of events of this name at all.
    pub fn may_hear(&self, event: FeedEvent) -> bool {
        match self {
            Self::Key(key) => may_hear(&key.grant, event),
            Self::Link(_) => event == FeedEvent::PairingUpdate,
            Self::User(_) => event != FeedEvent::PairingUpdate,
        }
    }

    /// Why it may not follow any longer by the time of day alone.
    pub fn is_over(&self, now: DateTime<Utc>) -> Option<Refusal> {
        match self {
            Self::Key(key) => key.grant.check(now, key.from).err().map(unusable),
            Self::Link(link) => (link.link.expires_at <= now).then(link_over),
            Self::User(user) if user.expires_at <= now => Some(Refusal::new(
                Code::TokenExpired,
                "The access token has expired, and no `auth:refresh` came before",
            )),
            Self::User(_) => None,
        }
    }

    /// What it was let in with.
    pub fn credential(&self) -> Credential {
        match self {
            Self::Key(key) => Credential::Key {
                hash: key.hash.clone(),
                subscription: key.grant.subscription,
            },
            Self::Link(link) => Credential::Link {
                hash: link.hash.as_bytes().to_vec(),
                instance: link.instance,
                maker: link.link.user,
                subscription: link.subscription,
            },
            Self::User(user) => Credential::Login {
                session: user.session.clone(),
                user: user.user,
                subscription: user.subscription,
            },
        }
    }

    /// The same caller by what the table says of it now, or why it may not follow any longer.
    pub fn judged(&self, standing: &Standing, now: DateTime<Utc>) -> Result<Self, Refusal> {
        match (self, standing) {
            (Self::Key(key), Standing::Key { grant, subscription }) => {
                let grant = grant.clone().ok_or_else(no_key)?;
                let key = KeyCaller { grant, ..key.clone() };
                key.admit(subscription.as_ref(), now)?;
                Ok(Self::Key(key))
            }
            (
                Self::Link(caller),
                Standing::Link {
                    link,
                    maker,
                    subscription,
                },
            ) => {
                let link = link.clone().ok_or_else(no_link)?;
                let caller = LinkCaller {
                    link,
                    ..caller.clone()
                };
                caller.admit(maker.as_ref(), subscription.as_ref(), now)?;
                Ok(Self::Link(caller))
            }
            (
                Self::User(caller),
                Standing::Login {
                    session,
                    user,
                    subscription,
                },
            ) => {
                let (Some(user), Some(subscription)) = (user, subscription) else {
                    return Err(no_user());
                };
                let session = session.clone().filter(|session| session.expires_at > now);
                let login = Login::of(user.clone(), subscription.clone(), session).map_err(no_login)?;
                served(&login)?;
                Ok(Self::User(caller.clone()))
            }
            // A standing is read by what its caller was let in with.
            (Self::Key(_) | Self::Link(_) | Self::User(_), _) => Err(Refusal::unavailable()),
        }
    }
}

impl KeyCaller {
    /// Lets the key in, if it may be used now and from there, has a scope that events need, and its subscription is on.
    pub fn admit(&self, subscription: Option<&Subscription>, now: DateTime<Utc>) -> Result<(), Refusal> {
        self.grant.check(now, self.from).map_err(unusable)?;
        let subscription = subscription.ok_or_else(|| {
            Refusal::new(
                Code::Unauthenticated,
                "The API key's subscription does not exist any more",
            )
        })?;
        if !subscription.active {
            return Err(inactive());
        }
        if !FeedEvent::ALL.iter().any(|event| may_hear(&self.grant, *event)) {
            return Err(Refusal::new(
                Code::InsufficientScope,
                "The API key has none of the scopes that events need, such as `messages:read`",
            ));
        }
        Ok(())
    }
}

impl LinkCaller {
    /// Lets the page in, if the link is good still.
    pub fn admit(
        &self,
        maker: Option<&User>,
        subscription: Option<&Subscription>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let is_backed = maker
            .zip(subscription)
            .is_some_and(|(maker, subscription)| self.link.is_backed_by(maker, subscription));
        if is_backed && self.link.expires_at > now {
            Ok(())
        } else {
            Err(link_over())
        }
    }
}

fn may_hear(grant: &Grant, event: FeedEvent) -> bool {
    event.scope().is_some_and(|scope| grant.scopes.contains(&scope))
}

/// There is no such key.
pub fn no_key() -> Refusal {
    Refusal::new(Code::Unauthenticated, "There is no such API key")
}

/// There is no such pairing link.
pub fn no_link() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "There is no such pairing link, or its instance is paired",
    )
}

fn link_over() -> Refusal {
    Refusal::new(Code::Unauthenticated, "The pairing link has ended")
}

/// The user is gone.
pub fn no_user() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "The access token's user does not exist any more",
    )
}

/// A login that does not hold.
pub fn no_login(refused: NoLogin) -> Refusal {
    match refused {
        NoLogin::SessionOver => Refusal::new(
            Code::Unauthenticated,
            "The access token's session is over: log in again",
        ),
        NoLogin::UserInactive => Refusal::new(Code::Forbidden, "The user is not active"),
    }
}

/// Refuses a user whose subscription is switched off.
pub fn served(login: &Login) -> Result<(), Refusal> {
    if login.is_served() {
        Ok(())
    } else {
        Err(inactive())
    }
}

fn inactive() -> Refusal {
    Refusal::new(Code::SubscriptionInactive, "The subscription is not active")
}

fn unusable(unusable: Unusable) -> Refusal {
    match unusable {
        Unusable::Revoked => Refusal::new(Code::Unauthenticated, "The API key has been revoked"),
        Unusable::Expired => Refusal::new(Code::Unauthenticated, "The API key has expired"),
        Unusable::Address => Refusal::new(
            Code::IpNotAllowed,
            "The API key may not be used from this address",
        ),
    }
}
