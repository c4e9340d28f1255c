//! The phones: each a person's primary device, with its own identity, sessions and inbox.
//!
//! A phone has no socket. It lives beside the server and takes its stanzas from the same queue as any client
//! (device 0 of its account); what its inbox shows, it decrypted itself. Everything one stanza does to a phone
//! is one unit of work in the store: inbox, Signal session, receipt and the stanza's end in the queue.

pub(crate) mod adv;
pub(crate) mod app_state;
pub(crate) mod auto_reply;
pub(crate) mod chats;
pub(crate) mod compose;
pub(crate) mod content;
pub(crate) mod gallery;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod inbox;
pub(crate) mod key_share;
pub(crate) mod link_code;
pub(crate) mod media;
pub(crate) mod passkey;
pub(crate) mod peer;
pub(crate) mod reading;
pub(crate) mod receive;
pub(crate) mod resend;
pub(crate) mod reupload;
pub(crate) mod room;
pub(crate) mod runner;
pub(crate) mod salt;
pub(crate) mod secrets;
pub(crate) mod send;
pub(crate) mod shape;
pub(crate) mod signal;
