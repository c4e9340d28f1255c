//! `DELETE /api/media/{media}`: a file is not needed any more.

use axum::extract::State;
use axum::http::Method;
use shared::bucket::{Area, ObjectName};
use shared::ids::MediaId;
use shared::storage::media::{Origin, Taken};

use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Deleted, Path, Reply};
use crate::messaging::MessagingState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::DELETE, "/api/media/{media}", "deleteMedia", handler)
        .about(Tag::Media, "Deletes a file")
        .details(
            "A message that was to be sent with it and waits fails with `MEDIA_GONE`. A file that came with a message \
             cannot be fetched any more.",
        )
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::MediaWrite>,
    Path(id): Path<MediaId>,
) -> Result<Reply<Deleted>, ApiError> {
    let instance = caller.grant.instance;
    let found = state.media.get(instance, id, state.clock.now()).await?;
    let (object, taken) = match found.ok_or_else(|| ApiError::not_found("media"))?.origin {
        Origin::Given { object, taken, .. } => (object, taken),
        Origin::Came { .. } => (ObjectName::new(Area::Incoming, instance, id), None),
    };
    // The file first: where that fails it is still known, and the next attempt finds it.
    state.bucket.delete(&object).await?;
    if let Some(Taken { object, .. }) = taken {
        state.bucket.delete(&object).await?;
    }
    state.media.forget(instance, id).await?;
    Ok(Reply::ok(Deleted::of(id)))
}
