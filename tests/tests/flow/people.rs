//! A person has two names, and is one chat.

use serde_json::json;
use testbed::caller::Bases;
use testbed::wait::until;
use tests::flow::{exchange, pair};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

#[tokio::test]
async fn texts_in_turn_to_a_persons_number_and_lid_arrive_in_order() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    exchange(&paired, &phones).await;
    let lid = phones.lid(&paired.other).await;
    let by_number = paired.other.clone();
    let by_lid = format!("lid:{lid}");
    let both = json!({"phone": by_number, "lid": lid, "group": null});
    let send = async |to: &str, text: &str| {
        let body = json!({"to": to, "text": text});
        paired.key.post("/api/messages/text", &body).await.data(202)
    };
    // Each process hears of it within seconds.
    for to in [&by_number, &by_lid] {
        until("both names of the person", async || {
            (send(to, "Who are you?").await["to"] == both).then_some(())
        })
        .await;
    }

    let texts: Vec<_> = (0..10).map(|n| format!("In turn {n}")).collect();
    let mut last = String::new();
    for (n, text) in texts.iter().enumerate() {
        let to = if n % 2 == 0 { &by_number } else { &by_lid };
        let accepted = send(to, text).await;
        assert_eq!(accepted["to"], both);
        last = accepted["id"].as_str().expect("an id").to_owned();
    }
    phones.until_shown(&paired.other, &texts[9]).await;
    let shown = until("all ten", async || {
        let inbox = phones.inbox(&paired.other).await;
        let shown = inbox.iter().filter_map(|message| message["text"].as_str());
        let shown: Vec<_> = shown
            .filter(|text| text.starts_with("In turn"))
            .map(str::to_owned)
            .collect();
        (shown.len() >= texts.len()).then_some(shown)
    })
    .await;
    assert_eq!(shown, texts);
    assert_eq!(paired.key.until_state(&last, "delivered").await["to"], both);
    stack.stop().await;
}
