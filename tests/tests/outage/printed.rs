//! What a daemon prints for CloudWatch: what `template.yaml` scales by is in it.

use std::path::PathBuf;

use serde_json::{Value, json};
use tests::daemon_process::Surroundings;
use tests::deployment::{Starter, Stores};

use crate::world::DAEMON;

/// The lines that a daemon has printed until it stopped, with this as `WAXWING_EMF`.
async fn printed(said: &str) -> Vec<Value> {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("printed")
        .join(said);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    let stores = Stores::start(1).await;
    let config = testbed::config::functions(1, directory.join("wrapping.key"));
    // It has no instance, so it connects to nobody.
    let nowhere = "ws://127.0.0.1:9/ws/chat".to_owned();
    let surroundings = Surroundings {
        variables: vec![("WAXWING_EMF", said.to_owned())],
        ..stores.over_relays(nowhere, config.wrapping, directory)
    };
    let starter = Starter::of(DAEMON, surroundings);
    let daemon = starter.start().await;
    stores.until_shared_out(1).await;
    daemon.stop().await;
    let printed: Vec<String> = starter.printed().collect();
    let lines = printed.iter().flat_map(|printed| printed.lines());
    lines
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_without_sessions_prints_that_it_has_none() {
    let lines = printed("on").await;
    let found = lines
        .iter()
        .find(|line| line.get("waxwing_sessions_held").is_some());
    let line = found.expect("the sessions of a daemon");
    assert_eq!(line["waxwing_sessions_held"], json!(0.0));
    let told = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(told["Namespace"], "Waxwing");
    assert_eq!(told["Dimensions"], json!([["prefix", "network"]]));
    assert_eq!(
        (&line["prefix"], &line["network"]),
        (&json!("waxwing"), &json!("sandbox"))
    );
    assert_eq!(printed("off").await, Vec::<Value>::new());
}
