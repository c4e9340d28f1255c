//! Files that callers upload, to send them.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::media::RULES;

/// The largest file that may be uploaded, in bytes: the largest that any kind of message takes. Most have a lower limit.
pub const MAX_UPLOAD: u64 = largest();

/// How many files an instance may announce in a day (UTC).
pub const MAX_UPLOADS_A_DAY: u32 = 1_000;

/// How many bytes these files may have together.
pub const MAX_UPLOADED_A_DAY: u64 = 8 * 1024 * 1024 * 1024;

/// How long an upload may be used.
pub const UPLOAD_TERM: TimeDelta = TimeDelta::hours(24);

/// How long a signed URL is good.
pub const URL_TERM: TimeDelta = TimeDelta::minutes(15);

const fn largest() -> u64 {
    let (mut most, mut index) = (0, 0);
    while index < RULES.len() {
        if RULES[index].max_bytes > most {
            most = RULES[index].max_bytes;
        }
        index += 1;
    }
    most
}

/// The media type of a file, such as `image/jpeg` or `audio/ogg; codecs=opus` (RFC 9110, 8.3.1), in lower case but for
/// parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MimeType(String);

/// A text that is no media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a media type such as `image/jpeg`, of {} characters at most",
    MimeType::LONGEST
)]
pub struct InvalidMimeType;

impl MimeType {
    /// The longest, in characters.
    pub const LONGEST: usize = 127;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type and subtype alone, in lower case.
    pub fn essence(&self) -> &str {
        self.0.split(';').next().unwrap_or_default().trim_end()
    }
}

impl FromStr for MimeType {
    type Err = InvalidMimeType;

    fn from_str(text: &str) -> Result<Self, InvalidMimeType> {
        let (essence, parameters) = match text.split_once(';') {
            Some((essence, parameters)) => (essence, Some(parameters)),
            None => (text, None),
        };
        let is_token = |part: &str| {
            let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            !part.is_empty() && part.bytes().all(of_token)
        };
        let is_fine = text.len() <= Self::LONGEST
            && essence
                .trim_end_matches(' ')
                .split_once('/')
                .is_some_and(|(kind, of_kind)| is_token(kind) && is_token(of_kind))
            && parameters.is_none_or(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        if !is_fine {
            return Err(InvalidMimeType);
        }
        let essence = essence.trim_end_matches(' ').to_ascii_lowercase();
        Ok(Self(match parameters {
            Some(parameters) => format!("{essence};{parameters}"),
            None => essence,
        }))
    }
}

/// The name of a file: no path, and nothing that a screen does not show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

/// A text that is no file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must have 1 to {} characters, and no control characters, `/` or `\\`",
    FileName::LONGEST
)]
pub struct InvalidFileName;

impl FileName {
    /// The longest, in characters.
    pub const LONGEST: usize = 255;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FileName {
    type Err = InvalidFileName;

    fn from_str(text: &str) -> Result<Self, InvalidFileName> {
        let is_wrong = |letter: char| letter.is_control() || matches!(letter, '/' | '\\');
        let is_fine = (1..=Self::LONGEST).contains(&text.chars().count()) && !text.contains(is_wrong);
        if is_fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidFileName)
        }
    }
}

macro_rules! as_texts {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

as_texts!(MimeType, FileName);

/// What is told of a file that a caller uploads. It rests sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<FileName>,
    /// Its type, as its sender says.
    pub mime_type: MimeType,
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("About")
            .field("mime_type", &self.mime_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_has_two_parts_and_perhaps_parameters() {
        for (text, parsed) in [
            ("image/jpeg", "image/jpeg"),
            ("Image/SVG+xml", "image/svg+xml"),
            ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
            ("audio/ogg ;codecs=\"opus\"", "audio/ogg;codecs=\"opus\""),
        ] {
            let mime: MimeType = text.parse().expect(text);
            assert_eq!(mime.as_str(), parsed);
        }
        let mime: MimeType = "audio/OGG; codecs=opus".parse().expect("fine");
        assert_eq!(mime.essence(), "audio/ogg");
        let long = format!("a/{}", "b".repeat(126));
        for text in [
            "",
            "image",
            "image/",
            "/png",
            "a/b/c",
            "a b/c",
            "a/b\r\nx: y",
            "a/b;ü",
            &long,
        ] {
            assert_eq!(text.parse::<MimeType>(), Err(InvalidMimeType), "{text}");
        }
    }

    #[test]
    fn a_file_name_is_no_path_and_is_shown_as_it_is() {
        for text in ["a", "Übersicht 2026 (2).pdf", "…", &"x".repeat(255)] {
            assert!(text.parse::<FileName>().is_ok(), "{text}");
        }
        for text in ["", "a/b", "a\\b", "a\nb", "a\u{7f}", &"x".repeat(256)] {
            assert_eq!(text.parse::<FileName>(), Err(InvalidFileName), "{text}");
        }
    }
}
