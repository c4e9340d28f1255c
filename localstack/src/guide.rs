//! What the terminal shows once everything runs: the addresses, a first message as commands to copy, and how to see what comes
//! in.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::local::Stack;

/// Prints the guide to standard output.
pub fn print(stack: &Stack) {
    // If nobody reads it, that is no reason to end.
    let _ = std::io::stdout().write_all(text(stack).as_bytes());
    let _ = std::io::stdout().flush();
}

fn text(stack: &Stack) -> String {
    let api = stack.api_url();
    let state = stack.data_dir().map_or_else(
        || "nowhere: it ends with this process".to_owned(),
        |path| path.display().to_string(),
    );
    let mut text = format!(
        "\nWaxwing is up.\n\n  HTTP API   {api}\n  Try it     {api}/api/docs\n  Realtime   {api}/socket.io/\n  WhatsApp   {} (sandbox)\n",
        stack.sandbox_url()
    );
    if let Some(admin) = stack.admin_url() {
        let _ = writeln!(text, "  Phones     {admin}/admin/phones");
    }
    let _ = writeln!(
        text,
        "  Mails      {api}/dev/mailbox\n  DynamoDB   {}\n  State      {state}",
        stack.database_url()
    );
    if let Some(admin) = stack.admin_url() {
        text.push_str("\nSend a first message (copy it into another terminal):\n\n");
        for line in walk(&api, &admin).lines() {
            let _ = writeln!(text, "  {line}");
        }
        text.push_str("\nSee what comes in, in that terminal: cargo run -p cli -- listen --url $API --key $KEY --print\n");
    }
    text.push_str("\nCtrl-C stops in order.\n\n");
    text
}

/// The main job in shell commands. Every step prints what it got. `localstack/up` prints them too.
fn walk(api: &str, admin: &str) -> String {
    let steps = include_str!("../walk.sh");
    format!("API={api} SANDBOX={admin} JSON='content-type: application/json'\n{steps}")
}
