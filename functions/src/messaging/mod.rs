//! What a program does through an instance: send messages and see what became of them.

mod asking;
mod chats;
mod contacts;
mod endpoints;
mod groups;
pub(crate) mod idempotency;
mod instance;
mod media;
pub(crate) mod messages;
pub(crate) mod people;
mod state;
mod stats;
mod webhook;

pub use endpoints::endpoints;
pub use state::MessagingState;
