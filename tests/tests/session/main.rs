//! The daemon's WhatsApp sessions against the sandbox: pairing, texts both ways, and what
//! happens when something breaks.

mod away;
mod changes;
mod companion;
mod contacts;
mod context;
mod costs;
mod crowds;
mod failing;
mod faults;
mod files;
mod keys;
mod locations;
mod media;
mod notices;
mod oversize;
mod polls;
mod previews;
mod receipts;
mod sink;
mod statuses;
mod stops;
mod texts;
mod trust;
mod votes;
mod world;
