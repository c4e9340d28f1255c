//! `/api/chats` and `/api/presence`, with the daemon played by the test.

mod activity;
mod once;
mod presence;
mod read;
mod settings;
