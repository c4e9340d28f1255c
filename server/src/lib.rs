//! `waxwing-server`: a whole stack (see the crate `stack`) for real WhatsApp numbers, in one process on one machine.
//!
//! The plain build checks WhatsApp's certificates. One that shares its daemon with the sandbox, as a build of the whole
//! workspace does, serves nobody.

mod cli;
mod copies;
mod exposure;
mod server;
mod settings;

use std::io::Write as _;

use daemon::app::Sessions;
use daemon::whatsapp::{NETWORK, Settings};
use shared::domain::network::Network;

pub use cli::{Cli, Command};
pub use server::Server;

/// Does what the command line says. A server runs until a signal asks it to stop, and ends with an error where the table breaks,
/// or the daemon ends.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    anyhow::ensure!(
        NETWORK == Network::Live || cli.command.is_some(),
        "this build is for the sandbox and does not check WhatsApp's certificates: build it by itself, with `cargo build --release -p waxwing-server`"
    );
    run_with(cli, Sessions::WhatsApp(Settings::default())).await
}

/// Does the same with sessions that begin otherwise or not at all, for tests.
pub async fn run_with(cli: Cli, sessions: Sessions) -> anyhow::Result<()> {
    match cli.command {
        Some(Command::Backup { to }) => return copies::back_up(cli.data_dir, to).await,
        Some(Command::Restore { from }) => return copies::restore(&cli.data_dir, &from).await,
        Some(Command::Check) => return daemon::check::ask(cli.listen).await,
        None => {}
    }
    shared::telemetry::start(shared::telemetry::Format::Text);
    shared::trace::start("waxwing")?;
    let stop = shared::shutdown::on_signal()?;
    let server = Box::pin(Server::start(&cli, sessions)).await?;
    server.end_where_stuck()?;
    print(&server);
    server.until(stop.cancelled()).await?;
    server.shutdown().await;
    shared::trace::end().await;
    Ok(())
}

/// Says where it is.
fn print(server: &Server) {
    let text = format!(
        "\nWaxwing is up.\n\n  HTTP API   {}\n  Callers    {}\n  State      {}\n\n",
        server.api_url(),
        server.public_url(),
        server.data_dir().display()
    );
    say(&text);
}

/// Writes to standard output. If nobody reads it, that is no reason to end.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}
