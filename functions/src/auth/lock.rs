//! The lock after too many failed logins, of an account and of a source address.

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::domain::account::EmailAddress;
use shared::domain::audit::{Action, Outcome};
use shared::storage::lockouts::{Attempt, Scope};

use crate::http::{ApiError, Code, Record, Timestamp, Trail};
use crate::state::AppState;

/// An attempt at a password that was counted beforehand.
pub struct CountedAttempt<'a> {
    state: &'a AppState,
    trail: &'a Trail,
    email: &'a EmailAddress,
}

impl<'a> CountedAttempt<'a> {
    /// Counts an attempt on an account, before its password is looked at.
    ///
    /// # Errors
    /// `ACCOUNT_LOCKED`, with the time until when, for an account or an address that had too many.
    pub async fn begin(
        state: &'a AppState,
        trail: &'a Trail,
        email: &'a EmailAddress,
    ) -> Result<Self, ApiError> {
        let now = state.clock.now();
        if let Some(address) = trail.source() {
            let scope = Scope::Address(address);
            if let Some(until) = state.lockouts.locked_until(&scope, now).await? {
                return Err(locked_until(until, now));
            }
        }
        let attempt = Self { state, trail, email };
        attempt.count(&Scope::Account(email)).await?;
        Ok(attempt)
    }

    /// The password was right: the account's count begins anew.
    pub async fn succeeded(self) -> Result<(), ApiError> {
        Ok(self.state.lockouts.clear(&Scope::Account(self.email)).await?)
    }

    /// The password was wrong: the address has one failure more.
    pub async fn failed(self) -> Result<(), ApiError> {
        match self.trail.source() {
            Some(address) => self.count(&Scope::Address(address)).await,
            None => Ok(()),
        }
    }

    async fn count(&self, scope: &Scope<'_>) -> Result<(), ApiError> {
        let now = self.state.clock.now();
        match self.state.lockouts.attempt(scope, now).await? {
            Attempt::Allowed => Ok(()),
            Attempt::Last { until } => {
                let what = match scope {
                    Scope::Account(_) => "account",
                    Scope::Address(_) => "address",
                };
                let record = Record::anonymous(Action::Locked)
                    .outcome(Outcome::Denied)
                    .detail("what", what)
                    .detail("until", until.to_rfc3339());
                self.trail.record(self.state, record).await;
                Ok(())
            }
            Attempt::Locked { until } => Err(locked_until(until, now)),
        }
    }
}

fn locked_until(until: DateTime<Utc>, now: DateTime<Utc>) -> ApiError {
    let wait = (until - now).num_seconds().max(1);
    ApiError::new(
        Code::AccountLocked,
        "Too many failed logins: try again when the lock has ended",
    )
    .with_details(json!({"until": Timestamp::from(until)}))
    .retry_after(u32::try_from(wait).unwrap_or(u32::MAX))
}
