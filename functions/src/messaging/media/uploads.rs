//! The files that callers give, to send them: what is known of each, and where it rests.

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::bucket::{Area, ObjectName};
use shared::domain::upload::{About, FileName, MimeType, UPLOAD_TERM};
use shared::ids::{InstanceId, MediaId, MessageId};
use shared::seal::SealError;
use shared::storage::media::{self, Media, Origin, Taken};

use crate::http::{ApiError, Code};
use crate::messaging::MessagingState;

/// A file that a caller has given, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where it is put.
    pub object: ObjectName,
    /// Its length in bytes, as announced. No other is taken.
    pub size: u64,
    /// Its name and its type.
    pub about: About,
    /// The message that it is sent with, where it is: no other has it.
    pub taken: Option<Taken>,
    /// Until when it is known.
    pub expires: DateTime<Utc>,
}

/// Notes a file that a caller will put into the bucket. It may be used for [`UPLOAD_TERM`]. One write unit. `CONFLICT` where it was
/// announced before, and a message has it since.
pub(super) async fn announce(
    state: &MessagingState,
    instance: InstanceId,
    id: MediaId,
    file_name: FileName,
    mime_type: MimeType,
    size: u64,
) -> Result<(ObjectName, About), ApiError> {
    let object = ObjectName::new(Area::Upload, instance, id);
    let about = About {
        file_name: Some(file_name),
        mime_type,
    };
    let sealed = sealed(state, instance, id, &about).await?;
    let expires = state.clock.now() + UPLOAD_TERM;
    if state.media.give(&object, id, size, sealed, expires).await? {
        return Ok((object, about));
    }
    let known = state.media.get(instance, id, state.clock.now()).await?;
    Err(match known.map(|known| known.origin) {
        Some(Origin::Given {
            taken: Some(taken), ..
        }) => taken_by(taken.message),
        // It was given back just now.
        _ => ApiError::new(
            Code::Conflict,
            "The file is being sent just now: repeat the request in a moment",
        ),
    })
}

/// An upload is sent with one message.
pub fn taken_by(message: MessageId) -> ApiError {
    let text =
        format!("The file is sent with the message {message} already: upload it again to send it again");
    ApiError::new(Code::Conflict, text).with_details(json!({"messageId": message}))
}

/// A file that a caller has announced for this instance. Whether it has put it into the bucket the bucket alone knows.
/// Half a read unit.
pub async fn find(
    state: &MessagingState,
    instance: InstanceId,
    id: MediaId,
) -> Result<Option<Upload>, ApiError> {
    let found = state.media.get_recent(instance, id, state.clock.now()).await?;
    let Some(Media { origin, sealed }) = found else {
        return Ok(None);
    };
    let Origin::Given {
        object,
        size,
        taken,
        expires,
    } = origin
    else {
        return Ok(None);
    };
    let about = media::open(&state.sealer, instance, id, &sealed).await?;
    Ok(Some(Upload {
        object,
        size,
        about,
        taken,
        expires,
    }))
}

async fn sealed(
    state: &MessagingState,
    instance: InstanceId,
    id: MediaId,
    about: &About,
) -> Result<Vec<u8>, ApiError> {
    let sealed = media::seal(&state.sealer, instance, id, about).await;
    sealed.map_err(|error| match error {
        // Its daemon makes the key when it is paired.
        SealError::NoKey(_) => ApiError::new(
            Code::InstanceNotConnected,
            "The instance was never paired with a WhatsApp account: connect it and scan its QR code",
        ),
        error => error.into(),
    })
}
