//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Waxwing for real numbers: the HTTP API, webhooks, the realtime feed, the connection to WhatsApp and the stores, in one
/// process with one data folder. What else can be set is in environment variables: docs/self-host.md lists them.
#[derive(Debug, Clone, Parser)]
#[command(name = "waxwing-server", version, about, long_about = None)]
pub struct Cli {
    /// Where everything is kept: accounts, queues, sessions, files, and the keys that seal them
    #[arg(long, global = true, default_value = "waxwing-data", value_name = "DIRECTORY")]
    pub data_dir: PathBuf,

    /// Where it listens, without TLS; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// Where callers reach it, for links, such as <https://waxwing.example.com>; goes before `WAXWING_PUBLIC_URL`
    #[arg(long, value_name = "URL", value_parser = public_url)]
    pub public_url: Option<String>,

    /// How many proxies before it add to `X-Forwarded-For`, 0 to 8; goes before `WAXWING_TRUSTED_PROXIES`
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=8))]
    pub trusted_proxies: Option<u8>,

    /// Serve /metrics to whoever reaches it; without this, it is served only where this machine alone reaches it
    #[arg(long)]
    pub metrics: bool,

    /// What to do in place of serving
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What is done in place of serving a data folder.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Copy everything in the data folder to another folder, while a server works on it or not
    Backup {
        /// The folder of the copy, empty or new. Keys are in it: whoever has it has every account
        #[arg(value_name = "DIRECTORY")]
        to: PathBuf,
    },
    /// Bring a copy back, into a data folder that is empty or new
    Restore {
        /// The folder of the copy
        #[arg(value_name = "DIRECTORY")]
        from: PathBuf,
    },
    /// Ask the server that runs on this machine whether it lives, at --listen; ends with status 1 where it does not
    Check,
}

/// An address under which callers reach the server, without a slash at its end.
pub fn public_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let is_host = |rest: &str| !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' ']);
    if rest.is_some_and(is_host) {
        Ok(url.to_owned())
    } else {
        Err("must be http:// or https:// and a host, perhaps with a port".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["waxwing-server"]).expect("fine");
        assert_eq!(cli.listen, SocketAddr::from(([127, 0, 0, 1], 3000)));
        assert_eq!((cli.public_url, cli.trusted_proxies), (None, None));
        assert!(!cli.metrics);
    }

    #[test]
    fn the_data_folder_may_stand_before_a_command_and_behind_it() {
        let backup = Some(Command::Backup { to: "copy".into() });
        for arguments in [
            ["--data-dir", "data", "backup", "copy"],
            ["backup", "copy", "--data-dir", "data"],
        ] {
            let cli = Cli::try_parse_from([&["waxwing-server"], &arguments[..]].concat()).expect("fine");
            assert_eq!((cli.data_dir, &cli.command), ("data".into(), &backup));
        }
        assert!(Cli::try_parse_from(["waxwing-server", "restore"]).is_err());
    }

    #[test]
    fn a_check_asks_where_a_server_listens_by_itself_or_elsewhere() {
        let asked = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["waxwing-server"], arguments].concat()).expect("fine");
            assert_eq!(cli.command, Some(Command::Check));
            cli.listen.to_string()
        };
        assert_eq!(asked(&["check"]), "127.0.0.1:3000");
        assert_eq!(asked(&["--listen", "0.0.0.0:80", "check"]), "0.0.0.0:80");
    }

    #[test]
    fn a_public_url_is_a_scheme_and_a_host() {
        let of = |text: &str| {
            let cli = Cli::try_parse_from(["waxwing-server", "--public-url", text]);
            cli.ok().and_then(|cli| cli.public_url)
        };
        let expected = Some("https://api.example.com".to_owned());
        assert_eq!(of("https://api.example.com/"), expected);
        assert_eq!(
            of("http://127.0.0.1:3000"),
            Some("http://127.0.0.1:3000".to_owned())
        );
        for text in [
            "api.example.com",
            "https://",
            "ftp://a.example",
            "https://a.example/x",
            "https://me@a.example",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn trusted_proxies_are_few() {
        let parse = |number: &str| Cli::try_parse_from(["waxwing-server", "--trusted-proxies", number]);
        assert_eq!(parse("1").expect("fine").trusted_proxies, Some(1));
        assert!(parse("9").is_err());
    }
}
