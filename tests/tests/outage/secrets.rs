//! Secrets Manager is away while a daemon starts.

use std::path::PathBuf;

use testbed::secrets::ARN;
use tests::daemon_process::Surroundings;
use tests::deployment::{Starter, Stores};

use crate::world::DAEMON;

/// Its realtime feed has to wait for the secret of access tokens. Its shards need not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_without_the_secret_of_access_tokens_serves_its_shards() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("secrets");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("a directory");
    let stores = Stores::start(1).await;
    let config = testbed::config::functions(1, directory.join("wrapping.key"));
    // It has no instance, so it connects to nobody.
    let nowhere = "ws://127.0.0.1:9/ws/chat".to_owned();
    let surroundings = Surroundings {
        variables: vec![
            ("WAXWING_LISTEN", "127.0.0.1:0".to_owned()),
            ("WAXWING_JWT_SECRET_ARN", ARN.to_owned()),
            // Nobody listens there.
            (
                "AWS_ENDPOINT_URL_SECRETS_MANAGER",
                "http://127.0.0.1:1".to_owned(),
            ),
        ],
        ..stores.over_relays(nowhere, config.wrapping, directory)
    };
    let starter = Starter::of(DAEMON, surroundings);
    let daemon = starter.start().await;
    stores.until_shared_out(1).await;
    assert!(
        daemon
            .log()
            .contains("the secrets of access tokens are not known yet")
    );
    daemon.stop().await;
}
