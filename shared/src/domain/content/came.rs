//! What it takes to fetch the file of a message later.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Content, Kind, Remote};
use crate::ids::{MediaId, MessageId};

/// How WhatsApp names a message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Whence {
    /// WhatsApp's id.
    pub whatsapp_id: String,
    /// The JID of its chat.
    pub chat: String,
    /// Whether the account itself wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_me: bool,
    /// The JID of whoever wrote it, in a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<String>,
}

/// Names stay out of logs.
impl fmt::Debug for Whence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whence").finish_non_exhaustive()
    }
}

/// A file that came with a message. It rests sealed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Came {
    /// The message's kind, by which WhatsApp's keys are derived.
    pub kind: Kind,
    /// The file's type, as its sender says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its name, where its sender gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Where it is, without what apps show before they have it.
    pub remote: Remote,
    /// The message that it came with.
    pub whence: Whence,
}

impl Came {
    /// The file of this content; `None` where it has none that can be fetched, or says something of it that no app does. `content`
    /// is what is told of the message, so its texts are not long, and `remote` where its file is.
    pub fn of(content: &Content, remote: &Remote, whence: Whence) -> Option<Self> {
        let file = &content.media()?.media;
        remote.is_plain().then(|| Self {
            kind: content.kind(),
            mime_type: file.mime_type.clone(),
            file_name: file.file_name.clone(),
            remote: Remote {
                url: None,
                sidecar: None,
                thumbnail: None,
                waveform: None,
                whence: None,
                ..remote.clone()
            },
            whence,
        })
    }
}

/// What is known of a file stays out of logs.
impl fmt::Debug for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Came")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl MediaId {
    /// The id of the file that came with a message: the same one whenever the message comes again.
    pub const fn of_message(message: MessageId) -> Self {
        Self::from_bytes(message.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::content::{Bytes, File, Media};

    fn remote() -> Remote {
        Remote {
            direct_path: "/v/t62".to_owned(),
            url: Some("https://mmg.whatsapp.net/v/t62".to_owned()),
            key: Bytes(vec![1; 32]),
            key_at: None,
            encrypted_sha256: Bytes(vec![2; 32]),
            sha256: Bytes(vec![3; 32]),
            size: 7,
            sidecar: Some(Bytes(vec![4; 10_000])),
            thumbnail: Some(Bytes(vec![5; 10_000])),
            waveform: None,
            whence: None,
        }
    }

    fn whence() -> Whence {
        Whence {
            whatsapp_id: "3AFF01".to_owned(),
            chat: "15550100001@s.whatsapp.net".to_owned(),
            from_me: false,
            participant: None,
        }
    }

    fn image() -> Content {
        Content::Image(Media {
            media: File {
                mime_type: Some("image/jpeg".to_owned()),
                ..File::default()
            },
            ..Media::default()
        })
    }

    /// So that it takes one write unit, whatever a sender shows before the file is there.
    #[test]
    fn what_is_known_of_a_file_is_small() {
        let came = Came::of(&image(), &remote(), whence()).expect("it has a file");
        let json = serde_json::to_string(&came).expect("plain data");
        assert!(json.len() < 700, "{} bytes", json.len());
        assert!(serde_json::from_str::<Came>(&json).expect("ours") == came);
        assert!(!format!("{came:?}{:?}", came.whence).contains("1555"));
    }

    #[test]
    fn what_no_app_says_is_not_kept() {
        assert_eq!(Came::of(&Content::text("hello"), &remote(), whence()), None);
        let elsewhere = Remote {
            direct_path: "@evil.example/x".to_owned(),
            ..remote()
        };
        assert_eq!(Came::of(&image(), &elsewhere, whence()), None);
    }
}
