//! Answers to requests with an idempotency key: one that came before is answered with the first result, and says so.

use axum::response::{IntoResponse, Response};

use super::envelope::Reply;

/// An answer that may be that of an earlier request.
#[derive(Debug)]
pub struct Replayable<T> {
    /// The answer.
    pub reply: Reply<T>,
    /// Whether it is an earlier request's.
    pub is_replay: bool,
}

impl<T> IntoResponse for Replayable<T>
where
    Reply<T>: IntoResponse,
{
    fn into_response(self) -> Response {
        if self.is_replay {
            ([("idempotency-replayed", "true")], self.reply).into_response()
        } else {
            self.reply.into_response()
        }
    }
}
