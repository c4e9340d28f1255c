//! Real clients (`whatsapp-rust` on its default settings) against a sandbox of their own each.

mod client;
mod net;
mod raw;
mod web;

mod app_state;
mod crash;
mod devices;
mod faults;
mod groups;
mod history;
mod hostile;
mod media;
mod messages;
mod offline;
mod pairing;
mod people;
mod pictures;
mod repair;
mod script;
mod status;
mod texts;
