//! A clock that goes on by itself and can be moved.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::{Clock, SystemClock};

/// The machine's clock, and how far ahead of it a test has moved this one, or behind it. Its clones move together.
#[derive(Debug, Clone, Default)]
pub struct MovedClock(Arc<Mutex<TimeDelta>>);

impl MovedClock {
    /// Moves the clock forward, or back by less than nothing.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().expect("no holder panics") += by;
    }
}

impl Clock for MovedClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + *self.0.lock().expect("no holder panics")
    }
}
