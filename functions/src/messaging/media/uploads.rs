//! The files that callers give, to send them: what is known of each, and where it rests.

use shared::bucket::{Area, ObjectName};
use shared::domain::upload::{About, FileName, MimeType, UPLOAD_TERM};
use shared::ids::{InstanceId, MediaId};
use shared::seal::{Purpose, SealError};
use shared::storage::keys;
use shared::storage::media::{Media, Origin};

use crate::http::{ApiError, Code};
use crate::messaging::MessagingState;

/// A file that a caller has given, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where it rests, once it is there.
    pub object: ObjectName,
    /// Its length in bytes, as announced.
    pub size: u64,
    /// Its name and its type.
    pub about: About,
}

/// Notes a file that a caller will put into the bucket. It may be used for [`UPLOAD_TERM`]. One write unit.
pub(super) async fn announce(
    state: &MessagingState,
    instance: InstanceId,
    id: MediaId,
    file_name: FileName,
    mime_type: MimeType,
    size: u64,
) -> Result<Upload, ApiError> {
    let upload = Upload {
        object: ObjectName::new(Area::Upload, instance, id),
        size,
        about: About {
            file_name: Some(file_name),
            mime_type,
        },
    };
    let sealed = sealed(state, instance, id, &upload.about).await?;
    let expires = state.clock.now() + UPLOAD_TERM;
    state
        .media
        .give(&upload.object, id, size, sealed, expires)
        .await?;
    Ok(upload)
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
    let Origin::Given { object, size } = origin else {
        return Ok(None);
    };
    let aad = keys::media(instance, id).path();
    let opened = state
        .sealer
        .open(instance, Purpose::Content, aad.as_bytes(), &sealed)
        .await?;
    let about = serde_json::from_slice(&opened).map_err(|_| ApiError::internal())?;
    Ok(Some(Upload { object, size, about }))
}

async fn sealed(
    state: &MessagingState,
    instance: InstanceId,
    id: MediaId,
    about: &About,
) -> Result<Vec<u8>, ApiError> {
    let plain = serde_json::to_vec(about).map_err(|error| ApiError::internal().caused_by(error))?;
    let aad = keys::media(instance, id).path();
    let sealed = state
        .sealer
        .seal(instance, Purpose::Content, aad.as_bytes(), &plain)
        .await;
    sealed.map_err(|error| match error {
        // Its daemon makes the key when it is paired.
        SealError::NoKey(_) => ApiError::new(
            Code::InstanceNotConnected,
            "The instance was never paired with a WhatsApp account: connect it and scan its QR code",
        ),
        error => error.into(),
    })
}
