//! Brings files to WhatsApp's media hosts.

use shared::domain::content::{Bytes, Remote};
use shared::domain::message::FailureCode;
use whatsapp_rust::http::HttpStatusError;
use whatsapp_rust::upload::UploadResponse;
use whatsapp_rust::{Client, IqError};

use super::failure;
use super::spool::Spool;
use crate::connection::SendError;

/// The status of a host for which a file is too large.
const TOO_LARGE: u16 = 413;

/// Uploads a file. It takes as long as the file is large, and its HTTP client ends it.
pub async fn upload(client: &Client, file: &Spool) -> Result<Remote, SendError> {
    let uploading = client.upload_stream(file.clone(), file.info(), file.media_type());
    let UploadResponse {
        url,
        direct_path,
        media_key,
        file_enc_sha256,
        file_sha256,
        file_length,
        media_key_timestamp,
        streaming_sidecar,
        ..
    } = uploading.await.map_err(of_upload)?;
    Ok(Remote {
        direct_path,
        url: Some(url).filter(|url| !url.is_empty()),
        key: Bytes(media_key.to_vec()),
        key_at: Some(media_key_timestamp),
        encrypted_sha256: Bytes(file_enc_sha256.to_vec()),
        sha256: Bytes(file_sha256.to_vec()),
        size: file_length,
        sidecar: streaming_sidecar.map(Bytes),
        thumbnail: None,
        waveform: None,
        whence: None,
    })
}

fn of_upload(error: anyhow::Error) -> SendError {
    let status = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<HttpStatusError>())
        .map(|answered| answered.status);
    if status == Some(TOO_LARGE) {
        return SendError::Refused(FailureCode::MediaTooLarge);
    }
    match error.downcast::<IqError>() {
        Ok(error) => failure::of_query(error),
        // The host's own words may quote the token that lets this account upload.
        Err(_) => SendError::Unavailable(
            status
                .map_or_else(
                    || "the media host did not answer".to_owned(),
                    |status| format!("the media host answered with the status {status}"),
                )
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_proven_ends_a_message() {
        let answered =
            |status| of_upload(anyhow::Error::new(HttpStatusError { status }).context("Upload failed"));
        assert!(matches!(
            answered(413),
            SendError::Refused(FailureCode::MediaTooLarge)
        ));
        for status in [400, 401, 403, 404, 415, 500, 503, 507] {
            assert!(matches!(answered(status), SendError::Unavailable(_)), "{status}");
        }
        assert!(matches!(of_upload(IqError::Timeout.into()), SendError::Timeout));
        assert!(matches!(
            of_upload(anyhow::anyhow!("No media hosts")),
            SendError::Unavailable(_)
        ));
    }
}
