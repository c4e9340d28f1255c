//! Outages while messages go out and come in: the table or the queues away, daemons that stand still, answers about
//! leases that get lost. Afterwards every shard is served, every accepted message is shown once and in its order, every
//! incoming one is recorded, and nothing says `CONNECTED` that is not.
//!
//! `docs/outages.md` says how a case is made and how the long ones are run.

mod case;
mod cases;
mod clocks;
mod printed;
mod secrets;
mod stack;
mod traffic;
mod verdict;
mod world;
