//! The way of an event to its webhook, past endpoints that do whatever endpoints do.

mod batches;
mod breaker;
mod costs;
mod costs_of_retries;
mod crowd;
mod days;
mod deleted;
mod faults;
mod order;
mod outages;
mod receiver;
mod rows;
mod runtime;
mod signed;
mod slow;
mod stale;
mod template;
mod tls;
mod world;
