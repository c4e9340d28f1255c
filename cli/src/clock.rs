//! The time of day, for signatures.

use chrono::{DateTime, Utc};

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "the receiver compares the time of a signature with its own clock, so no test can steer it"
)]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
