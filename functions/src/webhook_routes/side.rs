//! The two sides from which a webhook is reached, and what each says of a request.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use shared::domain::account::User;
use shared::domain::audit::Actor;
use shared::domain::network::Network;
use shared::domain::shard::Shard;
use shared::ids::{InstanceId, SubscriptionId};
use shared::storage::answers::Answers;
use shared::storage::idempotency::IdempotencyKeys;

use super::Hooks;
use crate::endpoint::Gate;
use crate::http::caller::Permission;
use crate::http::{ApiError, Trail};
use crate::openapi::Operation;
use crate::state::Base;

/// The state of a function that has these routes.
pub trait Side: Clone + Send + Sync + 'static {
    /// What the routes work with.
    fn hooks(&self) -> &Hooks;

    /// What every function has.
    fn base(&self) -> &Base;

    /// Where requests with an idempotency key are remembered; `None` where they have none.
    fn remembers(&self) -> Option<Remembers<'_>>;

    /// Who calls, and about which instance: a program needs the scope `P`.
    fn asker<P: Permission>(
        parts: &mut Parts,
        state: &Self,
    ) -> impl Future<Output = Result<Asker, ApiError>> + Send;

    /// The request's idempotency key.
    fn key(parts: &mut Parts, state: &Self) -> impl Future<Output = Result<Option<String>, ApiError>> + Send;

    /// What the document tells of both.
    fn describe<P: Permission>(operation: &mut Operation);

    /// What it tells of the key.
    fn describe_key(operation: &mut Operation);

    /// Who may call.
    fn gate<P: Permission>() -> Option<Gate<Self>>;
}

/// Where requests with an idempotency key are remembered.
#[derive(Debug, Clone, Copy)]
pub struct Remembers<'a> {
    /// The keys.
    pub keys: &'a IdempotencyKeys,
    /// What was answered.
    pub answers: &'a Answers,
}

/// Who asks, and about which instance.
#[derive(Debug)]
pub struct Asker {
    /// The instance.
    pub instance: Named,
    /// Who.
    pub actor: Actor,
    /// The user, where it is one: what it changes holds only while it is logged in.
    pub user: Option<User>,
    /// Where the request comes from.
    pub trail: Trail,
}

/// An instance, as far as these routes know it.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// The instance.
    pub id: InstanceId,
    /// Its subscription.
    pub subscription: SubscriptionId,
    /// Its network.
    pub network: Network,
    /// Its shard.
    pub shard: Shard,
}

/// The extractor of `parts` that is called `E`.
pub(crate) async fn extracted<E, S>(parts: &mut Parts, state: &S) -> Result<E, ApiError>
where
    E: FromRequestParts<S, Rejection = ApiError>,
    S: Send + Sync,
{
    Box::pin(E::from_request_parts(parts, state)).await
}

/// What this parameter of the path says; `None` where it says nothing that there could be.
pub(crate) async fn parameter<T: FromStr, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Option<T> {
    let all = RawPathParams::from_request_parts(parts, state).await.ok()?;
    let (_, text) = all.iter().find(|(of, _)| *of == name)?;
    text.parse().ok()
}
