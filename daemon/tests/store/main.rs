//! The store, held to what the library's traits promise.
//!
//! Where the library's own in-memory store is a reference, the same expectations run over both stores. Ours is then
//! opened anew over the same table between the steps, so that nothing passes that is only in memory.

mod app_sync;
mod device;
mod durable;
mod early;
mod incoming;
mod known;
mod model;
mod msg_secret;
mod polls;
mod probe;
mod protocol;
mod signal;
mod support;
