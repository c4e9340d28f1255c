//! Lets in whoever may follow. Who is let in was read consistently, so a key that was just made works at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use shared::auth::api_key::KeySecret;
use shared::auth::jwt::Jwts;
use shared::auth::login::Login;
use shared::auth::pairing_link::PairingToken;
use shared::clock::Clock;
use shared::domain::network::Network;
use shared::storage::Table;
use shared::storage::accounts::Accounts;
use shared::storage::api_keys::ApiKeys;
use shared::storage::instances::Instances;
use shared::storage::rates::{Limit, Rate, Rates, Scope};
use shared::storage::sessions::Sessions;
use shared::telemetry::chain;
use tokio::sync::Semaphore;
use tracing::warn;

use super::caller::{Caller, KeyCaller, LinkCaller, UserCaller, no_key, no_link, no_login, no_user, served};
use super::refusal::{Code, Refusal};

/// How long it may take to find out who somebody is.
const DEADLINE: Duration = Duration::from_secs(5);

/// How many are found out at once; the others wait for their turn, within the deadline.
const AT_ONCE: usize = 64;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 4_096;

/// How often a user may connect in a minute, over all sockets. An API key has its own limit, of which each connection takes
/// one.
const USER_LIMIT: Limit = Limit::per_minute(120);

/// Finds out who somebody is.
#[derive(Debug)]
pub struct Door {
    api_keys: ApiKeys,
    accounts: Accounts,
    instances: Instances,
    sessions: Sessions,
    rates: Rates,
    jwts: Jwts,
    clock: Arc<dyn Clock>,
    network: Network,
    turns: Semaphore,
}

impl Door {
    /// The door to the feed of this network. `jwts` check access tokens.
    pub fn new(table: &Table, jwts: Jwts, clock: Arc<dyn Clock>, network: Network) -> Self {
        Self {
            api_keys: ApiKeys::new(table.clone()),
            accounts: Accounts::new(table.clone()),
            instances: Instances::new(table.clone()),
            sessions: Sessions::new(table.clone()),
            rates: Rates::new(table.clone()),
            jwts,
            clock,
            network,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Who has this token, if they may follow. The connection is counted as a request of theirs.
    pub async fn admit(&self, token: &str, from: Option<IpAddr>) -> Result<Caller, Refusal> {
        let admitting = async {
            let _turn = self.turns.acquire().await;
            let caller = Box::pin(self.identify(token, from)).await?;
            let (scope, limit) = match &caller {
                Caller::Key(key) => (Scope::Key(key.grant.key), Limit::per_hour(key.grant.rate_limit)),
                Caller::User(user) => (Scope::User(user.user), USER_LIMIT),
                // It was counted before it was looked for.
                Caller::Link(_) => return Ok(caller),
            };
            let rate = self.count(scope, limit).await?;
            // Whoever counts the first request of an hour notes that the key was used.
            if let Caller::Key(key) = &caller
                && rate.is_first
                && let Err(error) = self.api_keys.used(&key.grant, rate.began_at).await
            {
                warn!(error = %chain(&error), "when a key was used was not noted");
            }
            Ok(caller)
        };
        let admitted = tokio::time::timeout(DEADLINE, admitting).await;
        admitted.unwrap_or_else(|_| Err(Refusal::unavailable()))
    }

    /// The user of another token for a socket that has one: the same user with a later end.
    pub async fn renew(&self, before: &Caller, token: &str) -> Result<Caller, Refusal> {
        let Caller::User(before) = before else {
            return Err(Refusal::new(
                Code::Forbidden,
                "Only a socket with an access token has something to refresh",
            ));
        };
        let identifying = tokio::time::timeout(DEADLINE, Box::pin(self.identify(token, None))).await;
        match identifying.unwrap_or_else(|_| Err(Refusal::unavailable()))? {
            Caller::User(user) if (user.user, user.subscription) == (before.user, before.subscription) => {
                Ok(Caller::User(user))
            }
            Caller::User(_) | Caller::Key(_) | Caller::Link(_) => Err(Refusal::new(
                Code::Forbidden,
                "The token is not one of the user whose socket this is",
            )),
        }
    }

    async fn identify(&self, token: &str, from: Option<IpAddr>) -> Result<Caller, Refusal> {
        if token.is_empty() || token.len() > LONGEST {
            return Err(Refusal::new(
                Code::Unauthenticated,
                "A token is needed: an access token, an API key or a pairing link's, as `auth.token`",
            ));
        }
        if let Some(secret) = KeySecret::from_token(token) {
            return Box::pin(self.key(&secret, from)).await;
        }
        // An access token has dots, which a pairing link's has not.
        match token.parse::<PairingToken>() {
            Ok(token) => Box::pin(self.link(&token, from)).await,
            Err(_) => Box::pin(self.user(token)).await,
        }
    }

    /// The page of a pairing link. Whoever guesses tokens is counted too.
    async fn link(&self, token: &PairingToken, from: Option<IpAddr>) -> Result<Caller, Refusal> {
        if let Some(address) = from {
            self.count(Scope::PairingPages(address), Limit::PAIRING_PAGES)
                .await?;
        }
        let found = self.instances.get_by_pairing_link(token).await?;
        let found = found.filter(|(instance, _)| instance.account.is_none());
        let (instance, link) = found.ok_or_else(no_link)?;
        if instance.network != self.network {
            return Err(other_network("pairing link", instance.network, self.network));
        }
        let (maker, subscription) = tokio::try_join!(
            self.accounts.get_user(instance.subscription, link.user),
            self.accounts.get_subscription(instance.subscription),
        )?;
        let caller = LinkCaller {
            hash: token.hash(),
            instance: instance.id,
            subscription: instance.subscription,
            link,
        };
        caller.admit(maker.as_ref(), subscription.as_ref(), self.clock.now())?;
        Ok(Caller::Link(caller))
    }

    async fn count(&self, scope: Scope, limit: Limit) -> Result<Rate, Refusal> {
        let rate = self.rates.count(scope, limit, self.clock.now()).await?;
        if rate.within {
            return Ok(rate);
        }
        Err(Refusal::new(
            Code::RateLimited,
            "Too many connections: try again later",
        ))
    }

    async fn key(&self, secret: &KeySecret, from: Option<IpAddr>) -> Result<Caller, Refusal> {
        let grant = self.api_keys.grant(secret).await?.ok_or_else(no_key)?;
        if grant.network != self.network {
            return Err(other_network("API key", grant.network, self.network));
        }
        let subscription = self.accounts.get_recent_subscription(grant.subscription).await?;
        let key = KeyCaller {
            hash: secret.hash(),
            grant,
            from,
        };
        key.admit(subscription.as_ref(), self.clock.now())?;
        Ok(Caller::Key(key))
    }

    async fn user(&self, token: &str) -> Result<Caller, Refusal> {
        let now = self.clock.now();
        let claims = self.jwts.verified(token, now).await?;
        let (user, subscription, session) = tokio::try_join!(
            self.accounts.get_user(claims.sid, claims.sub),
            self.accounts.get_subscription(claims.sid),
            self.sessions.get(&claims.family, now),
        )?;
        let (Some(user), Some(subscription)) = (user, subscription) else {
            return Err(no_user());
        };
        let login = Login::of(user, subscription, session).map_err(no_login)?;
        served(&login)?;
        Ok(Caller::User(UserCaller {
            user: login.user.id,
            subscription: login.subscription.id,
            session: login.session.name,
            expires_at: DateTime::from_timestamp(claims.exp, 0).unwrap_or(now),
        }))
    }
}

fn other_network(what: &str, theirs: Network, ours: Network) -> Refusal {
    let message = format!("The {what}'s instance is on the network `{theirs}`, and this feed is of `{ours}`");
    Refusal::new(Code::Unauthenticated, message)
}
