//! A crash between a page and the text that shows it.

use serde_json::json;
use tests::flow::unique;
use tests::host::{Host, ok};

use super::{World, ends_well};

fn page(_path: &str, times: usize) -> Vec<u8> {
    ok(format!("<title>Looked at {times} times</title>").as_bytes())
}

/// What was found is forgotten, and the page is fetched anew; the text is shown once, with its page.
#[tokio::test]
async fn a_text_whose_page_was_fetched_goes_out_after_a_restart() {
    let world = World::new().await;
    let host = Host::new(page).await;
    let (paired, mut stack) = world.paired_with_fault("after-preview").await;
    let text = format!("Look: {}/{}", host.url, unique());
    let body = json!({"to": paired.other, "text": text});
    let accepted = paired.key.send("text", body).await.data(202);
    let message = accepted["id"].as_str().expect("an id");
    stack.until_it_crashes().await;
    let before = world.phones.inbox(&paired.other).await;
    assert!(before.iter().all(|shown| shown["text"] != text.as_str()));

    let other = paired.other.clone();
    ends_well(&world, paired, &text, message).await;
    let shown = world.phones.until_shown(&other, &text).await;
    assert_eq!(shown["preview"]["title"], "Looked at 2 times", "{shown}");
    assert_eq!(shown["copies"], 1);
}
