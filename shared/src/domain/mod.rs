//! What Waxwing is about, free of AWS, HTTP and WhatsApp libraries.

pub mod account;
pub mod address_book;
pub mod audit;
pub mod chats;
pub mod content;
pub mod counting;
pub mod delivery;
pub mod event;
pub mod failure;
pub mod feed;
pub mod instance;
pub mod job;
pub mod links;
pub mod media;
pub mod message;
pub mod network;
pub mod news;
pub mod passkey;
pub mod payload;
pub mod person;
pub mod phone;
pub mod purpose;
pub mod question;
pub mod reason;
pub mod recipient;
pub mod roster;
pub mod shard;
mod text_enum;
pub mod times;
pub mod upload;
pub mod webhook;

pub use text_enum::OrUnknown;
pub(crate) use text_enum::text_enum;

/// A text that is none of an enumeration's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", wanted.join(", "))]
pub struct UnknownText {
    /// The texts that there are.
    pub wanted: &'static [&'static str],
}
