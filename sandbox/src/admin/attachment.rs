//! Files in the bodies of `POST /admin/phones/{phone}/send`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::{ApiError, ApiResult};
use crate::phone::media::{Attachment, Form};

/// A file to send.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FileRequest {
    pub(super) to: String,
    /// The file.
    base64: String,
    /// Without one the kind's usual type.
    mime: Option<String>,
    caption: Option<String>,
    file_name: Option<String>,
}

impl FileRequest {
    /// What the phone is to send.
    pub(super) fn into_attachment(self, form: Form) -> ApiResult<Attachment> {
        let invalid = |message: &str| Err(ApiError::invalid(message));
        let Ok(bytes) = STANDARD.decode(&self.base64) else {
            return invalid("`base64` is no base64 with padding (RFC 4648, 4)");
        };
        if self.caption.is_some() && !matches!(form, Form::Image | Form::Video | Form::Document) {
            return invalid("`caption` goes with images, videos and documents");
        }
        if self.file_name.is_some() && form != Form::Document {
            return invalid("`fileName` goes with documents");
        }
        Ok(Attachment {
            form,
            bytes: bytes.into(),
            mime: self.mime,
            caption: self.caption,
            file_name: self.file_name,
        })
    }
}
