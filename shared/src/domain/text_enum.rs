//! Enumerations whose variants have one fixed text each, in the API and in the table.

/// Defines an enumeration with `as_str`, `Display`, `FromStr` and the serde traits.
///
/// With `else` it has a variant for texts that a newer version has stored. That variant is not among `ALL`, no text
/// parses as it, and it is never written. [`Reader::known`](crate::storage::item::Reader::known) gives it for an
/// unknown stored text.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }
        $(else $(#[$unknown_doc:meta])* $unknown:ident = $unknown_text:literal)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
            $($(#[$unknown_doc])* #[serde(rename = $unknown_text, skip_deserializing)] $unknown,)?
        }

        impl $name {
            /// Every variant that is known, in the order of definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The one text of this variant.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ $(Self::$unknown => $unknown_text,)? }
            }
        }

        $(impl crate::domain::OrUnknown for $name {
            const UNKNOWN: Self = Self::$unknown;
        })?

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::domain::UnknownText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(crate::domain::UnknownText { wanted: &[$($text),+] }),
                }
            }
        }
    };
}

/// An enumeration that has a reading for what a newer version has stored.
pub trait OrUnknown: std::str::FromStr {
    /// That reading.
    const UNKNOWN: Self;
}

pub(crate) use text_enum;
