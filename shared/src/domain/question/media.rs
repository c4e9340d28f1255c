//! Questions about files that came with messages.

use serde::{Deserialize, Serialize};

use crate::ids::MediaId;

/// Bring this file into the bucket. It may be asked as often as one likes: the file is the same one each time.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchMedia {
    /// The file that came with a message.
    pub media: MediaId,
}

/// How far that is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaFetched {
    /// Where the file is.
    pub place: MediaPlace,
}

/// Where a file is that is to be brought into the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MediaPlace {
    /// In the bucket.
    Here,
    /// On its way there, which goes on.
    UnderWay,
    /// Nowhere: WhatsApp has lost it, and the phone gives it no more.
    Gone,
    /// At WhatsApp, and larger than what is brought ([`MAX_UPLOAD`](crate::domain::upload::MAX_UPLOAD)).
    TooLarge,
    /// Where only a newer build knows.
    #[serde(other)]
    Unknown,
}
