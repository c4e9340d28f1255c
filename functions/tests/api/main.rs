//! The HTTP API, its routers called in memory over an embedded table and embedded queues.
//! A module's path mirrors the path of the route that it tests.

mod auth;
mod callers;
mod derived;
mod documented;
mod error_pages;
mod faulty_table;
mod flaky_queue;
mod lambda;
mod logs;
mod mailbox;
mod management;
mod messaging;
mod openapi;
mod races;
mod runtime;
mod setup;
mod shell;
mod slow_bucket;
mod socket;
mod strict;
mod support;
mod template;
