//! The command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Waxwing on this machine: the HTTP API, the connection daemon, the stores and a sandbox
/// WhatsApp network with phones one can script, in one process.
#[derive(Debug, Clone, Parser)]
#[command(name = "waxwing", version, about, long_about = None)]
pub struct Cli {
    /// Where everything is kept: accounts, queues, sessions, and the sandbox's phones
    #[arg(long, default_value = ".waxwing", value_name = "DIRECTORY")]
    pub data_dir: PathBuf,

    /// The address that API and sandbox listen on. Mails and phones are anybody's who reaches it: leave it on this machine
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    pub host: IpAddr,

    /// The port of the HTTP API; 0 takes a free one
    #[arg(long, default_value_t = 3000)]
    pub port: u16,

    /// The port of the sandbox (WebSocket and admin API); 0 takes a free one
    #[arg(long, default_value_t = 3001, conflicts_with = "sandbox_url")]
    pub sandbox_port: u16,

    /// Use a sandbox that runs elsewhere, by its WebSocket, such as <ws://127.0.0.1:3001/ws/chat>
    #[arg(long, value_name = "URL", value_parser = websocket_url)]
    pub sandbox_url: Option<String>,

    /// A file with the root certificate of that sandbox's media host, as its /admin/ca.pem says it
    #[arg(long, value_name = "FILE", requires = "sandbox_url")]
    pub sandbox_ca: Option<PathBuf>,

    /// Let the URLs of files and webhooks lead into private networks; this machine they may lead to anyway
    #[arg(long)]
    pub private_addresses: bool,

    /// Keep nothing: all state is in memory and ends with the process
    #[arg(long, conflicts_with = "data_dir")]
    pub ephemeral: bool,

    /// What to do in place of serving
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What is done in place of serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Ask the stack that runs on this machine whether it lives, at --host and --port; ends with status 1 where it does not
    Check,
}

fn websocket_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("ws://").or_else(|| text.strip_prefix("wss://"));
    match rest {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err("must begin with ws:// or wss://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["waxwing", "--port", "0", "--ephemeral"]).expect("fine");
        assert!(cli.ephemeral);
        assert_eq!(cli.sandbox_port, 3001);
        assert_eq!((cli.host, cli.command), (IpAddr::V4(Ipv4Addr::LOCALHOST), None));
        let cli = Cli::try_parse_from(["waxwing", "--host", "::", "--port", "80", "check"]).expect("fine");
        assert_eq!((cli.host.to_string(), cli.port), ("::".to_owned(), 80));
        assert_eq!(cli.command, Some(Command::Check));
    }

    #[test]
    fn contradictions_are_refused() {
        let parse = |arguments: &[&str]| Cli::try_parse_from([&["waxwing"], arguments].concat());
        assert!(parse(&["--sandbox-url", "http://127.0.0.1:1"]).is_err());
        assert!(parse(&["--sandbox-url", "ws://127.0.0.1:1/ws/chat", "--sandbox-port", "5"]).is_err());
        assert!(parse(&["--sandbox-ca", "ca.pem"]).is_err());
        assert!(parse(&["--ephemeral", "--data-dir", "x"]).is_err());
    }
}
