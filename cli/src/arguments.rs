//! What one can type.

use clap::{Args, Parser, Subcommand};

use crate::address::Address;
use crate::event::Wanted;
use crate::key::Token;

/// Where the local stack is.
const LOCAL: &str = "http://127.0.0.1:3000";

/// Waxwing's command line: the events of an instance on your own machine.
#[derive(Debug, Parser)]
#[command(name = "waxwing", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receives an instance's events and posts them to a local address, as a webhook's are posted.
    Listen(ListenArguments),
    /// Makes the deployment send a test event. Without a type: lists the types.
    Trigger(TriggerArguments),
}

/// How to listen.
#[derive(Debug, Args)]
pub struct ListenArguments {
    /// An API key of the instance.
    #[arg(long, env = "WAXWING_KEY", hide_env_values = true)]
    pub key: Token,

    /// The address of the API.
    #[arg(long, env = "WAXWING_URL", default_value = LOCAL)]
    pub url: Address,

    /// The address of the realtime feed, where it is not that of the API.
    #[arg(long, env = "WAXWING_FEED_URL")]
    pub feed: Option<Address>,

    /// Where events are posted, such as `localhost:4000/hook`.
    #[arg(long, value_name = "URL")]
    pub forward_to: Option<Address>,

    /// The types of events, separated by commas, or `*` for all.
    #[arg(long, default_value = "*", value_name = "TYPES")]
    pub events: Wanted,

    /// Prints each event's JSON to standard output, and all else to standard error.
    #[arg(long)]
    pub print: bool,

    /// The secret that signs, `whsec_…`. Without it each run makes one.
    #[arg(long, env = "WAXWING_WEBHOOK_SECRET", hide_env_values = true)]
    pub secret: Option<Token>,
}

/// What to trigger.
#[derive(Debug, Args)]
pub struct TriggerArguments {
    /// The type of the event, such as `message.received`.
    #[arg(value_name = "TYPE")]
    pub kind: Option<String>,

    /// An API key of the instance, with the scope `webhook:write`.
    #[arg(long, env = "WAXWING_KEY", hide_env_values = true)]
    pub key: Option<Token>,

    /// A user's access token, in the place of a key.
    #[arg(long, env = "WAXWING_TOKEN", hide_env_values = true, requires = "instance")]
    pub token: Option<Token>,

    /// The id or the name of the user's instance. With it the access token is used, and not the key.
    #[arg(long, requires = "token")]
    pub instance: Option<String>,

    /// The address of the API.
    #[arg(long, env = "WAXWING_URL", default_value = LOCAL)]
    pub url: Address,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(arguments: &[&str]) -> ListenArguments {
        let all = ["waxwing", "listen"].iter().chain(arguments);
        match Cli::try_parse_from(all).expect("understood").command {
            Command::Listen(arguments) => arguments,
            Command::Trigger(_) => panic!("it was asked to listen"),
        }
    }

    #[test]
    fn the_local_stack_and_all_events_are_meant_where_nothing_else_is_said() {
        let arguments = listen(&["--key", "wak_test_1", "--forward-to", "localhost:4000/hook"]);
        assert_eq!(arguments.url.to_string(), "http://127.0.0.1:3000/");
        assert_eq!(
            arguments.forward_to.expect("given").to_string(),
            "http://localhost:4000/hook"
        );
        assert_eq!(arguments.events, Wanted::everything());
        assert!(!arguments.print && arguments.feed.is_none());
    }

    #[test]
    fn a_token_is_of_a_user_who_names_the_instance() {
        let without = Cli::try_parse_from(["waxwing", "trigger", "webhook.test", "--instance", "first"]);
        assert!(without.is_err());
        let with = [
            "waxwing",
            "trigger",
            "webhook.test",
            "--instance",
            "first",
            "--token",
            "x",
        ];
        assert!(Cli::try_parse_from(with).is_ok());
    }

    #[test]
    fn no_secret_is_in_what_a_mistake_prints() {
        let mistaken = [
            "waxwing",
            "listen",
            "--key",
            "wak_test_hidden",
            "--secret",
            "whsec_hidden",
            "--events",
            "nothing",
        ];
        let error = Cli::try_parse_from(mistaken).expect_err("no such type");
        assert!(!error.to_string().contains("hidden"), "{error}");
        let arguments = listen(&["--key", "wak_test_hidden", "--secret", "whsec_hidden"]);
        assert!(!format!("{arguments:?}").contains("hidden"));
    }
}
