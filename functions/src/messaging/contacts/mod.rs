//! `/api/contacts`.

pub mod block;
pub mod check;
mod contact;
pub mod show;
pub mod unblock;

pub use contact::Contact;
