//! How large the futures of those tasks are that every connected instance has.
//!
//! Such a task waits for most of its life, and takes its future's whole size meanwhile. So a future of what is done now and then
//! is boxed where it is awaited: that of one request to AWS has some 5 to 10 KiB.

/// The most bytes for the future of such a task.
pub const MOST: usize = 4 * 1_024;

/// The size of the future that an async function of one argument makes. A closure makes one argument of several.
pub fn size_of_future<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}
