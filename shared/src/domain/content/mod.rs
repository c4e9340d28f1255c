//! What messages say. Each kind is a file here and a row of the table below, and [`Content`] and [`Kind`] follow from it.
//!
//! Content reads the same wherever it rests sealed: in a job, where it is to be sent, and in an event, where it came in. A
//! kind's fields have the names that events show. So do those of the [`Context`], which stands beside content of any kind:
//! what is quoted, who is mentioned. What a message's record keeps of it is its [`Kind`].

mod came;
mod contact;
mod context;
mod edit;
mod excerpt;
mod location;
mod media;
mod poll;
mod reaction;
mod revoke;
mod status;
mod target;
mod text;

use serde::{Deserialize, Serialize};

use super::event::EventType;
use super::payload::newest;
use super::text_enum;

pub use came::{Came, Whence};
pub use contact::{Card, Contact, InvalidCards, MAX_CONTACT_NAME, MAX_CONTACTS, MAX_VCARD};
pub use context::{Context, MAX_MENTIONS, MAX_QUOTED, Quoted, Said};
pub use edit::{EDIT_WINDOW, Edit};
pub use excerpt::Excerpt;
pub use location::{Location, MAX_LIVE, MAX_WORDS, MIN_LIVE, Place};
pub use media::{
    Audio, Bytes, Document, File, Image, MAX_CAPTION, MAX_CARRIED, MAX_FILE_NAME, MAX_INLINE, MAX_PART,
    Media, Remote, Source, Sticker, Video, Voice,
};
pub use poll::{Ballot, MAX_OPTION, MAX_OPTIONS, MAX_QUESTION, MIN_OPTIONS, Poll};
pub use reaction::{MAX_EMOJI, Reaction};
pub use revoke::Revoke;
pub use status::Status;
pub use target::{MAX_WHATSAPP_ID, Target};
pub use text::{MAX_SENT, MAX_TOLD, Preview, Text};

/// The versions that readers must know for members that came later than their kinds.
pub const MEMBERS: [u32; 4] = [
    Text::WITH_PREVIEW,
    Location::LIVE,
    Source::VERSION,
    Context::SCORED,
];

/// What a kind's file says of its content.
trait Body {
    /// Leaves out what is more than an event tells. Answers whether there was any.
    fn shorten(&mut self) -> bool;
}

macro_rules! told_as {
    () => {
        EventType::MessageReceived
    };
    ($event:ident) => {
        EventType::$event
    };
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal from $version:literal $(told as $event:ident)?;)+) => {
        text_enum! {
            /// What a message is.
            Kind {
                $($(#[$doc])* $name = $text,)+
                /// Something that this build does not take apart. It is told of, without content, and cannot be sent.
                #[serde(other)]
                Unknown = "unknown",
            }
        }

        impl Kind {
            /// The kinds that one can send.
            pub const SENT: &'static [Self] = &[$(Self::$name),+];

            /// The version that a reader of jobs and events must know to know this kind. Kinds and
            /// [types of events](crate::domain::event::EventType) count as one, and the [`Context`] with them: a new
            /// kind takes the version after the newest of all.
            pub const fn needs(self) -> u32 {
                match self {
                    $(Self::$name => $version,)+
                    Self::Unknown => 1,
                }
            }

            /// The type of the event that tells of a message of this kind that came in.
            pub const fn told_as(self) -> EventType {
                match self {
                    $(Self::$name => told_as!($($event)?),)+
                    Self::Unknown => EventType::MessageReceived,
                }
            }
        }

        /// The version of the newest kind, or of the context or a member where that is newer.
        pub const NEWEST: u32 = newest(&[
            Context::VERSION,
            newest(&MEMBERS),
            $($version),+
        ]);

        /// What a message says. It rests only sealed, and stays out of logs.
        #[derive(Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum Content {
            $($(#[$doc])* #[serde(rename = $text)] $name($name),)+
            /// Something that this build does not take apart.
            #[serde(rename = "unknown", other)]
            Unknown,
        }

        impl Content {
            /// What it is.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$name(_) => Kind::$name,)+
                    Self::Unknown => Kind::Unknown,
                }
            }

            /// Leaves out what is more than an event tells. Answers whether there was any.
            pub fn shorten(&mut self) -> bool {
                match self {
                    $(Self::$name(body) => body.shorten(),)+
                    Self::Unknown => false,
                }
            }
        }
    };
}

kinds! {
    /// Text.
    Text = "text" from 1;
    /// A place.
    Location = "location" from 2;
    /// People out of an address book.
    Contact = "contact" from 3;
    /// A question with answers to choose from.
    Poll = "poll" from 4;
    /// What somebody feels about a message.
    Reaction = "reaction" from 5 told as MessageReaction;
    /// Another text in place of a message's.
    Edit = "edit" from 6 told as MessageEdited;
    /// Taking a message back.
    Revoke = "revoke" from 7 told as MessageRevoked;
    /// A picture.
    Image = "image" from 12;
    /// A moving picture.
    Video = "video" from 12;
    /// A sound.
    Audio = "audio" from 12;
    /// A sound that its sender has spoken.
    Voice = "voice" from 12;
    /// A file of any type.
    Document = "document" from 12;
    /// A small picture without a bubble around it.
    Sticker = "sticker" from 12;
    /// What an account shows its contacts for a day.
    Status = "status" from 21;
}

impl Kind {
    /// Whether a message of this kind only says something about another one. It is no message that somebody received,
    /// nobody answers it, and the account's own are told of too, since they change what others see.
    pub const fn is_about_another(self) -> bool {
        !matches!(self.told_as(), EventType::MessageReceived)
    }
}

impl Content {
    /// The version that a reader of this very content must know, beside that of its [kind](Kind::needs).
    pub fn needs(&self) -> u32 {
        match self {
            Self::Text(text) => text.needs(),
            Self::Location(location) => location.needs(),
            _ => {
                let source = self.media().and_then(|media| media.source.as_ref());
                source.map_or(1, Source::needs)
            }
        }
    }

    /// What one sees of it: of a status, that which it shows.
    pub fn shown(&self) -> &Self {
        match self {
            Self::Status(status) => &status.status,
            _ => self,
        }
    }

    /// Its file, where its kind has one.
    pub fn media(&self) -> Option<&Media> {
        match self.shown() {
            Self::Image(media)
            | Self::Video(media)
            | Self::Audio(media)
            | Self::Voice(media)
            | Self::Document(media)
            | Self::Sticker(media) => Some(media),
            Self::Text(_)
            | Self::Location(_)
            | Self::Contact(_)
            | Self::Poll(_)
            | Self::Reaction(_)
            | Self::Edit(_)
            | Self::Revoke(_)
            | Self::Status(_)
            | Self::Unknown => None,
        }
    }

    /// The same, to be changed.
    pub fn media_mut(&mut self) -> Option<&mut Media> {
        match self {
            Self::Status(status) => status.status.media_mut(),
            Self::Image(media)
            | Self::Video(media)
            | Self::Audio(media)
            | Self::Voice(media)
            | Self::Document(media)
            | Self::Sticker(media) => Some(media),
            Self::Text(_)
            | Self::Location(_)
            | Self::Contact(_)
            | Self::Poll(_)
            | Self::Reaction(_)
            | Self::Edit(_)
            | Self::Revoke(_)
            | Self::Unknown => None,
        }
    }
}

impl super::OrUnknown for Kind {
    const UNKNOWN: Self = Self::Unknown;
}

/// The kind alone.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}(…)", self.kind())
    }
}

/// Leaves the first `most` characters of a text. Answers whether it had more.
fn cut(text: &mut String, most: usize) -> bool {
    let Some((end, _)) = text.char_indices().nth(most) else {
        return false;
    };
    text.truncate(end);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_says_what_it_is() {
        let text = Content::text("hello");
        assert_eq!(text.kind(), Kind::Text);
        assert_eq!(format!("{text:?}"), "Text(…)");
        let json = serde_json::to_string(&text).expect("plain data");
        assert_eq!(json, r#"{"kind":"text","text":"hello"}"#);
        assert_eq!(serde_json::from_str::<Content>(&json).expect("ours"), text);
    }

    #[test]
    fn a_kind_that_only_a_newer_build_knows_reads_as_unknown() {
        let newer = r#"{"kind":"hologram","depth":3}"#;
        let content: Content = serde_json::from_str(newer).expect("something");
        assert_eq!(content, Content::Unknown);
        let kind: Kind = serde_json::from_str(r#""hologram""#).expect("a kind");
        assert_eq!(kind, Kind::Unknown);
        // Whoever names a kind in a request has it right or is told.
        assert!("hologram".parse::<Kind>().is_err());
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let mut text = "añb".to_owned();
        assert!(!cut(&mut text, 3));
        assert!(cut(&mut text, 2));
        assert_eq!(text, "añ");
    }
}
