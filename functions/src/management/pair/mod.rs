//! `/pair`: the page on which whoever holds the phone pairs an instance, and what the page asks. Its callers have no account
//! here; the token of a link is what they have.

pub mod code;
pub mod connect;
pub mod page;
pub mod passkey;
pub mod state;

mod language;
mod link;

/// Where the pages are, below the address of the API.
pub const PAGES: &str = "/pair";
