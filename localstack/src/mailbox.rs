//! `GET /dev/mailbox`: the mails that the local stack has sent, newest first. A deployment sends its mails away, and
//! does not have this route.

use axum::Json;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::json;
use shared::mail::FolderMailer;

/// Mails that are shown where the caller names no number.
const DEFAULT_LIMIT: usize = 10;

/// The most that are shown.
const MAX_LIMIT: usize = 100;

/// The mailbox's one route.
pub fn routes(mailer: FolderMailer) -> Router {
    Router::new()
        .route("/dev/mailbox", get(newest))
        .with_state(mailer)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    /// Mails to this address alone.
    to: Option<String>,
    limit: Option<usize>,
}

async fn newest(
    State(mailer): State<FolderMailer>,
    query: Result<Query<Params>, QueryRejection>,
) -> Response {
    let refused = |message: &str| {
        let error = json!({"code": "VALIDATION_ERROR", "message": message});
        let body = json!({"success": false, "error": error});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    let Ok(Query(params)) = query else {
        return refused("the query has `to` and `limit`, and nothing else");
    };
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return refused("`limit` must be a number from 1 to 100");
    }
    match mailer.newest(params.to.as_deref(), limit).await {
        Ok(mails) => Json(json!({"success": true, "data": mails})).into_response(),
        Err(error) => {
            tracing::error!(%error, "the mailbox cannot be read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
