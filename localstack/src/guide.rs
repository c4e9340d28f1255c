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

/// The main job in shell commands. Every step prints what it got.
fn walk(api: &str, admin: &str) -> String {
    format!(
        r#"API={api} SANDBOX={admin} JSON='content-type: application/json'
field() {{ sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }}

# 1. an account, and an instance on the sandbox network
TOKEN=$(curl -s $API/api/auth/register -H "$JSON" \
  -d '{{"email":"me'$RANDOM'@example.com","password":"correct horse","name":"Me"}}' | field accessToken)
AUTH="authorization: Bearer $TOKEN"
curl -s $API/api/instances -H "$AUTH" -H "$JSON" -d '{{"name":"first"}}'; echo

# 2. connect it, and let a sandbox phone scan its QR code
curl -s -X POST $API/api/instances/first/connect -H "$AUTH"; echo; sleep 2
curl -s $API/api/instances/first/qr -H "$AUTH" | field code | curl -s $SANDBOX/admin/mock-phone/scan-qr --data-binary @-; echo
sleep 2; curl -s $API/api/instances/first/status -H "$AUTH"; echo

# 3. an API key, a second phone, and a message to it
KEY=$(curl -s $API/api/instances/first/keys -H "$AUTH" -H "$JSON" -d '{{"name":"walk"}}' | field key)
PHONE=$(curl -s $SANDBOX/admin/phones -H "$JSON" -d '{{"name":"Ada"}}' | field phone)
MESSAGE=$(curl -s $API/api/messages/text -H "authorization: Bearer $KEY" -H "$JSON" \
  -d '{{"to":"'$PHONE'","text":"Hello from Waxwing"}}' | field id)

# 4. it is delivered: what the phone decrypted, and what the API says
sleep 2; curl -s $SANDBOX/admin/phones/$PHONE/inbox; echo
curl -s -X POST $SANDBOX/admin/phones/$PHONE/read -H "$JSON" -d '{{"all":true}}'; echo; sleep 1
curl -s $API/api/messages/$MESSAGE -H "authorization: Bearer $KEY"; echo
"#
    )
}
