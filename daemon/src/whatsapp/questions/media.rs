//! Files that came with messages.

use shared::domain::question::{FetchMedia, MediaFetched};

use super::{Put, Socket};
use crate::connection::AskError;

/// The bucket is no session's: files are brought there beside the questions (`shard/fetching.rs`).
impl Put for FetchMedia {
    async fn put(&self, _: Socket<'_>) -> Result<MediaFetched, AskError> {
        Err(AskError::Unavailable("a session has no bucket".into()))
    }
}
