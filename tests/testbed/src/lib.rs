//! What tests of every crate stand on: a table in memory, queues, a clock that stands still, keys, and what can go wrong
//! between a process and all of these. For tests alone: nothing that is shipped depends on it, and it knows neither the
//! functions nor the daemon.
//!
//! | module | what a test has of it |
//! | --- | --- |
//! | [`bucket`] | a bucket in a folder |
//! | [`clock`] | a clock that goes on and can be moved |
//! | [`collector`] | a collector of traces |
//! | [`world`] | a table, a clock and keys; each suite's own world stands on one |
//! | [`table`] | a table in memory by itself |
//! | [`queues`] | the embedded queues, and a way to watch and break what is done with them |
//! | [`relay`] | the fault relay: what networks and services do on bad days, to any call |
//! | [`rights`] | what functions and daemon may do on AWS, to compare with what they do |
//! | [`secrets`] | Secrets Manager's protocol, with one secret |
//! | [`sqs`] | SQS's protocol over the embedded queues |
//! | [`played`] | a daemon that the test plays, for tests of the API |
//! | [`asked`] | what that daemon is asked, and what it answers |
//! | [`caller`] | a caller of the API, in memory or over HTTP |
//! | [`dice`] | random numbers by a seed |
//! | [`config`], [`mail`] | a configuration of the functions; what is in their mails |
//! | [`lambda`] | Lambda's Runtime API, and a function's program behind it |
//! | [`served`] | a router on a free port |
//! | [`socket_io`] | a client of the realtime feed |
//! | [`wait`] | waiting for what must come, with a deadline |

pub mod asked;
pub mod bucket;
pub mod caller;
pub mod clock;
pub mod collector;
pub mod config;
pub mod dice;
pub mod kept;
pub mod lambda;
pub mod mail;
pub mod played;
pub mod queues;
pub mod relay;
pub mod rights;
pub mod secrets;
pub mod served;
pub mod socket_io;
pub mod sqs;
pub mod table;
pub mod wait;
pub mod world;
