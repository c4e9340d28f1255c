//! What a daemon does with its shards and their instances, over an embedded table and
//! queue, with the network played by the test.

mod accounts;
mod beats;
mod changes;
mod connections;
mod daemons;
mod events;
mod farewells;
mod faults;
mod in_hand;
mod inbound;
mod keepers;
mod looks;
mod messages;
mod network;
mod newer;
mod outages;
mod pacing;
mod pairing;
mod pairing_code;
mod people;
mod poison;
mod questions;
mod queue;
mod reachout;
mod recalls;
mod receipts;
mod scheduled;
mod sends;
mod stops;
mod suspension;
mod typing;
mod votes;
mod waits;
mod world;
