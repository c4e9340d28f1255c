//! The kinds that carry a file.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use waproto::whatsapp as wa;

use super::request::{Body, File};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::phone::media::{self, Attachment, Form};

/// Uploads the file of a message; `None` for the kinds that have none.
///
/// # Errors
/// [`Error::Invalid`] names the member and the rule.
pub(crate) async fn upload(network: &Arc<Network>, body: &Body) -> Result<Option<wa::Message>> {
    let (form, file) = match body {
        Body::Image(file) => (Form::Image, file),
        Body::Video(file) | Body::VideoNote(file) => (Form::Video, file),
        Body::Audio(file) => (Form::Audio, file),
        Body::Voice(file) => (Form::Voice, file),
        Body::Document(file) => (Form::Document, file),
        Body::Sticker(file) => (Form::Sticker, file),
        _ => return Ok(None),
    };
    check(body, file)?;
    let bytes = STANDARD
        .decode(&file.base64)
        .map_err(|_| Error::Invalid("`base64` is no base64 with padding (RFC 4648, 4)".into()))?;
    let attachment = Attachment {
        form,
        bytes: bytes.into(),
        mime: file.mime_type.clone(),
        caption: file.caption.clone(),
        file_name: file.file_name.clone(),
    };
    media::attach(network, attachment).await.map(Some)
}

/// Checks that the members go with the kind.
fn check(body: &Body, file: &File) -> Result<()> {
    let rules = [
        (
            file.caption.is_some(),
            matches!(body, Body::Image(_) | Body::Video(_) | Body::Document(_)),
            "`caption` goes with images, videos and documents",
        ),
        (
            file.file_name.is_some(),
            matches!(body, Body::Document(_)),
            "`fileName` goes with documents",
        ),
        (
            file.view_once,
            matches!(body, Body::Image(_) | Body::Video(_) | Body::Voice(_)),
            "`viewOnce` goes with images, videos and voice messages",
        ),
        (file.gif, matches!(body, Body::Video(_)), "`gif` goes with videos"),
        (
            file.seconds.is_some(),
            matches!(
                body,
                Body::Video(_) | Body::VideoNote(_) | Body::Audio(_) | Body::Voice(_)
            ),
            "`seconds` goes with what plays",
        ),
    ];
    match rules.into_iter().find(|(given, goes, _)| *given && !goes) {
        Some((_, _, rule)) => Err(Error::Invalid(rule.into())),
        None => Ok(()),
    }
}

/// Adds what the upload does not know of.
pub(super) fn finish(file: &File, body: &Body, mut message: wa::Message) -> wa::Message {
    if let Some(image) = message.image_message.as_option_mut() {
        image.view_once = file.view_once.then_some(true);
    }
    if let Some(audio) = message.audio_message.as_option_mut() {
        audio.seconds = file.seconds;
        audio.view_once = file.view_once.then_some(true);
    }
    if let Some(video) = message.video_message.as_option_mut() {
        video.seconds = file.seconds;
        video.view_once = file.view_once.then_some(true);
        video.gif_playback = file.gif.then_some(true);
    }
    if matches!(body, Body::VideoNote(_)) {
        message.ptv_message = std::mem::take(&mut message.video_message);
    }
    message
}

/// The same in the wrapper of what can be opened once.
pub(super) fn once(message: wa::Message) -> wa::Message {
    let voice = message.audio_message.is_set();
    let wrapper = wa::message::FutureProofMessage {
        message: message.into(),
    };
    if voice {
        wa::Message {
            view_once_message_v2_extension: wrapper.into(),
            ..Default::default()
        }
    } else {
        wa::Message {
            view_once_message_v2: wrapper.into(),
            ..Default::default()
        }
    }
}
