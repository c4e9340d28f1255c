//! Named points at which a test may end the process, to see what a crash there does.
//!
//! Only a build with the cargo feature `fault-hooks` listens: `WAXWING_FAULT` names the
//! point, and a file named by `WAXWING_FAULT_ONCE` makes the fault happen once, so that the process that
//! is started after the crash goes on.

/// Ends the process here at once, without unwinding, where a test asks for it.
#[cfg(feature = "fault-hooks")]
pub fn point(name: &str) {
    if crate::config::fault_point().as_deref() != Some(name) {
        return;
    }
    if let Some(marker) = crate::config::fault_marker() {
        // Creating the marker is atomic: of several tasks that come here at once, one crashes.
        if std::fs::File::create_new(&marker).is_err() {
            return;
        }
    }
    tracing::error!(fault = name, "ending the process here, as the test asked");
    std::process::abort();
}

/// Does nothing: this build has no fault hooks.
#[cfg(not(feature = "fault-hooks"))]
#[inline]
pub fn point(_name: &str) {}
