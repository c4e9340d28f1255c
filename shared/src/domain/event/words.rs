//! A text that somebody has changed, and that is content: it is left out where content is not told.

use serde::{Deserialize, Deserializer, Serialize};

/// What a text is now, empty where it was taken away; `None` where content is not told.
///
/// As a member it is left out where the text is not changed, and `null` where what it is now is not told.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(pub Option<String>);

impl Words {
    /// The first `most` characters of a text. Answers beside it whether that is all.
    pub fn within(text: &str, most: usize) -> (Self, bool) {
        match text.char_indices().nth(most) {
            None => (Self(Some(text.to_owned())), true),
            Some((end, _)) => (Self(Some(text[..end].to_owned())), false),
        }
    }
}

/// Reads a member that is there, be it `null`: serde by itself takes that for one that is not.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Words>, D::Error> {
    Words::deserialize(deserializer).map(Some)
}

/// Leaves the words out, and not that they were changed.
pub(super) fn bare(words: &mut Option<Words>) {
    if let Some(words) = words {
        words.0 = None;
    }
}

/// What became of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PictureChange {
    /// There is another one.
    Changed,
    /// It was taken away.
    Removed,
}
