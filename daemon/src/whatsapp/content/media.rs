//! Files: what messages say of them. The bytes themselves are on WhatsApp's media hosts.

use buffa::MessageField;
use shared::domain::content::{Bytes, Content, File, Media, Remote, Source};
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::{
    AudioMessage, DocumentMessage, FutureProofMessage, ImageMessage, StickerMessage, VideoMessage,
};

/// How an app names a document without a name.
const UNNAMED: &str = "file";

/// Where the file of a message lies; `None` where it was not uploaded yet, and the message cannot be written.
fn remote(media: &Media) -> Option<&Remote> {
    match &media.source {
        Some(Source::Remote(remote)) => Some(remote),
        _ => None,
    }
}

/// Fills in what the messages of all kinds with a file have.
macro_rules! of_remote {
    ($message:ident, $media:expr, $remote:expr) => {{
        let (media, remote): (&Media, &Remote) = ($media, $remote);
        $message {
            url: remote.url.clone(),
            direct_path: Some(remote.direct_path.clone()),
            media_key: Some(remote.key.0.clone()),
            media_key_timestamp: remote.key_at,
            file_enc_sha256: Some(remote.encrypted_sha256.0.clone()),
            file_sha256: Some(remote.sha256.0.clone()),
            file_length: Some(remote.size),
            mimetype: media.media.mime_type.clone(),
            ..$message::default()
        }
    }};
}

/// Reads what the messages of all kinds with a file have. A message that does not say where its file is has none, nor has one
/// that says of it what no app does. A URL that does not lead to WhatsApp is left out.
macro_rules! from_remote {
    ($message:expr) => {{
        let message = $message;
        let remote = message.direct_path.clone().zip(message.media_key.clone());
        let remote = remote.map(|(direct_path, key)| Remote {
            direct_path,
            url: said(message.url.as_ref()),
            key: Bytes(key),
            key_at: message.media_key_timestamp,
            encrypted_sha256: Bytes(message.file_enc_sha256.clone().unwrap_or_default()),
            sha256: Bytes(message.file_sha256.clone().unwrap_or_default()),
            size: message.file_length.unwrap_or_default(),
            sidecar: None,
            thumbnail: None,
            waveform: None,
            whence: None,
        });
        let remote = remote.filter(Remote::is_plain).map(|remote| Remote {
            url: remote.url_at_whatsapp().map(str::to_owned),
            ..remote
        });
        let file = File {
            mime_type: said(message.mimetype.as_ref()),
            size: message.file_length,
            sha256: message.file_sha256.as_ref().map(hex::encode),
            ..File::default()
        };
        (file, remote)
    }};
}

pub fn write_image(media: &Media) -> Option<wa::Message> {
    let remote = remote(media)?;
    let image = ImageMessage {
        caption: media.text.clone(),
        width: media.media.width,
        height: media.media.height,
        jpeg_thumbnail: bytes(remote.thumbnail.as_ref()),
        view_once: media.view_once.then_some(true),
        ..of_remote!(ImageMessage, media, remote)
    };
    let message = wa::Message {
        image_message: MessageField::some(image),
        ..wa::Message::default()
    };
    Some(once(message, media.view_once))
}

pub fn write_video(media: &Media) -> Option<wa::Message> {
    let remote = remote(media)?;
    let video = VideoMessage {
        caption: media.text.clone(),
        seconds: media.media.seconds,
        width: media.media.width,
        height: media.media.height,
        jpeg_thumbnail: bytes(remote.thumbnail.as_ref()),
        streaming_sidecar: bytes(remote.sidecar.as_ref()),
        gif_playback: media.media.animated.then_some(true),
        view_once: media.view_once.then_some(true),
        ..of_remote!(VideoMessage, media, remote)
    };
    let message = wa::Message {
        video_message: MessageField::some(video),
        ..wa::Message::default()
    };
    Some(once(message, media.view_once))
}

pub fn write_audio(media: &Media) -> Option<wa::Message> {
    write_sound(media, false)
}

pub fn write_voice(media: &Media) -> Option<wa::Message> {
    write_sound(media, true)
}

fn write_sound(media: &Media, is_spoken: bool) -> Option<wa::Message> {
    let remote = remote(media)?;
    let audio = AudioMessage {
        seconds: media.media.seconds,
        ptt: is_spoken.then_some(true),
        streaming_sidecar: bytes(remote.sidecar.as_ref()),
        waveform: bytes(remote.waveform.as_ref()),
        view_once: media.view_once.then_some(true),
        ..of_remote!(AudioMessage, media, remote)
    };
    let message = wa::Message {
        audio_message: MessageField::some(audio),
        ..wa::Message::default()
    };
    Some(once(message, media.view_once))
}

/// Apps wrap a document that has a text below it.
pub fn write_document(media: &Media) -> Option<wa::Message> {
    let remote = remote(media)?;
    let name = media.media.file_name.as_deref().unwrap_or(UNNAMED);
    let document = DocumentMessage {
        title: Some(name.to_owned()),
        file_name: Some(name.to_owned()),
        caption: media.text.clone(),
        jpeg_thumbnail: bytes(remote.thumbnail.as_ref()),
        ..of_remote!(DocumentMessage, media, remote)
    };
    let message = wa::Message {
        document_message: MessageField::some(document),
        ..wa::Message::default()
    };
    if media.text.is_none() {
        return Some(message);
    }
    Some(wa::Message {
        document_with_caption_message: wrapped(message),
        ..wa::Message::default()
    })
}

pub fn write_sticker(media: &Media) -> Option<wa::Message> {
    let remote = remote(media)?;
    let sticker = StickerMessage {
        width: media.media.width,
        height: media.media.height,
        is_animated: media.media.animated.then_some(true),
        png_thumbnail: bytes(remote.thumbnail.as_ref()),
        ..of_remote!(StickerMessage, media, remote)
    };
    Some(wa::Message {
        sticker_message: MessageField::some(sticker),
        ..wa::Message::default()
    })
}

/// The message, shown once or as often as its reader likes.
fn once(message: wa::Message, is_once: bool) -> wa::Message {
    if !is_once {
        return message;
    }
    wa::Message {
        view_once_message_v2: wrapped(message),
        ..wa::Message::default()
    }
}

fn wrapped(message: wa::Message) -> MessageField<FutureProofMessage> {
    MessageField::some(FutureProofMessage {
        message: MessageField::some(message),
    })
}

fn bytes(bytes: Option<&Bytes>) -> Option<Vec<u8>> {
    bytes.map(|bytes| bytes.0.clone())
}

/// A file of any kind; `None` for what has none.
pub fn read(message: &wa::Message) -> Option<Content> {
    let view_once = message.is_view_once();
    let base = message.get_base_message();
    let media = |file: File, text: Option<String>, remote: Option<Remote>| Media {
        media: file,
        text,
        view_once,
        source: remote.map(|remote| Source::Remote(Box::new(remote))),
    };
    if let Some(image) = base.image_message.as_option() {
        let (file, remote) = from_remote!(image);
        let file = File {
            width: image.width,
            height: image.height,
            ..file
        };
        let remote = remote.map(|remote| Remote {
            thumbnail: kept(image.jpeg_thumbnail.as_ref()),
            ..remote
        });
        return Some(Content::Image(media(file, said(image.caption.as_ref()), remote)));
    }
    // A round video that was recorded in the chat is one as well.
    let video = base.video_message.as_option().or(base.ptv_message.as_option());
    if let Some(video) = video {
        let (file, remote) = from_remote!(video);
        let file = File {
            seconds: video.seconds,
            width: video.width,
            height: video.height,
            animated: video.gif_playback.unwrap_or_default(),
            ..file
        };
        let remote = remote.map(|remote| Remote {
            sidecar: kept(video.streaming_sidecar.as_ref()),
            thumbnail: kept(video.jpeg_thumbnail.as_ref()),
            ..remote
        });
        return Some(Content::Video(media(file, said(video.caption.as_ref()), remote)));
    }
    if let Some(audio) = base.audio_message.as_option() {
        let (file, remote) = from_remote!(audio);
        let is_spoken = audio.ptt.unwrap_or_default();
        let file = File {
            seconds: audio.seconds,
            voice: is_spoken,
            ..file
        };
        let remote = remote.map(|remote| Remote {
            sidecar: kept(audio.streaming_sidecar.as_ref()),
            waveform: kept(audio.waveform.as_ref()),
            ..remote
        });
        let media = media(file, None, remote);
        return Some(if is_spoken {
            Content::Voice(media)
        } else {
            Content::Audio(media)
        });
    }
    if let Some(document) = base.document_message.as_option() {
        let (file, remote) = from_remote!(document);
        let file = File {
            file_name: said(document.file_name.as_ref()).or_else(|| said(document.title.as_ref())),
            ..file
        };
        let remote = remote.map(|remote| Remote {
            thumbnail: kept(document.jpeg_thumbnail.as_ref()),
            ..remote
        });
        return Some(Content::Document(media(
            file,
            said(document.caption.as_ref()),
            remote,
        )));
    }
    let sticker = base.sticker_message.as_option()?;
    let (file, remote) = from_remote!(sticker);
    let file = File {
        width: sticker.width,
        height: sticker.height,
        animated: sticker.is_animated.unwrap_or_default(),
        ..file
    };
    let remote = remote.map(|remote| Remote {
        thumbnail: kept(sticker.png_thumbnail.as_ref()),
        ..remote
    });
    Some(Content::Sticker(media(file, None, remote)))
}

fn kept(bytes: Option<&Vec<u8>>) -> Option<Bytes> {
    bytes.filter(|bytes| !bytes.is_empty()).cloned().map(Bytes)
}

/// Apps fill in an empty text for none.
fn said(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A file of which all is known that any kind tells.
    pub fn sample() -> Media {
        Media {
            media: File {
                mime_type: Some("image/jpeg".to_owned()),
                size: Some(7),
                sha256: Some(hex::encode([3; 32])),
                ..File::default()
            },
            text: None,
            view_once: false,
            source: Some(Source::Remote(Box::new(Remote {
                direct_path: "/v/t62".to_owned(),
                url: Some("https://mmg.whatsapp.net/v/t62".to_owned()),
                key: Bytes(vec![1; 32]),
                key_at: Some(1_767_225_600),
                encrypted_sha256: Bytes(vec![2; 32]),
                sha256: Bytes(vec![3; 32]),
                size: 7,
                sidecar: None,
                thumbnail: None,
                waveform: None,
                whence: None,
            }))),
        }
    }

    #[test]
    fn what_is_said_beside_a_file_goes_out_as_apps_send_it() {
        let shown_once = Media {
            text: Some("look".to_owned()),
            view_once: true,
            ..sample()
        };
        let message = write_image(&shown_once).expect("uploaded");
        assert!(message.image_message.as_option().is_none() && message.is_view_once());
        assert!(read(&message) == Some(Content::Image(shown_once)));

        let document = Media {
            text: Some("look".to_owned()),
            media: File {
                file_name: Some("a.pdf".to_owned()),
                ..sample().media
            },
            ..sample()
        };
        let message = write_document(&document).expect("uploaded");
        assert!(message.document_with_caption_message.as_option().is_some());
        assert!(read(&message) == Some(Content::Document(document)));
    }

    #[test]
    fn a_file_that_was_not_uploaded_cannot_be_written() {
        let given = Media {
            source: Some(Source::Url("https://example.com/cat.jpg".to_owned())),
            ..Media::default()
        };
        let writes = [
            write_image,
            write_video,
            write_audio,
            write_voice,
            write_document,
            write_sticker,
        ];
        assert!(writes.iter().all(|write| write(&given).is_none()));
    }

    /// Its sender chooses where it is. The account's token goes to no other host than WhatsApp's.
    #[test]
    fn a_file_that_leads_elsewhere_has_no_place() {
        let write = |change: fn(&mut Remote)| {
            let mut media = sample();
            let Some(Source::Remote(remote)) = &mut media.source else {
                unreachable!("it is uploaded");
            };
            change(remote);
            read(&write_image(&media).expect("uploaded"))
        };
        let unplaced = Media {
            source: None,
            ..sample()
        };
        let led = write(|remote| remote.direct_path = "@evil.example/x".to_owned());
        assert!(led == Some(Content::Image(unplaced)));
        let linked = write(|remote| remote.url = Some("https://evil.example/v/t62".to_owned()));
        let source = linked
            .as_ref()
            .and_then(Content::media)
            .and_then(|media| media.source.as_ref());
        let Some(Source::Remote(remote)) = source else {
            panic!("it has a place");
        };
        assert_eq!((&*remote.direct_path, &remote.url), ("/v/t62", &None));
    }

    #[test]
    fn a_file_that_nobody_can_fetch_is_told_of_all_the_same() {
        let message = wa::Message {
            image_message: MessageField::some(ImageMessage::default()),
            ..wa::Message::default()
        };
        assert!(read(&message) == Some(Content::Image(Media::default())));
    }
}
