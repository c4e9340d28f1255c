//! What a program does through an instance: send messages and see what became of them.

mod asking;
mod chats;
mod contacts;
mod endpoints;
mod groups;
mod idempotency;
mod instance;
mod media;
pub(crate) mod messages;
pub(crate) mod people;
mod state;
mod stats;
mod webhook;

pub use endpoints::endpoints;
pub(crate) use idempotency::other_request;
pub use state::MessagingState;
