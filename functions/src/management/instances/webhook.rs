//! `/api/instances/{instance}/webhook`: the webhook's routes for users.

use axum::http::request::Parts;
use shared::domain::audit::Actor;

use super::find::{InstanceRef, find};
use crate::endpoint::{Argument, Endpoint, Gate};
use crate::http::caller::{Permission, UserCaller};
use crate::http::{ApiError, Code, Trail};
use crate::management::ManagementState;
use crate::openapi::Operation;
use crate::state::Base;
use crate::webhook_routes::side::{Asker, Named, Remembers, Side, extracted, parameter};
use crate::webhook_routes::{Hooks, endpoints};

/// Every one of them.
pub fn endpoints() -> Vec<Endpoint<ManagementState>> {
    endpoints!("/api/instances/{instance}/webhook", "InstanceWebhook")
}

impl Side for ManagementState {
    fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    fn base(&self) -> &Base {
        self
    }

    fn remembers(&self) -> Option<Remembers<'_>> {
        None
    }

    async fn asker<P: Permission>(parts: &mut Parts, state: &Self) -> Result<Asker, ApiError> {
        let caller: UserCaller = extracted(parts, state).await?;
        let which: Option<InstanceRef> = parameter(parts, state, "instance").await;
        let which = which.ok_or_else(|| ApiError::not_found("instance"))?;
        let instance = find(state, caller.subscription.id, &which).await?;
        Ok(Asker {
            instance: Named {
                id: instance.id,
                subscription: instance.subscription,
                network: instance.network,
                shard: instance.shard,
            },
            actor: Actor::User(caller.user.id),
            user: Some(caller.user),
            trail: Trail::of(parts, state),
        })
    }

    async fn key(_: &mut Parts, _: &Self) -> Result<Option<String>, ApiError> {
        Ok(None)
    }

    fn describe<P: Permission>(operation: &mut Operation) {
        <UserCaller as Argument<Self>>::describe(operation);
        operation.path_parameter::<InstanceRef>();
        operation.codes.insert(Code::NotFound);
    }

    fn describe_key(_: &mut Operation) {}

    fn gate<P: Permission>() -> Option<Gate<Self>> {
        <UserCaller as Argument<Self>>::gate()
    }
}
