//! Whether a text shows anything.

use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use crate::http::Fields;

/// Why a text of the right length is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Illegible {
    /// Android's apps keep texts in `SQLite` and iPhone's in C strings, which end at a NUL: the rest would be lost.
    #[error("must have no NUL character")]
    Nul,
    /// An app shows an empty bubble, or nothing.
    #[error("must show something: white space and invisible characters alone do not")]
    Blank,
}

/// The same rule for the OpenAPI document: a character that shows, and no NUL. It leaves out the invisible characters
/// beyond the basic plane.
pub const PATTERN: &str = concat!(
    r"^[^\u0000]*",
    r"[^\u0000-\u0020\u007F-\u00A0\u00AD\u034F\u061C\u115F\u1160\u1680\u17B4\u17B5\u180B-\u180F",
    r"\u2000-\u200F\u2028-\u202F\u205F-\u206F\u2800\u3000\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8]",
    r"[^\u0000]*$",
);

/// The schema of a text that [`require`] takes.
pub fn schema(most: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(most))
        .pattern(Some(PATTERN))
}

/// The same of one that may be left out.
pub fn nullable(most: usize) -> ObjectBuilder {
    schema(most).schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

/// Notes what is wrong with a text that people are to read, of `most` characters at most.
pub fn require(fields: &mut Fields, name: &str, text: &str, most: usize) {
    if (1..=most).contains(&text.chars().count()) {
        fields.check(name, check(text));
    } else {
        fields.fault(name, format!("must have 1 to {most} characters"));
    }
}

/// Refuses a text that an app would not show as it was sent.
fn check(text: &str) -> Result<(), Illegible> {
    if text.contains('\0') {
        Err(Illegible::Nul)
    } else if text.chars().all(is_invisible) {
        Err(Illegible::Blank)
    } else {
        Ok(())
    }
}

/// White space, control characters, characters that Unicode lets be ignored where they cannot be shown
/// (`Default_Ignorable_Code_Point`), and the empty Braille pattern.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_nothing_is_refused() {
        for text in [
            " ",
            "\n\t\r ",
            "\u{a0}\u{3000}\u{2003}",
            "\u{200b}\u{200d}\u{feff}",
            "\u{2800}",
            "\u{3164}",
            "\u{1}\u{7f}",
            "\u{e0041}",
            "\u{fe0f}",
        ] {
            assert_eq!(check(text), Err(Illegible::Blank), "{text:?}");
        }
        for text in ["\0", "before\0after"] {
            assert_eq!(check(text), Err(Illegible::Nul), "{text:?}");
        }
        for text in ["a", " \u{200b}.", "👨\u{200d}👩", "❤\u{fe0f}", "नमस्ते", "\u{301}"] {
            assert_eq!(check(text), Ok(()), "{text:?}");
        }
    }
}
