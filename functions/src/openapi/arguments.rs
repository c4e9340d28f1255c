//! What a handler's type says of its endpoint: each argument and the answer add their part.

use std::str::FromStr;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use utoipa::ToSchema;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::operation::{Caller, Operation};
use super::taken::gate;
use crate::auth::cookie::{self, RefreshCookie};
use crate::http::caller::{Administrator, KeyCaller, Owner, Permission, UserCaller};
use crate::http::{ApiError, AuthGate, Code, JsonBody, Listing, OptionalJsonBody, Path, Query, Reply, Trail};
use crate::state::AppState;

/// A handler: a function whose arguments and whose answer can be described.
pub trait Handler<Arguments> {
    /// Adds what the function's type says.
    fn describe(operation: &mut Operation);
}

/// Something that a handler takes.
pub trait Argument {
    /// Adds what it means for an endpoint to take it.
    fn describe(operation: &mut Operation);
}

/// Something that a handler answers.
pub trait Answers {
    /// Adds what it means for an endpoint to answer it.
    fn describe(operation: &mut Operation);
}

macro_rules! handlers {
    ($(($($argument:ident),*),)+) => {$(
        impl<F, Fut, R, $($argument),*> Handler<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut,
            Fut: Future<Output = R>,
            R: Answers,
            $($argument: Argument,)*
        {
            fn describe(operation: &mut Operation) {
                $($argument::describe(operation);)*
                R::describe(operation);
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
        impl Argument for $argument {
            fn describe(_: &mut Operation) {}
        }
    )+};
}

silent!(Trail, HeaderMap, Uri);

/// Whoever takes the state works with the stores.
impl Argument for State<AppState> {
    fn describe(operation: &mut Operation) {
        operation.codes.insert(Code::Unavailable);
        operation.needs_stores = true;
    }
}

impl Argument for UserCaller {
    fn describe(operation: &mut Operation) {
        operation.called_by(Caller::User(None), &[Code::TokenExpired, Code::Forbidden]);
        operation.gate = Some(gate::<Self>());
    }
}

/// Where the endpoint knows another way for who has no token.
impl Argument for Result<UserCaller, ApiError> {
    fn describe(operation: &mut Operation) {
        UserCaller::describe(operation);
    }
}

impl Argument for Administrator {
    fn describe(operation: &mut Operation) {
        operation.called_by(
            Caller::User(Some("administrator")),
            &[Code::TokenExpired, Code::Forbidden],
        );
        operation.description.push("For administrators alone.".into());
        operation.gate = Some(gate::<Self>());
    }
}

impl Argument for Owner {
    fn describe(operation: &mut Operation) {
        operation.called_by(
            Caller::User(Some("owner")),
            &[Code::TokenExpired, Code::Forbidden],
        );
        operation
            .description
            .push("For the subscription's owner alone.".into());
        operation.gate = Some(gate::<Self>());
    }
}

impl<P: Permission> Argument for KeyCaller<P> {
    fn describe(operation: &mut Operation) {
        let scope = P::SCOPE.as_str();
        operation.called_by(Caller::Key(scope), &[Code::InsufficientScope, Code::IpNotAllowed]);
        let needs = format!("Needs an API key with the scope `{scope}`.");
        operation.description.push(needs.into());
        operation.gate = Some(gate::<Self>());
    }
}

impl Argument for AuthGate {
    fn describe(operation: &mut Operation) {
        operation.is_counted = true;
        operation.codes.insert(Code::RateLimited);
        operation.gate = Some(gate::<Self>());
    }
}

const OF_BODIES: [Code; 5] = [
    Code::ValidationError,
    Code::RequestTimeout,
    Code::InvalidJson,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
];

impl<T: ToSchema> Argument for JsonBody<T> {
    fn describe(operation: &mut Operation) {
        operation.take_body::<T>(true);
        operation.codes.extend(OF_BODIES);
    }
}

impl<T: ToSchema> Argument for OptionalJsonBody<T> {
    fn describe(operation: &mut Operation) {
        operation.take_body::<T>(false);
        operation.codes.extend(OF_BODIES);
    }
}

impl<T: ToSchema + FromStr> Argument for Path<T> {
    fn describe(operation: &mut Operation) {
        operation.path_parameter::<T>();
        operation.codes.insert(Code::NotFound);
    }
}

/// Several parameters, each a field of `T`.
impl<T: ToSchema> Argument for axum::extract::Path<T> {
    fn describe(operation: &mut Operation) {
        operation.parameters_of::<T>(&ParameterIn::Path);
        operation.codes.insert(Code::NotFound);
    }
}

impl<T: ToSchema> Argument for Query<T> {
    fn describe(operation: &mut Operation) {
        operation.parameters_of::<T>(&ParameterIn::Query);
        operation.codes.insert(Code::ValidationError);
    }
}

impl Argument for RefreshCookie {
    fn describe(operation: &mut Operation) {
        operation.header(
            cookie::CLIENT_HEADER.as_str(),
            "Any text. Needed where the refresh token comes as the cookie `waxwing_refresh`: it shows that a page of one's own \
             sends the request",
            ObjectBuilder::new().schema_type(Type::String).examples(["dashboard"]).build(),
        );
        operation.codes.insert(Code::Forbidden);
    }
}

impl Argument for crate::messaging::IdempotencyKey {
    fn describe(operation: &mut Operation) {
        let key = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(Self::LONGEST))
            // Space at either end is HTTP's own, and no part of a value.
            .pattern(Some("^[!-~]([ -~]*[!-~])?$"))
            .examples(["order-4711"]);
        operation.header(
            Self::HEADER,
            "A name for this request, kept for 24 hours: the same request under it is answered with the first \
             result, and not done again",
            key.build(),
        );
        operation.is_replayed = true;
        operation
            .codes
            .extend([Code::ValidationError, Code::IdempotencyConflict]);
    }
}

impl<T: ToSchema> Answers for Reply<T> {
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

/// Says nothing: [`Operation::answers`] and [`Operation::answers_plain`] do.
impl Answers for Response {
    fn describe(_: &mut Operation) {}
}

impl Answers for crate::messaging::Accepted {
    fn describe(operation: &mut Operation) {
        operation.answer_with::<crate::messaging::AcceptedView>(false);
    }
}
