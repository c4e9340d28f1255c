//! A `whatsapp-rust` client behind lines of JSON, so that a suite in another language can talk to it.
//!
//! Standard input has one command a line, each with a number; standard output has one object a line:
//! `{"answer": number, …}` for a command done or refused (`error`), `{"event": name, …}` for what happens by itself.
//! The client keeps nothing: it pairs anew each time, and ends with its standard input.

mod command;
mod report;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use daemon::whatsapp::Http;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use wacore::store::in_memory::InMemoryBackend;
use whatsapp_rust::TokioRuntime;
use whatsapp_rust::bot::Bot;
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

use command::Command;

/// How the peer is started.
#[derive(Debug, clap::Parser)]
pub struct Cli {
    /// The network's WebSocket URL.
    #[arg(long)]
    url: String,
    /// A PEM file with the root of the media host's certificate.
    #[arg(long)]
    media_root: Option<PathBuf>,
}

/// A line of standard input.
#[derive(Debug, Deserialize)]
struct Line {
    number: u64,
    #[serde(flatten)]
    command: Command,
}

/// Runs the client until standard input ends.
///
/// # Errors
/// A root that cannot be read, a client that cannot be built, a line that is no command.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let root = cli.media_root.map(std::fs::read_to_string).transpose();
    let root = root.context("the media host's root cannot be read")?;
    let bot = Bot::builder()
        .with_backend_arc(Arc::new(InMemoryBackend::new()))
        .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(&cli.url))
        .with_http_client(Http::new(root.as_deref())?)
        .with_runtime(TokioRuntime)
        .with_version((2, 3000, 1_030_000_000))
        .on_event(|event, client| async move {
            for line in report::lines(&event, &client).await {
                print(&line);
            }
        })
        .build()
        .await
        .context("the client cannot be built")?;
    let handle = bot.spawn();

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.context("standard input breaks off")? {
        let line: Line = serde_json::from_str(&line).context("this line is no command")?;
        let client = handle.client();
        tokio::spawn(async move {
            let mut answer = match line.command.execute(&client).await {
                Ok(answer) => answer,
                Err(error) => json!({"error": format!("{error:#}")}),
            };
            answer["answer"] = json!(line.number);
            print(&answer);
        });
    }
    handle.shutdown().await;
    Ok(())
}

/// Writes a line of standard output. Whoever started the peer may have stopped reading.
fn print(line: &Value) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
