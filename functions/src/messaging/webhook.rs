//! `/api/webhook`: the webhook's routes for programs. The API key says which instance is meant.

use axum::http::request::Parts;
use shared::domain::audit::Actor;

use super::idempotency::IdempotencyKey;
use crate::endpoint::{Argument, Endpoint, Gate};
use crate::http::caller::{KeyCaller, Permission};
use crate::http::{ApiError, Trail};
use crate::messaging::MessagingState;
use crate::openapi::Operation;
use crate::state::Base;
use crate::webhook_routes::side::{Asker, Named, Remembers, Side, extracted};
use crate::webhook_routes::{Hooks, endpoints};

/// Every one of them.
pub fn endpoints() -> Vec<Endpoint<MessagingState>> {
    endpoints!("/api/webhook", "Webhook")
}

impl Side for MessagingState {
    fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    fn base(&self) -> &Base {
        self
    }

    fn remembers(&self) -> Option<Remembers<'_>> {
        Some(Remembers {
            keys: &self.idempotency,
            answers: &self.answers,
        })
    }

    async fn asker<P: Permission>(parts: &mut Parts, state: &Self) -> Result<Asker, ApiError> {
        let caller: KeyCaller<P> = extracted(parts, state).await?;
        let grant = &caller.grant;
        Ok(Asker {
            instance: Named {
                id: grant.instance,
                subscription: grant.subscription,
                network: grant.network,
                shard: grant.shard,
            },
            actor: Actor::Key(grant.key),
            user: None,
            trail: Trail::of(parts, state),
        })
    }

    async fn key(parts: &mut Parts, state: &Self) -> Result<Option<String>, ApiError> {
        let IdempotencyKey(key) = extracted(parts, state).await?;
        Ok(key)
    }

    fn describe<P: Permission>(operation: &mut Operation) {
        <KeyCaller<P> as Argument<Self>>::describe(operation);
    }

    fn describe_key(operation: &mut Operation) {
        <IdempotencyKey as Argument<Self>>::describe(operation);
    }

    fn gate<P: Permission>() -> Option<Gate<Self>> {
        <KeyCaller<P> as Argument<Self>>::gate()
    }
}
