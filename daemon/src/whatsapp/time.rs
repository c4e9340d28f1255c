//! The time of day by which the library goes. The whole process has one.

use std::sync::Arc;

use shared::clock::Clock;
use wacore::time::{TimeProvider, set_time_provider};

struct Ours(Arc<dyn Clock>);

impl TimeProvider for Ours {
    fn now_millis(&self) -> i64 {
        self.0.now().timestamp_millis()
    }
}

/// Has the library go by this clock in every session of the process. `false` where it goes by another already: by one that was set
/// before, or by the machine's, which it takes if a session begins first.
#[must_use]
pub fn go_by(clock: Arc<dyn Clock>) -> bool {
    set_time_provider(Ours(clock)).is_ok()
}
