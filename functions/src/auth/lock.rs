//! The locks after too many failed attempts at a password: of an account for one network, of an account, of a source
//! address, and of a session whose user is asked for the present password.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use shared::domain::account::{EmailAddress, User};
use shared::domain::audit::{Action, Actor, Outcome};
use shared::storage::lockouts::{Attempt, Network, Scope};

use crate::auth::AuthState;
use crate::http::{ApiError, Code, Record, Timestamp, Trail, log};

/// An attempt to log in that was counted beforehand.
pub struct CountedLogin<'a> {
    attempt: CountedAttempt<'a>,
    email: &'a EmailAddress,
    network: Network,
}

impl<'a> CountedLogin<'a> {
    /// Counts an attempt on an account, before its password is checked.
    ///
    /// # Errors
    /// `ACCOUNT_LOCKED`, with the end of the lock, after too many attempts: on this account from this network, from
    /// this address, or on this account from all networks, if this network is new to it.
    pub async fn begin(
        state: &'a AuthState,
        trail: &'a Trail,
        email: &'a EmailAddress,
    ) -> Result<Self, ApiError> {
        let now = state.clock.now();
        let network = Network::of(trail.source());
        let account = Scope::Account(email);
        let (of_address, of_account) = tokio::try_join!(
            async {
                match trail.source() {
                    Some(address) => state.lockouts.locked_until(&Scope::Address(address), now).await,
                    None => Ok(None),
                }
            },
            state.lockouts.locked_until(&account, now),
        )?;
        if let Some(until) = of_address {
            return Err(locked_until(until, now));
        }
        if let Some(until) = of_account
            && !state.lockouts.is_familiar(email, network, now).await?
        {
            return Err(locked_until(until, now));
        }
        let attempt = CountedAttempt::begin(state, trail, Scope::Pair(email, network)).await?;
        Ok(Self {
            attempt,
            email,
            network,
        })
    }

    /// The password was right: the count begins anew, and the network is remembered.
    pub async fn succeeded(self) -> Result<(), ApiError> {
        let state = self.attempt.state;
        let now = state.clock.now();
        Ok(state.lockouts.succeeded(self.email, self.network, now).await?)
    }

    /// The password was wrong, or `user` is nobody: address and account have one failure more.
    pub async fn failed(self, user: Option<&User>) -> Result<(), ApiError> {
        let CountedAttempt { state, trail, .. } = self.attempt;
        self.attempt.failed(user).await?;
        let account = Scope::Account(self.email);
        let address = trail.source().map(Scope::Address);
        for scope in [Some(account), address].into_iter().flatten() {
            let counted = state.lockouts.attempt(&scope, state.clock.now()).await?;
            if let Attempt::Last { until } = counted {
                record(state, trail, scope.kind(), until, user).await;
            }
        }
        Ok(())
    }
}

/// An attempt at a password that was counted beforehand.
pub struct CountedAttempt<'a> {
    state: &'a AuthState,
    trail: &'a Trail,
    scope: Scope<'a>,
    /// Until when the lock holds, if this attempt begins one.
    until: Option<DateTime<Utc>>,
}

impl<'a> CountedAttempt<'a> {
    /// Counts an attempt, before the password is checked.
    ///
    /// # Errors
    /// `ACCOUNT_LOCKED`, with the end of the lock, after too many attempts.
    pub async fn begin(state: &'a AuthState, trail: &'a Trail, scope: Scope<'a>) -> Result<Self, ApiError> {
        let now = state.clock.now();
        let until = match state.lockouts.attempt(&scope, now).await? {
            Attempt::Allowed => None,
            Attempt::Last { until } => Some(until),
            Attempt::Locked { until } => return Err(locked_until(until, now)),
        };
        Ok(Self {
            state,
            trail,
            scope,
            until,
        })
    }

    /// The password was right: the count begins anew.
    pub async fn succeeded(self) -> Result<(), ApiError> {
        Ok(self.state.lockouts.clear(&self.scope).await?)
    }

    /// The password was wrong.
    pub async fn failed(self, user: Option<&User>) -> Result<(), ApiError> {
        if let Some(until) = self.until {
            record(self.state, self.trail, self.scope.kind(), until, user).await;
        }
        Ok(())
    }
}

/// Remembers that the account is used from the network of this request. If that cannot be stored the request goes on,
/// since its work is done.
pub async fn remember_network(state: &AuthState, trail: &Trail, email: &EmailAddress) {
    let network = Network::of(trail.source());
    if let Err(error) = state.lockouts.remember(email, network, state.clock.now()).await {
        log::went_wrong(&error.into(), "a network was not remembered");
    }
}

/// Records that a lock has begun, and whose account was tried, where there is one.
async fn record(
    state: &AuthState,
    trail: &Trail,
    what: &'static str,
    until: DateTime<Utc>,
    user: Option<&User>,
) {
    let record = match user {
        Some(user) => Record::by(user, Action::Locked).on(user.id),
        None => Record::anonymous(Action::Locked),
    };
    let record = record
        .actor(Actor::Anonymous)
        .outcome(Outcome::Denied)
        .detail("what", what)
        .detail("until", until.to_rfc3339_opts(SecondsFormat::Secs, true));
    trail.record(state, record).await;
}

fn locked_until(until: DateTime<Utc>, now: DateTime<Utc>) -> ApiError {
    // Rounded up, so that nobody comes back too early.
    let wait = ((until - now).num_milliseconds() + 999) / 1_000;
    ApiError::new(
        Code::AccountLocked,
        "Too many failed logins: try again when the lock has ended",
    )
    .with_details(json!({"until": Timestamp::from(until)}))
    .retry_after(u32::try_from(wait.max(1)).unwrap_or(u32::MAX))
}
