//! Logs: JSON lines in a deployment, text on a developer's terminal.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, for machines.
    Json,
    /// For people.
    Text,
}

/// Starts logging to standard error, as [`crate::config::log_filter`] says. Called once, by `main`.
pub fn start(format: Format) {
    // The WhatsApp library logs addresses of chats at `info`; ours are no one's to read.
    let filter = EnvFilter::builder().parse_lossy(format!(
        "{},whatsapp_rust=warn,wacore=warn,Client=warn,dynoxide=error",
        crate::config::log_filter()
    ));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        Format::Json => lines.json().flatten_event(true).init(),
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
    }
}
