//! Messages for later go out when they are due, in the order of their times.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use testbed::caller::Bases;
use tests::flow::{pair, unique};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

#[tokio::test]
async fn messages_for_later_are_shown_in_the_order_of_their_times() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (mark, now) = (unique(), SystemClock.now());
    let mut messages = Vec::new();
    // Far enough ahead that all are accepted before the first is due.
    for (text, seconds) in [("third", 12), ("first", 10), ("second", 11), ("now", 0)] {
        let mut body = json!({"to": paired.other, "text": format!("{text} {mark}")});
        if seconds > 0 {
            body["scheduledAt"] = json!((now + TimeDelta::seconds(seconds)).to_rfc3339());
        }
        let accepted = paired.key.send("text", body).await.data(202);
        let status = if seconds > 0 { "scheduled" } else { "queued" };
        assert_eq!(accepted["status"], status);
        messages.push(accepted["id"].as_str().expect("an id").to_owned());
    }
    phones.until_shown(&paired.other, &format!("third {mark}")).await;
    let shown = phones.inbox(&paired.other).await;
    let texts: Vec<_> = shown
        .iter()
        .filter_map(|shown| shown["text"].as_str()?.strip_suffix(&format!(" {mark}")))
        .collect();
    assert_eq!(texts, ["now", "first", "second", "third"]);
    let last = paired.key.until_state(&messages[0], "delivered").await;
    let time = |member: &str| -> DateTime<Utc> {
        let text = last[member].as_str().expect("a time");
        text.parse().expect("RFC 3339")
    };
    assert!(
        time("scheduledAt") <= time("sentAt"),
        "not before its time: {last}"
    );
    stack.stop().await;
}
