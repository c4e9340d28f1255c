//! Extractors of the webhook's routes: whoever holds one knows who calls.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::side::{Asker, Side};
use crate::endpoint::{Argument, Gate};
use crate::http::ApiError;
use crate::http::caller::Permission;
use crate::openapi::Operation;

/// Whose webhook a request is about, and who asks: a program needs the scope `P`.
#[derive(Debug)]
pub struct About<P>(pub Asker, PhantomData<P>);

/// The same of a `POST`, which may come again under an idempotency key.
#[derive(Debug)]
pub struct Posted<P> {
    /// Who asks.
    pub asker: Asker,
    /// The key.
    pub key: Option<String>,
    permission: PhantomData<P>,
}

impl<P> Deref for About<P> {
    type Target = Asker;

    fn deref(&self) -> &Asker {
        &self.0
    }
}

impl<P> Deref for Posted<P> {
    type Target = Asker;

    fn deref(&self) -> &Asker {
        &self.asker
    }
}

impl<S: Side, P: Permission> FromRequestParts<S> for About<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self(S::asker::<P>(parts, state).await?, PhantomData))
    }
}

impl<S: Side, P: Permission> FromRequestParts<S> for Posted<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Ok(Self {
            asker: S::asker::<P>(parts, state).await?,
            key: S::key(parts, state).await?,
            permission: PhantomData,
        })
    }
}

impl<S: Side, P: Permission> Argument<S> for About<P> {
    fn describe(operation: &mut Operation) {
        S::describe::<P>(operation);
    }

    fn gate() -> Option<Gate<S>> {
        S::gate::<P>()
    }
}

impl<S: Side, P: Permission> Argument<S> for Posted<P> {
    fn describe(operation: &mut Operation) {
        S::describe::<P>(operation);
        S::describe_key(operation);
    }

    fn gate() -> Option<Gate<S>> {
        S::gate::<P>()
    }
}
