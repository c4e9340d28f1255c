//! The wire side: WebSocket, Noise, stanzas.

pub(crate) mod certificates;
pub(crate) mod connection;
pub(crate) mod delivery;
pub(crate) mod frames;
pub(crate) mod handshake;
pub(crate) mod listener;
pub(crate) mod login;
mod pace;
pub(crate) mod refusals;
pub(crate) mod registry;
pub(crate) mod router;
pub(crate) mod writer;
