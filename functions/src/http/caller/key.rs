//! A program with an API key: integration routes.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use serde_json::json;
use shared::auth::api_key::{Grant, Unusable};
use shared::domain::audit::{Action, Actor, Outcome};
use shared::storage::api_keys::{Admission, ApiKeys};
use shared::storage::rates::{Limit, Scope};

use super::bearer::{Bearer, bearer};
use super::holder::{KeyHolder, Moment};
use super::permission::Permission;
use super::require_active;
use crate::http::audit::{Record, Trail};
use crate::http::context::RequestContext;
use crate::http::error::{ApiError, Code};
use crate::http::source_address::source_address;
use crate::http::{log, rate_limit};
use crate::state::Base;

/// A valid API key with the scope `P`, of an active subscription.
#[derive(Debug, Clone)]
pub struct KeyCaller<P> {
    holder: KeyHolder,
    permission: PhantomData<P>,
}

impl<P> Deref for KeyCaller<P> {
    type Target = KeyHolder;

    fn deref(&self) -> &KeyHolder {
        &self.holder
    }
}

impl<S: Send + Sync, P: Permission> FromRequestParts<S> for KeyCaller<P>
where
    Base: FromRef<S>,
    ApiKeys: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (api_keys, state) = (ApiKeys::from_ref(state), Base::from_ref(state));
        let secret = match bearer(&parts.headers)? {
            Bearer::Key(secret) => secret,
            Bearer::Jwt(_) => {
                return Err(unauthenticated(
                    "This route wants an API key, which starts with `wak_`, not an access token",
                ));
            }
        };
        let read_at = state.clock.now();
        let Admission {
            grant,
            subscription,
            instance,
        } = Box::pin(api_keys.admission(&secret, P::WITH_INSTANCE))
            .await?
            .ok_or_else(|| unauthenticated("There is no such API key"))?;
        RequestContext::note_caller(grant.subscription, Actor::Key(grant.key));
        RequestContext::note_instance(grant.instance);
        RequestContext::note_instance_name(&parts.extensions, &grant.instance_name);
        let from = source_address(parts, state.trusted_proxies);
        if let Err(unusable) = grant.check(state.clock.now(), from) {
            let (reason, refusal) = match unusable {
                Unusable::Revoked => ("revoked", unauthenticated("The API key has been revoked")),
                Unusable::Expired => ("expired", unauthenticated("The API key has expired")),
                Unusable::Address => {
                    let message = "The API key may not be used from this address";
                    ("address", ApiError::new(Code::IpNotAllowed, message))
                }
            };
            record_refusal(parts, &state, &grant, reason).await;
            return Err(refusal);
        }
        let now = state.clock.now();
        let limit = Limit::per_hour(grant.rate_limit);
        let counting = state.rates.count(Scope::Key(grant.key), limit, now);
        let reading = async {
            match subscription {
                Some(subscription) => Ok(Some(subscription)),
                None => state.accounts.get_recent_subscription(grant.subscription).await,
            }
        };
        let (rate, subscription) = tokio::try_join!(counting, reading)?;
        rate_limit::admit(&parts.extensions, rate, now)?;
        if rate.is_first
            && let Err(error) = api_keys.used(&grant, rate.began_at).await
        {
            log::went_wrong(&error.into(), "when a key was used was not noted");
        }
        let subscription = subscription
            .ok_or_else(|| unauthenticated("The API key's subscription does not exist any more"))?;
        let subscription = require_active(subscription)?;
        if !grant.scopes.contains(&P::SCOPE) {
            record_refusal(parts, &state, &grant, "scope").await;
            let message = format!("The API key lacks the scope `{}`", P::SCOPE);
            return Err(ApiError::new(Code::InsufficientScope, message)
                .with_details(json!({"requiredScope": P::SCOPE})));
        }
        let instance = instance.map(|instance| {
            Arc::new(Moment {
                read: *instance,
                at: read_at,
            })
        });
        Ok(Self {
            holder: KeyHolder {
                grant,
                subscription,
                instance,
            },
            permission: PhantomData,
        })
    }
}

/// Refusals of a key, counted apart from its requests. Only the first of an hour for each reason is audited. More
/// would tell nothing new, since a program with a revoked key may go on every second.
const REFUSALS: Limit = Limit::per_hour(1_000);

/// Counts and records that a known key was refused. The answer's headers tell this count, and not the key's own,
/// which is for those who may use it. A store that fails now does not change the refusal.
async fn record_refusal(parts: &Parts, state: &Base, grant: &Grant, reason: &'static str) {
    let counted = state
        .rates
        .count(Scope::RefusedKey(grant.key, reason), REFUSALS, state.clock.now())
        .await;
    if let Ok(rate) = counted {
        // If the key's own limit has counted the request already, the headers tell that one.
        RequestContext::note_rate(&parts.extensions, rate);
        if !rate.is_first {
            return;
        }
    }
    let record = Record::anonymous(Action::KeyRefused)
        .of(grant.subscription)
        .actor(Actor::Key(grant.key))
        .on(grant.instance)
        .outcome(Outcome::Denied)
        .detail("reason", reason);
    Trail::of(parts, state).record(state, record).await;
}

fn unauthenticated(message: &'static str) -> ApiError {
    ApiError::new(Code::Unauthenticated, message)
}
