//! Real clients (`whatsapp-rust` on its default settings) against a sandbox of their own each.

mod client;
mod net;

mod crash;
mod devices;
mod hostile;
mod offline;
mod pairing;
mod repair;
mod texts;
