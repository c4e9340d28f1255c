//! The connection daemon: it holds the WhatsApp sockets of the shards it has leases on,
//! drains their queues, and writes what happens to the table and the events queue.

pub mod lease;
