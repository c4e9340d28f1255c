//! Waxwing's command line, for whoever writes a receiver of webhooks on their own machine.
//!
//! `listen` follows an instance in the realtime feed ([`feed`]) and posts each event to a local address, in the form, with the
//! headers and with a signature as a webhook has them ([`mod@listen`]). `trigger` asks the deployment for an event to try that
//! with ([`trigger`]).
//!
//! It is a client like any other, and depends on none of the server's crates: what it knows of a deployment is what
//! `docs/realtime.md`, `docs/webhooks-delivery.md` and the OpenAPI document say. The suite of flows (`tests/tests/flow`) holds it
//! to the local stack.

mod address;
mod api;
mod arguments;
mod client;
mod clock;
pub mod event;
mod failure;
pub mod feed;
mod forward;
mod key;
pub mod listen;
mod screen;
pub mod trigger;

pub use self::address::{Address, InvalidAddress};
pub use self::arguments::{Cli, Command, ListenArguments, TriggerArguments};
pub use self::failure::Failure;
pub use self::forward::{DEADLINE, Secret};
pub use self::key::Token;
pub use self::screen::{Screen, Terminal};

/// Does what is asked, until it is done or `interrupted`.
pub async fn run(
    cli: Cli,
    screen: &mut impl Screen,
    interrupted: impl Future<Output = ()>,
) -> Result<(), Failure> {
    match cli.command {
        Command::Listen(arguments) => {
            let options = listen::Options::of(arguments)?;
            Box::pin(listen::run(options, screen, interrupted)).await
        }
        Command::Trigger(arguments) => {
            tokio::select! {
                done = Box::pin(trigger::run(arguments, screen)) => done,
                () = interrupted => Err(Failure::Interrupted),
            }
        }
    }
}
