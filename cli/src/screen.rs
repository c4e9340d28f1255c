//! Where words for people go.

use std::io::{self, Write as _};

/// Takes what is told: `line`s are what was asked for, `note`s say how it goes.
pub trait Screen {
    /// Something that was asked for.
    fn line(&mut self, text: &str) -> io::Result<()>;

    /// How it goes.
    fn note(&mut self, text: &str) -> io::Result<()>;
}

/// The terminal: lines are for standard output, so that they can be piped, and notes for standard error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal;

impl Screen for Terminal {
    fn line(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(io::stderr().lock(), "{text}")
    }
}
