//! The realtime feed, as a client of it: Socket.IO over WebSocket.
//!
//! [`packet`] reads and writes what is framed, [`socket`] is one connection, and [`follow`] stays connected: it comes back, resumes
//! from the event that it had last, and says where something is missing.

pub mod follow;
pub mod packet;
pub mod socket;
