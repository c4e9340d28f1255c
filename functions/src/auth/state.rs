//! What this function's handlers work with.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use shared::auth::jwt::Jwts;
use shared::config;
use shared::domain::account::EmailAddress;
use shared::storage::api_keys::ApiKeys;
use shared::storage::counters::Counters;
use shared::storage::instances::Instances;
use shared::storage::lockouts::Lockouts;
use shared::storage::rates::Limit;
use shared::storage::webhooks::Webhooks;

use crate::http::AuthLimit;
use crate::state::{Base, Users};

/// The state of the function `auth`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AuthState(Arc<OfAuth>);

/// What [`AuthState`] holds.
#[derive(Debug)]
pub struct OfAuth {
    users: Users,
    /// Locks after failed logins.
    pub lockouts: Lockouts,
    /// API keys: a new password may end them.
    pub api_keys: ApiKeys,
    /// Webhooks: a new password may end them too.
    pub webhooks: Webhooks,
    /// Whose keys and webhooks these are.
    pub instances: Instances,
    /// Quotas, which go with a subscription.
    pub counters: Counters,
    /// Signs access tokens.
    pub signer: Jwts,
    /// Whoever has this address, once it is verified, is an administrator.
    pub admin_email: Option<EmailAddress>,
    /// Who may register.
    pub registration: config::Registration,
    /// When a request for a new password is answered, whether a mail goes out or not.
    pub forgot_password_answer: Duration,
    /// What an address may ask of the routes that need no token.
    pub auth_limit: Limit,
}

impl AuthState {
    /// The state over what serves users.
    pub fn new(users: Users, config: &config::Auth) -> Self {
        let table = &users.table;
        Self(Arc::new(OfAuth {
            lockouts: Lockouts::new(table.clone()),
            api_keys: ApiKeys::new(table.clone()),
            webhooks: Webhooks::new(table.clone()),
            instances: Instances::new(table.clone()),
            counters: Counters::new(table.clone()),
            signer: users.jwts.living_for(config.jwt_lifetime),
            admin_email: config.admin_email.clone(),
            registration: config.registration,
            forgot_password_answer: config.forgot_password_answer,
            auth_limit: Limit::per_minute(config.auth_rate),
            users,
        }))
    }
}

impl Deref for AuthState {
    type Target = OfAuth;

    fn deref(&self) -> &OfAuth {
        &self.0
    }
}

impl Deref for OfAuth {
    type Target = Users;

    fn deref(&self) -> &Users {
        &self.users
    }
}

impl FromRef<AuthState> for Base {
    fn from_ref(state: &AuthState) -> Self {
        Self::clone(state)
    }
}

impl FromRef<AuthState> for Users {
    fn from_ref(state: &AuthState) -> Self {
        Self::clone(state)
    }
}

impl FromRef<AuthState> for AuthLimit {
    fn from_ref(state: &AuthState) -> Self {
        Self(state.auth_limit)
    }
}
