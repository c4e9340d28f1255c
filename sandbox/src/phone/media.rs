//! What a person attaches to a message: encrypted, put on the media host, and described in the message.

use std::sync::Arc;

use bytes::Bytes;
use wacore::download::MediaType;
use wacore::upload::{EncryptedMedia, encrypt_media};
use waproto::whatsapp as wa;

use crate::error::{Error, Result};
use crate::media::catalogue;
use crate::network::Network;

/// How a person sends a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Image,
    Video,
    Audio,
    /// A voice message.
    Voice,
    Document,
    Sticker,
}

impl Form {
    fn media_type(self) -> MediaType {
        match self {
            Self::Image => MediaType::Image,
            Self::Video => MediaType::Video,
            Self::Audio | Self::Voice => MediaType::Audio,
            Self::Document => MediaType::Document,
            Self::Sticker => MediaType::Sticker,
        }
    }

    fn usual_mime(self) -> &'static str {
        match self {
            Self::Image => "image/jpeg",
            Self::Video => "video/mp4",
            Self::Audio => "audio/mpeg",
            Self::Voice => "audio/ogg; codecs=opus",
            Self::Document => "application/octet-stream",
            Self::Sticker => "image/webp",
        }
    }
}

/// A file to send.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) form: Form,
    pub(crate) bytes: Bytes,
    /// Without one the form's usual type.
    pub(crate) mime: Option<String>,
    /// Of images, videos and documents; others have none.
    pub(crate) caption: Option<String>,
    /// Of documents; others have none.
    pub(crate) file_name: Option<String>,
}

/// A file on the media host, and what opens it.
#[derive(Debug, Clone)]
pub(crate) struct Uploaded {
    pub(crate) url: String,
    pub(crate) direct_path: String,
    pub(crate) media_key: [u8; 32],
    /// SHA-256 of the file as it was uploaded.
    pub(crate) enc_hash: [u8; 32],
    /// SHA-256 of what is in it.
    pub(crate) hash: [u8; 32],
    /// Of what is in it, in bytes.
    pub(crate) length: u64,
    /// Hashes of its parts, for audio and video.
    pub(crate) sidecar: Option<Vec<u8>>,
    /// Unix seconds.
    pub(crate) at: i64,
}

/// Encrypts `bytes` and puts them on the media host.
///
/// # Errors
/// [`Error::Invalid`] for nothing, or more than the host takes; [`Error::Conflict`] where the host is full.
pub(crate) async fn upload(network: &Arc<Network>, kind: MediaType, bytes: Bytes) -> Result<Uploaded> {
    let (length, limit) = (bytes.len() as u64, network.config.media_max_bytes);
    if bytes.is_empty() || length > limit {
        return Err(Error::Invalid(format!("a file has 1 to {limit} bytes")));
    }
    let encrypted = tokio::task::spawn_blocking(move || encrypt_media(&bytes, kind))
        .await
        .map_err(|error| Error::codec("media to send", error))?
        .map_err(|error| Error::codec("media to send", error))?;
    let EncryptedMedia {
        data_to_upload,
        media_key,
        file_sha256,
        file_enc_sha256,
        streaming_sidecar,
    } = encrypted;
    let (direct_path, at) = network
        .media
        .keep(&network.store, [data_to_upload.into()], move |unit, [kept]| {
            Ok((catalogue::add(unit, kind.mms_type(), &kept)?, unit.now_secs()))
        })
        .await?;
    Ok(Uploaded {
        url: network.media.url(&direct_path),
        direct_path,
        media_key,
        enc_hash: file_enc_sha256,
        hash: file_sha256,
        length,
        sidecar: streaming_sidecar,
        at,
    })
}

/// Encrypts and uploads a file; answers the message that carries it.
pub(crate) async fn attach(network: &Arc<Network>, attachment: Attachment) -> Result<wa::Message> {
    let Attachment {
        form,
        bytes,
        mime,
        caption,
        file_name,
    } = attachment;
    let uploaded = upload(network, form.media_type(), bytes).await?;
    let mime = mime.unwrap_or_else(|| form.usual_mime().to_owned());
    Ok(message(form, uploaded, mime, caption, file_name))
}

fn message(
    form: Form,
    uploaded: Uploaded,
    mime: String,
    caption: Option<String>,
    file_name: Option<String>,
) -> wa::Message {
    macro_rules! media {
        ($type:ident, $($field:ident: $value:expr),*) => {
            wa::message::$type {
                url: Some(uploaded.url),
                direct_path: Some(uploaded.direct_path),
                media_key: Some(uploaded.media_key.to_vec()),
                file_enc_sha256: Some(uploaded.enc_hash.to_vec()),
                file_sha256: Some(uploaded.hash.to_vec()),
                file_length: Some(uploaded.length),
                media_key_timestamp: Some(uploaded.at),
                mimetype: Some(mime),
                $($field: $value,)*
                ..Default::default()
            }
            .into()
        };
    }
    let mut message = wa::Message::default();
    match form {
        Form::Image => message.image_message = media!(ImageMessage, caption: caption),
        Form::Video => {
            message.video_message =
                media!(VideoMessage, caption: caption, streaming_sidecar: uploaded.sidecar);
        }
        Form::Audio | Form::Voice => {
            let voice = form == Form::Voice;
            message.audio_message =
                media!(AudioMessage, ptt: Some(voice), streaming_sidecar: uploaded.sidecar);
        }
        Form::Document => {
            message.document_message = media!(DocumentMessage,
                title: file_name.clone(), file_name: file_name, caption: caption);
        }
        Form::Sticker => message.sticker_message = media!(StickerMessage,),
    }
    message
}
