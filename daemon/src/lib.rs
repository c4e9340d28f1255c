//! The connection daemon: it holds the WhatsApp sockets of the shards it has leases on,
//! drains their queues, and writes what happens to the table and the events queue.
//!
//! `lease` decides which shards are ours. `shard` serves one: `shard::reconcile` keeps its instances as they are
//! wanted, `shard::sends` works off its jobs. `instance` is one instance's connection. `connection` is the port to a
//! WhatsApp session, `whatsapp` its adapter, and `store` the library's storage. `people` knows who is
//! who, and `announce` makes every event. `realtime` tells
//! them to whoever follows along, over connections that are `cuttable`, and `web` is what the daemon answers over HTTP. `meter`
//! counts what it does. `files` gets the files of messages, over `fetch` where a caller named a URL, and
//! `preview` what texts show of the pages that they lead to. `check` asks a daemon whether it lives. `clock` asks the table
//! what time it is.

pub mod announce;
pub mod app;
pub mod check;
pub mod clock;
pub mod connection;
pub mod cuttable;
pub mod deps;
pub mod fetch;
pub mod files;
pub mod instance;
#[cfg(test)]
mod lean;
pub mod lease;
pub mod meter;
pub mod notice;
pub mod passkey;
pub mod people;
pub mod preview;
pub mod realtime;
pub mod service;
pub mod shard;
pub mod stop;
pub mod store;
pub mod web;
pub mod whatsapp;
