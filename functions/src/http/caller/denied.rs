//! The refusal of a user whose role does not allow a route. It is audited.

use axum::extract::MatchedPath;
use axum::http::request::Parts;
use shared::domain::audit::{Action, Outcome};

use super::UserCaller;
use crate::http::audit::{Record, Trail};
use crate::http::error::{ApiError, Code};
use crate::state::Base;

/// The refusal, after it was recorded with its route.
pub(super) async fn deny(
    parts: &Parts,
    state: &Base,
    caller: &UserCaller,
    message: &'static str,
) -> ApiError {
    let mut record = Record::by(&caller.user, Action::AccessDenied)
        .outcome(Outcome::Denied)
        .detail("method", &parts.method);
    if let Some(route) = parts.extensions.get::<MatchedPath>() {
        record = record.detail("route", route.as_str());
    }
    Trail::of(parts, state).record(state, record).await;
    ApiError::new(Code::Forbidden, message)
}
