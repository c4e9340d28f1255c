//! Logs: JSON lines in a deployment, text on a developer's terminal. An error and its causes are in one line.

mod category;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::category::Categorised;

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
    let filter = crate::config::log_filter();
    match format {
        Format::Json => json_lines(&filter, std::io::stderr).init(),
        Format::Text => tracing_subscriber::fmt()
            .with_env_filter(env_filter(&filter))
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .init(),
    }
}

/// JSON lines, as a deployment writes them, each with its category. `filter` is in `tracing`'s syntax.
pub fn json_lines<W>(filter: &str, writer: W) -> impl tracing::Subscriber + Send + Sync + 'static
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(env_filter(filter))
        .with_writer(writer)
        .json()
        .flatten_event(true)
        .map_event_format(Categorised)
        .finish()
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn env_filter(filter: &str) -> EnvFilter {
    // The WhatsApp library logs addresses of chats at `info`, and two of its targets at `warn`; a third one
    // logs URLs of files there, with what lets an account download. Nobody is to read them.
    EnvFilter::builder().parse_lossy(format!(
        "{filter},whatsapp_rust=warn,whatsapp_rust::download=error,wacore=warn,wacore::send=error,usync=error,Client=warn,dynoxide=error"
    ))
}
