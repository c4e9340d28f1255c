//! What messages say rests in no file and no log in the clear: neither what is sent nor what comes in, nor what waits.

use std::fs::File;
use std::path::{Path, PathBuf};

use sandbox::{Config, Sandbox};
use serde_json::json;
use shared::domain::instance::MAX_CONTENT_DAYS;
use testbed::caller::{Bases, http};
use testbed::wait::until;
use tests::flow::pair;
use tests::folder::files;
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;
use crate::marks::{comes_with_file, fetched, has, has_mark, keep_contents, mark, say_everything, until_out};

/// Every file below a directory, with its name.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |path: PathBuf| {
        // A journal may go between the list and the look.
        let bytes = std::fs::read(&path).ok()?;
        Some((path.display().to_string(), bytes))
    };
    files(directory).into_iter().filter_map(read).collect()
}

#[tokio::test]
async fn no_word_of_a_message_rests_in_the_clear() {
    let address = "127.0.0.1:0".parse().expect("an address");
    let sandbox = Sandbox::start(Config::new(address)).await.expect("a sandbox");
    let phones = Phones::new(&sandbox.admin_url());
    let data = tempfile::tempdir().expect("a directory");
    let ca = data.path().join("ca.pem");
    std::fs::write(&ca, sandbox.ca_pem()).expect("written");
    let log = File::create(data.path().join("stack.log")).expect("a log");
    let stack = Process::start_with_log(
        STACK,
        data.path(),
        &[
            "--sandbox-url",
            &sandbox.ws_url(),
            "--sandbox-ca",
            ca.to_str().expect("a path"),
        ],
        &[("WAXWING_LOG", "debug")],
        log,
    )
    .await;
    let paired = pair(&Bases::one(&stack.api), &phones).await;

    let messages = say_everything(&paired).await;
    until_out(&paired, &messages).await;
    let shown = serde_json::to_string(&phones.inbox(&paired.other).await).expect("plain data");
    assert!(has_mark(shown.as_bytes()), "the phone shows them");

    // What an instance keeps, and a file that is fetched, rest no other way.
    keep_contents(&paired, MAX_CONTENT_DAYS).await;
    let file = comes_with_file(&paired, &phones).await;
    let led = fetched(&paired, &file).await;
    let got = http().get(led["url"].as_str().expect("a URL")).send().await;
    let got = got.expect("an answer").bytes().await.expect("whole");
    assert!(has_mark(&got), "the caller has it");

    let incoming = mark();
    phones.send(&paired.other, &paired.own, &incoming).await;
    let log_path = format!("/api/instances/{}/messages", paired.instance);
    until("the text that came in", async || {
        let log = paired.user.get(&log_path).await.data(200);
        let mut log = log.as_array().expect("a list").iter();
        log.any(|message| message["direction"] == "incoming" && message["kind"] == "text")
            .then_some(())
    })
    .await;

    // One that waits for its phone's network.
    sandbox.shutdown().await;
    let waiting = json!({"to": paired.other, "text": mark()});
    let waiting = paired.key.send("text", waiting).await.data(202);
    let waiting = waiting["id"].as_str().expect("an id").to_owned();

    let look = |when: &str| {
        let files = contents(data.path());
        // What is looked for would be found.
        let has_id = files.iter().any(|(_, bytes)| has(bytes, waiting.as_bytes()));
        assert!(has_id, "the files are those of the stack");
        let in_the_clear: Vec<_> = files.iter().filter(|(_, bytes)| has_mark(bytes)).collect();
        let names: Vec<_> = in_the_clear.iter().map(|(name, _)| name).collect();
        assert!(names.is_empty(), "{when}: {names:?}");
    };
    look("while it runs");
    stack.stop().await;
    look("after its end");
}
