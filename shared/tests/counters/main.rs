//! Counters over an embedded DynamoDB: what is counted at the same time shares a write.

mod days;
mod quota;
mod support;
