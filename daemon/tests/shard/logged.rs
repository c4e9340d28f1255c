//! What a daemon logs in a test: on the test's own thread, on which its tasks run.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Once;

thread_local! {
    static LOGGED: RefCell<Option<Logged>> = const { RefCell::new(None) };
}

/// The lines of this thread.
#[derive(Debug, Clone, Default)]
pub struct Logged(Rc<RefCell<Vec<u8>>>);

/// Writes to the lines of its thread, if somebody wants them.
struct ToThread;

impl Logged {
    /// What is logged on this thread from now on.
    ///
    /// One logger serves the process: of a logger for one thread alone, `tracing` may never hear of a line that another thread
    /// has come by first.
    pub fn on_this_thread() -> Self {
        static LOGGER: Once = Once::new();
        LOGGER.call_once(|| {
            let logger = shared::telemetry::json_lines("info", || ToThread);
            tracing::subscriber::set_global_default(logger).expect("no other logger in this process");
        });
        let logged = Self::default();
        LOGGED.set(Some(logged.clone()));
        logged
    }

    /// How many lines have this part.
    pub fn with(&self, part: &str) -> usize {
        String::from_utf8_lossy(&self.0.borrow()).matches(part).count()
    }
}

impl io::Write for ToThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow(|logged| {
            if let Some(Logged(lines)) = logged {
                lines.borrow_mut().extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
