//! Devices: how they are linked, how many there may be, and how the server turns them away.

mod code;
mod companions;
mod names;
mod qr;
mod refusals;
mod session;
