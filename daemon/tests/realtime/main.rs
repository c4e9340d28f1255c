//! The realtime feed under a Socket.IO client that is as small as it can be: who is let in, what is heard, and how it ends.
//! `tests/realtime` holds the local stack to the client that people use.

mod bus;
mod costs;
mod ends;
mod events;
mod handshake;
mod limits;
mod ready;
mod redis;
mod world;
