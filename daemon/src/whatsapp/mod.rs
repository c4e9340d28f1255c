//! WhatsApp sessions on `whatsapp-rust`: the adapter of [`crate::connection`].
//!
//! Every session is a client of its own on its own stored state. The library's own reconnecting is off: a session
//! that ends says why, and the holder of the lease decides whether there is another. Only the login after pairing is
//! part of the same session; WhatsApp asks for it by closing the stream.

mod absent;
mod address_book;
mod chats;
mod content;
mod crowds;
mod download;
mod ending;
mod events;
mod explain;
mod failure;
mod following;
mod http;
mod inbound;
mod keys_only;
mod network;
mod notices;
mod outlet;
mod own_chat;
mod pairing;
mod passkey;
mod people;
mod polls;
mod presence;
mod questions;
mod readable;
mod resend;
mod runtime;
mod secrets;
mod session;
mod settings;
mod sockets;
mod spool;
mod status_privacy;
mod statuses;
mod stops;
mod time;
mod trust;

mod transport;
mod upload;
mod versions;

pub use http::{Http, HttpError};
pub use network::NETWORK;
pub use settings::{Settings, WhatsAppConnector};
pub use spool::{Spool, Writer};
pub use time::go_by;
