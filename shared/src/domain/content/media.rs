//! Files: pictures, videos, sounds, documents and stickers.
//!
//! One shape serves both ways. What came in tells of its file by [`Media::media`]. What goes out says beside it where its
//! bytes come from ([`Media::source`]), which no event tells.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Body, MAX_TOLD, Whence, cut};
use crate::bucket::ObjectName;
use crate::ids::MediaId;

/// The longest text below a file that one can send, in Unicode scalar values.
pub const MAX_CAPTION: usize = 1_024;

/// The longest name of a document, sent or told, in Unicode scalar values.
pub const MAX_FILE_NAME: usize = 255;

/// The largest file that a request in JSON carries in itself, in bytes.
pub const MAX_INLINE: usize = 256 * 1_024;

/// The largest file that a form carries, in bytes.
pub const MAX_PART: usize = 4 * 1_024 * 1_024;

/// The largest file that a job carries in itself, in bytes: about as much as a long text. A larger one goes to the bucket.
pub const MAX_CARRIED: usize = 8 * 1_024;

/// The longest type of a file that is told, in characters. Senders may write anything.
const MAX_TYPE: usize = 255;

/// The longest path of a file at WhatsApp that is followed, in bytes. WhatsApp's have some two hundred.
const MAX_PATH: usize = 2_048;

/// The longest key or hash of a file that is believed, in bytes. WhatsApp's have 32.
const MAX_DIGEST: usize = 64;

/// What the names of WhatsApp's media hosts end in.
const MEDIA_HOSTS: &str = ".whatsapp.net";

/// A picture.
pub type Image = Media;
/// A moving picture.
pub type Video = Media;
/// A sound, such as a piece of music.
pub type Audio = Media;
/// A sound that its sender has spoken: apps show its waveform, and tell when it was played.
pub type Voice = Media;
/// A file of any type.
pub type Document = Media;
/// A small picture without a bubble around it.
pub type Sticker = Media;

/// A file, and what is said beside it.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Media {
    /// The file, as far as it is known: of one that goes out, what its sender says of it.
    pub media: File,
    /// The text below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether apps show it once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub view_once: bool,
    /// Where its bytes are. Events never tell it: whoever has it reads the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// What events tell of a file.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct File {
    /// Its id here, where it can be had by one.
    pub id: Option<MediaId>,
    /// Its type, as its sender says.
    pub mime_type: Option<String>,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its name, where its sender gives one.
    pub file_name: Option<String>,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// How long it plays.
    pub seconds: Option<u32>,
    /// Its width in pixels.
    pub width: Option<u32>,
    /// Its height in pixels.
    pub height: Option<u32>,
    /// Whether its sender has spoken it.
    pub voice: bool,
    /// Whether it moves though it is no video.
    pub animated: bool,
}

/// Where a file's bytes are.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// To be fetched from there.
    Url(String),
    /// Uploaded to our bucket under this id.
    Upload(MediaId),
    /// Here.
    Inline(Bytes),
    /// In our bucket under this name, for this message alone.
    Stored(ObjectName),
    /// At WhatsApp, encrypted.
    Remote(Box<Remote>),
}

/// A file at WhatsApp: where it is, what opens it, and what apps show before they have it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remote {
    /// The path on WhatsApp's media hosts.
    pub direct_path: String,
    /// The whole URL, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The key that opens it: a secret of 32 bytes.
    pub key: Bytes,
    /// When the key was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_at: Option<i64>,
    /// The SHA-256 of what lies there.
    pub encrypted_sha256: Bytes,
    /// The SHA-256 of the file itself.
    pub sha256: Bytes,
    /// The file's length in bytes.
    pub size: u64,
    /// The MACs of its parts, by which a video or a sound plays before all of it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<Bytes>,
    /// A small picture of it: a JPEG, of stickers a PNG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<Bytes>,
    /// How loud a voice message is from its beginning to its end: 64 values of 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waveform: Option<Bytes>,
    /// The message that it came with, where it goes out with another one: the phone is asked for it by that, where WhatsApp has
    /// lost it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whence: Option<Whence>,
}

impl Remote {
    /// Whether it says what apps say: a path that is nothing but a path, and a key and hashes of no odd length. Its sender chooses
    /// all of it, and the account's own token goes to whatever host it leads to: a path without its `/` would name that host.
    pub fn is_plain(&self) -> bool {
        let hashes = [&self.key, &self.encrypted_sha256, &self.sha256];
        is_plain_path(&self.direct_path) && hashes.iter().all(|bytes| bytes.0.len() <= MAX_DIGEST)
    }

    /// Its URL, where that leads to one of WhatsApp's media hosts.
    pub fn url_at_whatsapp(&self) -> Option<&str> {
        let url = self.url.as_deref()?;
        let rest = url.strip_prefix("https://")?;
        let (host, path) = rest.split_at(rest.find('/')?);
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
        let is_theirs = host.ends_with(MEDIA_HOSTS) && host.chars().all(is_name);
        (is_theirs && is_plain_path(path)).then_some(url)
    }
}

/// Whether this is the path of a URL, with or without a query, and nothing else.
fn is_plain_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@?".contains(&byte);
    path.len() <= MAX_PATH && path.starts_with('/') && !path.starts_with("//") && path.bytes().all(is_plain)
}

impl Source {
    /// The version that a reader must know to know [`Source::Stored`]. It counts with those of
    /// [kinds](super::Kind::needs).
    pub const VERSION: u32 = 18;

    /// The version that a reader of this very source must know.
    pub const fn needs(&self) -> u32 {
        match self {
            Self::Url(_) | Self::Upload(_) | Self::Inline(_) | Self::Remote(_) => 1,
            Self::Stored(_) => Self::VERSION,
        }
    }
}

/// Bytes that read as base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Body for Media {
    /// Where its bytes are goes as well, and does not count as left out.
    fn shorten(&mut self) -> bool {
        self.source = None;
        let File {
            mime_type, file_name, ..
        } = &mut self.media;
        let mut is_cut = false;
        for (text, most) in [
            (&mut self.text, MAX_TOLD),
            (mime_type, MAX_TYPE),
            (file_name, MAX_FILE_NAME),
        ] {
            is_cut |= text.as_mut().is_some_and(|text| cut(text, most));
        }
        is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::Area;
    use crate::domain::content::{Content, Kind};
    use crate::ids::InstanceId;

    fn remote() -> Remote {
        Remote {
            direct_path: "/v/t62".to_owned(),
            url: None,
            key: Bytes(vec![1; 32]),
            key_at: Some(1_767_225_600),
            encrypted_sha256: Bytes(vec![2; 32]),
            sha256: Bytes(vec![3; 32]),
            size: 7,
            sidecar: None,
            thumbnail: Some(Bytes(vec![4])),
            waveform: None,
            whence: None,
        }
    }

    /// Whoever sends a file says where it is, and the account's token goes there.
    #[test]
    fn a_path_leads_to_no_other_host() {
        let at = |path: &str| Remote {
            direct_path: path.to_owned(),
            ..remote()
        };
        for plain in ["/v/t62", "/v/t62.7118-24/1_n.enc?ccb=11-4&oh=01_Q5A-a%3D&oe=68"] {
            assert!(at(plain).is_plain(), "{plain}");
        }
        let long = format!("/{}", "x".repeat(MAX_PATH));
        for odd in [
            "",
            "v/t62",
            "@evil.example/x",
            ".evil.example/x",
            ":8443/x",
            "//evil.example/x",
            "/\\evil.example",
            "/x#y",
            "/a b",
            "/a\r\nb",
            "/é",
            &long,
        ] {
            assert!(!at(odd).is_plain(), "{odd:?}");
        }
        let long = Bytes(vec![1; MAX_DIGEST + 1]);
        assert!(
            !Remote {
                key: long.clone(),
                ..remote()
            }
            .is_plain()
        );
        assert!(
            !Remote {
                sha256: long.clone(),
                ..remote()
            }
            .is_plain()
        );
        assert!(
            !Remote {
                encrypted_sha256: long,
                ..remote()
            }
            .is_plain()
        );
    }

    #[test]
    fn only_a_url_of_whatsapp_is_passed_on() {
        let at = |url: &str| Remote {
            url: Some(url.to_owned()),
            ..remote()
        };
        for theirs in [
            "https://mmg.whatsapp.net/v/t62?ccb=1",
            "https://media-fra3-1.cdn.whatsapp.net/v",
        ] {
            assert_eq!(at(theirs).url_at_whatsapp(), Some(theirs));
        }
        for odd in [
            "http://mmg.whatsapp.net/v",
            "https://evil.example/v",
            "https://mmg.whatsapp.net@evil.example/v",
            "https://evilwhatsapp.net/v",
            "https://evil.example?.whatsapp.net/v",
            "https://mmg.whatsapp.net",
            "https://mmg.whatsapp.net//v",
            "https://mmg.whatsapp.net/v#x",
        ] {
            assert_eq!(at(odd).url_at_whatsapp(), None, "{odd}");
        }
    }

    #[test]
    fn a_file_reads_as_an_event_tells_it() {
        let media = Media {
            media: File {
                mime_type: Some("image/png".to_owned()),
                size: Some(7),
                width: Some(2),
                ..File::default()
            },
            text: Some("look".to_owned()),
            ..Media::default()
        };
        let content = Content::Image(media);
        let json = serde_json::to_string(&content).expect("plain data");
        let told = concat!(
            r#"{"kind":"image","media":{"id":null,"mimeType":"image/png","size":7,"fileName":null,"sha256":null,"#,
            r#""seconds":null,"width":2,"height":null,"voice":false,"animated":false},"text":"look"}"#,
        );
        assert_eq!(json, told);
        assert!(serde_json::from_str::<Content>(&json).expect("ours") == content);
        assert_eq!(
            (content.kind(), format!("{content:?}")),
            (Kind::Image, "Image(…)".to_owned())
        );
    }

    #[test]
    fn where_a_file_is_rests_with_a_job_and_is_not_told() {
        for source in [
            Source::Url("https://example.com/a%20b?c=%2B".to_owned()),
            Source::Upload(MediaId::from_bytes([1; 16])),
            Source::Inline(Bytes(vec![0, 255])),
            Source::Stored(ObjectName::new(
                Area::Later,
                InstanceId::from_bytes([1; 16]),
                "msg_01JD",
            )),
            Source::Remote(Box::new(remote())),
        ] {
            let mut content = Content::Document(Media {
                source: Some(source),
                view_once: true,
                ..Media::default()
            });
            let json = serde_json::to_string(&content).expect("plain data");
            assert!(serde_json::from_str::<Content>(&json).expect("ours") == content);
            assert!(!content.shorten(), "nothing that is told was left out");
            let json = serde_json::to_string(&content).expect("plain data");
            assert!(
                !json.contains("source") && json.contains(r#""viewOnce":true"#),
                "{json}"
            );
        }
    }

    #[test]
    fn what_a_sender_made_long_is_cut() {
        let mut media = Media {
            media: File {
                file_name: Some("x".repeat(MAX_FILE_NAME + 1)),
                mime_type: Some("x".repeat(MAX_TYPE + 1)),
                ..File::default()
            },
            text: Some("x".repeat(MAX_TOLD + 1)),
            ..Media::default()
        };
        assert!(media.shorten());
        let File {
            file_name, mime_type, ..
        } = &media.media;
        let lengths = [&media.text, file_name, mime_type].map(|text| text.as_ref().map(String::len));
        assert_eq!(lengths, [Some(MAX_TOLD), Some(MAX_FILE_NAME), Some(MAX_TYPE)]);
    }
}
