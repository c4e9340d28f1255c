//! What a handler's type says of its endpoint: each argument and the answer add their part. A function's own
//! extractor tells its part in its own file.

use std::str::FromStr;

use axum::extract::{FromRequestParts, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use utoipa::ToSchema;
use utoipa::openapi::path::ParameterIn;

use super::taken::{Gate, gate};
use crate::http::caller::{Administrator, KeyCaller, Owner, Permission, UserCaller};
use crate::http::{
    ApiError, AuthGate, Code, JsonBody, Listing, OptionalJsonBody, Path, Query, Replayable, Reply, Spelt,
    Trail,
};
use crate::openapi::{Caller, Operation};

/// A handler: a function whose arguments and whose answer can be described.
pub trait Described<Arguments, S> {
    /// Adds what the function's type says.
    fn describe(operation: &mut Operation);

    /// Who may call it, if not everybody may.
    fn gate() -> Option<Gate<S>>;
}

/// Something that a handler takes in a function whose state is `S`.
pub trait Argument<S> {
    /// Adds what it means for an endpoint to take it.
    fn describe(operation: &mut Operation);

    /// The extractor of callers, if it is one.
    fn gate() -> Option<Gate<S>> {
        None
    }
}

/// Something that a handler answers.
pub trait Answers {
    /// Adds what it means for an endpoint to answer it.
    fn describe(operation: &mut Operation);
}

macro_rules! handlers {
    ($(($($argument:ident),*),)+) => {$(
        impl<F, Fut, R, S, $($argument),*> Described<($($argument,)*), S> for F
        where
            F: Fn($($argument),*) -> Fut,
            Fut: Future<Output = R>,
            R: Answers,
            $($argument: Argument<S>,)*
        {
            fn describe(operation: &mut Operation) {
                $(<$argument as Argument<S>>::describe(operation);)*
                R::describe(operation);
            }

            fn gate() -> Option<Gate<S>> {
                None$(.or_else(<$argument as Argument<S>>::gate))*
            }
        }
    )+};
}

handlers! {
    (),
    (A),
    (A, B),
    (A, B, C),
    (A, B, C, D),
    (A, B, C, D, E),
    (A, B, C, D, E, G),
}

/// For arguments that tell callers nothing.
macro_rules! silent {
    ($($argument:ty),+) => {$(
        impl<S> Argument<S> for $argument {
            fn describe(_: &mut Operation) {}
        }
    )+};
}

silent!(Trail, HeaderMap, Uri);

/// A handler that takes the state works with the stores.
impl<S, T> Argument<S> for State<T> {
    fn describe(operation: &mut Operation) {
        operation.codes.insert(Code::Unavailable);
        operation.needs_stores = true;
    }
}

impl<S: Send + Sync> Argument<S> for UserCaller
where
    Self: FromRequestParts<S, Rejection = ApiError>,
{
    fn describe(operation: &mut Operation) {
        operation.called_by(Caller::User(None), &[Code::TokenExpired, Code::Forbidden]);
    }

    fn gate() -> Option<Gate<S>> {
        Some(gate::<Self, S>())
    }
}

/// For an endpoint that knows another way for callers without a token.
impl<S> Argument<S> for Result<UserCaller, ApiError>
where
    UserCaller: Argument<S>,
{
    fn describe(operation: &mut Operation) {
        <UserCaller as Argument<S>>::describe(operation);
    }

    fn gate() -> Option<Gate<S>> {
        <UserCaller as Argument<S>>::gate()
    }
}

impl<S: Send + Sync> Argument<S> for Administrator
where
    Self: FromRequestParts<S, Rejection = ApiError>,
{
    fn describe(operation: &mut Operation) {
        operation.called_by(
            Caller::User(Some("administrator")),
            &[Code::TokenExpired, Code::Forbidden],
        );
        operation.description.push("For administrators alone.".into());
    }

    fn gate() -> Option<Gate<S>> {
        Some(gate::<Self, S>())
    }
}

impl<S: Send + Sync> Argument<S> for Owner
where
    Self: FromRequestParts<S, Rejection = ApiError>,
{
    fn describe(operation: &mut Operation) {
        operation.called_by(
            Caller::User(Some("owner")),
            &[Code::TokenExpired, Code::Forbidden],
        );
        operation
            .description
            .push("For the subscription's owner alone.".into());
    }

    fn gate() -> Option<Gate<S>> {
        Some(gate::<Self, S>())
    }
}

impl<S: Send + Sync, P: Permission> Argument<S> for KeyCaller<P>
where
    Self: FromRequestParts<S, Rejection = ApiError>,
{
    fn describe(operation: &mut Operation) {
        let scope = P::SCOPE.as_str();
        operation.called_by(Caller::Key(scope), &[Code::InsufficientScope, Code::IpNotAllowed]);
        let needs = format!("Needs an API key with the scope `{scope}`.");
        operation.description.push(needs.into());
    }

    fn gate() -> Option<Gate<S>> {
        Some(gate::<Self, S>())
    }
}

impl<S: Send + Sync> Argument<S> for AuthGate
where
    Self: FromRequestParts<S, Rejection = ApiError>,
{
    fn describe(operation: &mut Operation) {
        operation.is_counted = true;
        operation.codes.insert(Code::RateLimited);
    }

    fn gate() -> Option<Gate<S>> {
        Some(gate::<Self, S>())
    }
}

const OF_BODIES: [Code; 5] = [
    Code::ValidationError,
    Code::RequestTimeout,
    Code::InvalidJson,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
];

impl<S, T: ToSchema> Argument<S> for JsonBody<T> {
    fn describe(operation: &mut Operation) {
        operation.take_body::<T>(true);
        operation.codes.extend(OF_BODIES);
    }
}

impl<S, T: ToSchema> Argument<S> for OptionalJsonBody<T> {
    fn describe(operation: &mut Operation) {
        operation.take_body::<T>(false);
        operation.codes.extend(OF_BODIES);
    }
}

impl<S, T: ToSchema + FromStr> Argument<S> for Path<T> {
    fn describe(operation: &mut Operation) {
        operation.path_parameter::<T>();
        operation.codes.insert(Code::NotFound);
    }
}

impl<S, T: ToSchema + FromStr> Argument<S> for Spelt<T> {
    fn describe(operation: &mut Operation) {
        operation.path_parameter::<T>();
        operation.codes.insert(Code::ValidationError);
    }
}

/// Several parameters, each a field of `T`.
impl<S, T: ToSchema> Argument<S> for axum::extract::Path<T> {
    fn describe(operation: &mut Operation) {
        operation.parameters_of::<T>(&ParameterIn::Path);
        operation.codes.insert(Code::NotFound);
    }
}

impl<S, T: ToSchema> Argument<S> for Query<T> {
    fn describe(operation: &mut Operation) {
        operation.parameters_of::<T>(&ParameterIn::Query);
        operation.codes.insert(Code::ValidationError);
    }
}

impl<T: ToSchema> Answers for Reply<T> {
    fn describe(operation: &mut Operation) {
        operation.answer_with::<T>(false);
    }
}

impl<T: ToSchema> Answers for Replayable<T> {
    fn describe(operation: &mut Operation) {
        operation.answer_with::<T>(false);
    }
}

impl<T: ToSchema> Answers for Listing<T> {
    fn describe(operation: &mut Operation) {
        operation.answer_with::<T>(true);
    }
}

impl<T: Answers> Answers for Result<T, ApiError> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

/// Says nothing: [`Endpoint::answers`](super::Endpoint::answers) and
/// [`answers_plain`](super::Endpoint::answers_plain) do.
impl Answers for Response {
    fn describe(_: &mut Operation) {}
}
