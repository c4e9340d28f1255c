//! What files each kind of message may have: one table of sizes and types.
//!
//! Sizes are WhatsApp's own, but for documents: WhatsApp takes 2 GiB, and a daemon keeps each file that it sends on its disk
//! for a while. `docs/media.md` shows the table to users; a test holds the two together.

use std::fmt;

use super::content::Kind;

const MIB: u64 = 1_024 * 1_024;

/// A kind of message that has a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A picture.
    Image,
    /// A moving picture.
    Video,
    /// A sound.
    Audio,
    /// A sound that its sender has spoken.
    Voice,
    /// A file of any type.
    Document,
    /// A small picture without a bubble around it.
    Sticker,
}

impl FileKind {
    /// The same of a kind; `None` of one that has no file of its own.
    pub const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Image => Some(Self::Image),
            Kind::Video => Some(Self::Video),
            Kind::Audio => Some(Self::Audio),
            Kind::Voice => Some(Self::Voice),
            Kind::Document => Some(Self::Document),
            Kind::Sticker => Some(Self::Sticker),
            Kind::Text
            | Kind::Location
            | Kind::Contact
            | Kind::Poll
            | Kind::Reaction
            | Kind::Edit
            | Kind::Revoke
            | Kind::Status
            | Kind::Unknown => None,
        }
    }
}

impl From<FileKind> for Kind {
    fn from(kind: FileKind) -> Self {
        match kind {
            FileKind::Image => Self::Image,
            FileKind::Video => Self::Video,
            FileKind::Audio => Self::Audio,
            FileKind::Voice => Self::Voice,
            FileKind::Document => Self::Document,
            FileKind::Sticker => Self::Sticker,
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Kind::from(*self), f)
    }
}

/// What files one kind of message may have.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The kind.
    pub kind: FileKind,
    /// The largest file, in bytes.
    pub max_bytes: u64,
    /// The types that go out as they are; none where each does.
    pub types: &'static [&'static str],
    /// The types that are made into the first of `types` before.
    pub converted: &'static [&'static str],
}

/// A rule for each kind that has a file.
pub const RULES: [Rule; 6] = [
    Rule {
        kind: FileKind::Image,
        max_bytes: 16 * MIB,
        types: &["image/jpeg", "image/png"],
        converted: &["image/webp", "image/gif"],
    },
    Rule {
        kind: FileKind::Video,
        max_bytes: 16 * MIB,
        types: &["video/mp4", "video/3gpp"],
        converted: &[],
    },
    Rule {
        kind: FileKind::Audio,
        max_bytes: 16 * MIB,
        types: &["audio/mpeg", "audio/mp4", "audio/aac", "audio/amr", "audio/ogg"],
        converted: &[],
    },
    Rule {
        kind: FileKind::Voice,
        max_bytes: 16 * MIB,
        types: &["audio/ogg"],
        converted: &["audio/wav", "audio/mpeg"],
    },
    Rule {
        kind: FileKind::Document,
        max_bytes: 256 * MIB,
        types: &[],
        converted: &[],
    },
    Rule {
        kind: FileKind::Sticker,
        max_bytes: 16 * MIB,
        types: &["image/webp"],
        converted: &["image/png", "image/jpeg", "image/gif"],
    },
];

/// Whether a message of this kind may have a file: one of its own, or that of what it shows.
pub fn may_have_file(kind: Kind) -> bool {
    kind == Kind::Status || Rule::of(kind).is_some()
}

impl Rule {
    /// The rule of this kind; `None` for one that has no file.
    pub fn of(kind: Kind) -> Option<&'static Self> {
        let kind = FileKind::of(kind)?;
        RULES.iter().find(|rule| rule.kind == kind)
    }

    /// Whether a file of this type may be given, by its type without parameters.
    pub fn takes(&self, mime_type: &str) -> bool {
        let essence = essence(mime_type);
        self.types.is_empty()
            || self
                .types
                .iter()
                .chain(self.converted)
                .any(|known| essence.eq_ignore_ascii_case(known))
    }
}

/// A type without its parameters, in lower case, by the one name that the table has for it.
pub fn essence(mime_type: &str) -> String {
    let essence = mime_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let usual = match &*essence {
        "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "audio/wav",
        "audio/mp3" | "audio/x-mp3" => "audio/mpeg",
        "audio/m4a" | "audio/x-m4a" => "audio/mp4",
        "audio/x-aac" | "audio/aacp" => "audio/aac",
        "audio/opus" | "application/ogg" => "audio/ogg",
        "image/jpg" | "image/pjpeg" => "image/jpeg",
        "image/x-png" => "image/png",
        "video/x-m4v" | "video/m4v" => "video/mp4",
        _ => return essence,
    };
    usual.to_owned()
}

/// Whether a text is a type: two names with a slash between them, and perhaps parameters (RFC 2045, 5.1).
pub fn is_mime_type(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let is_plain = text.len() <= 255 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let essence = text.split(';').next().unwrap_or_default().trim();
    let halves = essence.split_once('/');
    is_plain && halves.is_some_and(|(kind, name)| is_name(kind) && is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table that users read.
    const DOCUMENT: &str = include_str!("../../../docs/media.md");

    #[test]
    fn the_document_has_a_row_for_each_rule_and_no_other() {
        let rows: Vec<&str> = DOCUMENT.lines().filter(|line| line.starts_with("| `")).collect();
        let list = |types: &[&str], none: &str| {
            let types: Vec<_> = types.iter().map(|one| format!("`{one}`")).collect();
            if types.is_empty() {
                none.to_owned()
            } else {
                types.join(", ")
            }
        };
        let wanted: Vec<String> = RULES
            .iter()
            .map(|rule| {
                let (as_is, made) = (list(rule.types, "every type"), list(rule.converted, ""));
                let most = rule.max_bytes / MIB;
                format!("| `{}` | {most} MiB | {as_is} | {made} |", rule.kind).replace("|  |", "| |")
            })
            .collect();
        assert_eq!(rows, wanted, "docs/media.md");
    }

    #[test]
    fn a_kind_has_a_rule_where_it_has_a_file() {
        for kind in Kind::SENT {
            let rule = Rule::of(*kind).map(|rule| Kind::from(rule.kind));
            assert_eq!(rule, FileKind::of(*kind).map(|_| *kind));
        }
    }

    #[test]
    fn types_are_known_by_their_other_names() {
        let rule = |kind| Rule::of(kind).expect("it has a file");
        assert!(rule(Kind::Voice).takes("Audio/OGG; codecs=opus") && rule(Kind::Voice).takes("audio/x-wav"));
        assert!(!rule(Kind::Voice).takes("audio/flac") && !rule(Kind::Image).takes("text/html"));
        assert!(rule(Kind::Document).takes("application/x-anything"));
        assert_eq!(Rule::of(Kind::Text), None);
    }

    #[test]
    fn a_type_has_two_names() {
        for text in ["image/png", "audio/ogg; codecs=opus", "application/vnd.ms-excel"] {
            assert!(is_mime_type(text), "{text}");
        }
        for text in [
            "",
            "image",
            "image/",
            "/png",
            "image/p ng",
            "a/b\n",
            "ä/b",
            "image/png/x",
        ] {
            assert!(!is_mime_type(text), "{text}");
        }
    }
}
