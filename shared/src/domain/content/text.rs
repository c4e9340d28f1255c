//! Text.

use serde::{Deserialize, Serialize};

use super::{Body, Bytes, Content, cut};
use crate::domain::links;

/// The longest text that one can send, in Unicode scalar values.
pub const MAX_SENT: usize = 4_096;

/// The longest text that an event tells, in Unicode scalar values: as much as WhatsApp's apps
/// let one write. A longer one is cut, and the event says so. In JSON, sealed and in base64 it
/// stays below what a queue takes, whatever its characters.
pub const MAX_TOLD: usize = 65_536;

/// A text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Text {
    /// The text itself.
    pub text: String,
    /// Whether it goes out with a preview of the page that its first link leads to. Set only where the text has a link.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub link_preview: bool,
    /// What was found of that page, once it was looked for. It is looked for when the text is sent, and is stored nowhere.
    #[serde(skip)]
    pub preview: Option<Box<Preview>>,
}

/// What a text shows of the page that its first link leads to.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// The link, as it stands in the text.
    pub link: String,
    /// What the page is called.
    pub title: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// A small JPEG.
    pub thumbnail: Option<Bytes>,
}

/// What pages say stays out of logs.
impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preview").finish_non_exhaustive()
    }
}

impl Text {
    /// The version that a reader must know to give a text its preview. It counts with those of [kinds](super::Kind::needs).
    pub const WITH_PREVIEW: u32 = 20;

    /// A text that goes out with a preview if it is wanted, and there is a link.
    pub fn with_preview(text: String, is_wanted: bool) -> Self {
        Self {
            link_preview: is_wanted && links::first(&text).is_some(),
            preview: None,
            text,
        }
    }

    /// The version that a reader of this very text must know.
    pub const fn needs(&self) -> u32 {
        if self.link_preview { Self::WITH_PREVIEW } else { 1 }
    }
}

impl Content {
    /// A text that says this, without a preview.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text::with_preview(text.into(), false))
    }
}

impl Body for Text {
    fn shorten(&mut self) -> bool {
        cut(&mut self.text, MAX_TOLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_with_a_link_has_a_preview() {
        for (text, is_wanted, has_one) in [
            ("look: https://example.com/a", true, true),
            ("look: https://example.com/a", false, false),
            ("nothing to see", true, false),
        ] {
            let text = Text::with_preview(text.to_owned(), is_wanted);
            assert_eq!(text.link_preview, has_one, "{}", text.text);
            let needs = if has_one { Text::WITH_PREVIEW } else { 1 };
            assert_eq!(text.needs(), needs);
            let json = serde_json::to_string(&Content::Text(text.clone())).expect("plain data");
            assert_eq!(json.contains("linkPreview"), has_one, "{json}");
            let read: Content = serde_json::from_str(&json).expect("ours");
            assert!(read == Content::Text(text));
        }
    }
}
