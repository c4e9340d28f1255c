//! What is told of a message that came in.

use serde::{Deserialize, Serialize};

use super::{Content, Kind};

/// A message's content or, where that can be stored nowhere, what it was.
#[expect(
    clippy::large_enum_variant,
    reason = "content is the rule, and its kind alone the exception"
)]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Excerpt {
    /// What it says.
    Content(Content),
    /// What it says since it was edited, where it is no text: the words beside what it shows.
    Reworded {
        /// Its kind.
        kind: Kind,
        /// The words.
        text: String,
    },
    /// What it is.
    KindAlone {
        /// Its kind.
        kind: Kind,
    },
}

impl Excerpt {
    /// What the message is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Content(content) => content.kind(),
            Self::Reworded { kind, .. } | Self::KindAlone { kind } => *kind,
        }
    }

    /// The same without content.
    #[must_use]
    pub const fn without_content(&self) -> Self {
        Self::KindAlone { kind: self.kind() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Excerpt {
        serde_json::from_str(json).expect("an excerpt")
    }

    #[test]
    fn a_kind_is_told_with_its_content_or_alone() {
        let whole = Excerpt::Content(Content::text("hello"));
        let told = serde_json::to_string(&whole).expect("plain data");
        assert_eq!(told, r#"{"kind":"text","text":"hello"}"#);
        assert!(read(&told) == whole);
        let alone = whole.without_content();
        let told = serde_json::to_string(&alone).expect("plain data");
        assert_eq!(told, r#"{"kind":"text"}"#);
        assert!(read(&told) == alone && alone.kind() == Kind::Text);
    }

    /// As builds wrote them that knew texts alone.
    #[test]
    fn excerpts_of_before_are_read() {
        assert!(read(r#"{"kind":"text","text":null}"#) == Excerpt::KindAlone { kind: Kind::Text });
        assert!(read(r#"{"kind":"unknown","text":null}"#) == Excerpt::Content(Content::Unknown));
    }
}
