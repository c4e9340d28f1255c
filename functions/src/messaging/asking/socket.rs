//! What a handler asks with: the socket of the caller's instance, for callers who may.

use axum::extract::{FromRequestParts, MatchedPath, State};
use axum::http::request::Parts;
use serde::Serialize;
use shared::domain::question::Asks;
use shared::ids::QuestionId;

use super::once::Once;
use super::{Told, ask};
use crate::endpoint::{Argument, Gate};
use crate::http::caller::permission::WithInstance;
use crate::http::caller::{KeyCaller, Permission};
use crate::http::{ApiError, Code};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::IdempotencyKey;
use crate::openapi::Operation;

/// The socket of the instance of a caller with the scope `P`.
pub struct Socket<P> {
    /// What the function works with.
    pub state: MessagingState,
    /// Who calls.
    pub caller: KeyCaller<WithInstance<P>>,
}

impl<P> Socket<P> {
    /// Asks it. Ends within `daemon_answer` of the configuration.
    pub async fn ask<A: Asks>(&self, question: A) -> Result<A::Answer, ApiError> {
        let told = self.ask_once(Ok(question), None).await?;
        Ok(told.answer)
    }

    async fn ask_once<A: Asks>(
        &self,
        question: Result<A, ApiError>,
        once: Option<&Once>,
    ) -> Result<Told<A::Answer>, ApiError> {
        Box::pin(ask(&self.state, &self.caller, question, once)).await
    }
}

impl<P: Permission> FromRequestParts<MessagingState> for Socket<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &MessagingState) -> Result<Self, ApiError> {
        Ok(Self {
            caller: KeyCaller::from_request_parts(parts, state).await?,
            state: state.clone(),
        })
    }
}

impl<P: Permission> Argument<MessagingState> for Socket<P> {
    fn describe(operation: &mut Operation) {
        <State<MessagingState> as Argument<MessagingState>>::describe(operation);
        <KeyCaller<WithInstance<P>> as Argument<MessagingState>>::describe(operation);
        operation.codes.extend([
            Code::NotFound,
            Code::InstanceNotConnected,
            Code::UpstreamError,
            Code::UpstreamTimeout,
        ]);
    }

    fn gate() -> Option<Gate<MessagingState>> {
        <KeyCaller<WithInstance<P>> as Argument<MessagingState>>::gate()
    }
}

/// The same with the request's idempotency key: every `POST` takes it.
pub struct OnceSocket<P> {
    /// The socket.
    pub socket: Socket<P>,
    /// The key, where the request has one.
    pub idempotency_key: Option<String>,
    /// The request's method and its route, with names for what its path says.
    route: String,
}

impl<P> OnceSocket<P> {
    /// Asks it. The key stands for one question, so a request asks one. `said` is all that the request says, with its path's
    /// parameters, and nothing that is only known of whom it names: by that a repetition is told from another request. Where the
    /// question is an error, a repetition still has the first answer.
    pub async fn ask<A: Asks>(
        &self,
        said: &impl Serialize,
        question: Result<A, ApiError>,
    ) -> Result<Told<A::Answer>, ApiError> {
        let once = self.once(said)?;
        self.socket.ask_once(question, once.as_ref()).await
    }

    /// Claims the request's key where there is nothing to ask. Answers whether the same request came before.
    pub async fn claim(&self, said: &impl Serialize) -> Result<bool, ApiError> {
        let Some(once) = self.once(said)? else {
            return Ok(false);
        };
        let Socket { state, caller } = &self.socket;
        let now = state.clock.now();
        let first = once
            .claim(state, caller.grant.instance, None, QuestionId::new(now), now)
            .await?;
        Ok(first.is_some())
    }

    fn once(&self, said: &impl Serialize) -> Result<Option<Once>, ApiError> {
        let key = self.idempotency_key.as_deref();
        key.map(|key| Once::new(key, &self.route, said)).transpose()
    }
}

impl<P: Permission> FromRequestParts<MessagingState> for OnceSocket<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &MessagingState) -> Result<Self, ApiError> {
        let socket = Socket::from_request_parts(parts, state).await?;
        let IdempotencyKey(idempotency_key) = IdempotencyKey::from_request_parts(parts, state).await?;
        let route = parts.extensions.get::<MatchedPath>();
        let route = route.map_or_else(|| parts.uri.path(), MatchedPath::as_str);
        Ok(Self {
            socket,
            idempotency_key,
            route: format!("{} {route}", parts.method),
        })
    }
}

impl<P: Permission> Argument<MessagingState> for OnceSocket<P> {
    fn describe(operation: &mut Operation) {
        <Socket<P> as Argument<MessagingState>>::describe(operation);
        <IdempotencyKey as Argument<MessagingState>>::describe(operation);
    }

    fn gate() -> Option<Gate<MessagingState>> {
        <Socket<P> as Argument<MessagingState>>::gate()
    }
}
