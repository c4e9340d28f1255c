//! The whole local stack in one process, as `cargo run` starts it, over the same relays.

use std::time::Duration;

use clap::Parser as _;
use localstack::{Cli, Stack};
use testbed::caller::Bases;
use testbed::relay::Away;
use tests::faults::Faults;
use tests::flow::{exchange, pair};
use tests::phones::Phones;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_stack_goes_on_after_its_stores_were_away() {
    let faults = Faults::default();
    let cli = Cli::parse_from(["waxwing", "--port", "0", "--sandbox-port", "0", "--ephemeral"]);
    let stack = Stack::start_between(&cli, &faults).await.expect("a stack");
    let phones = Phones::new(&stack.admin_url().expect("a sandbox of its own"));
    let paired = pair(&Bases::one(&stack.api_url()), &phones).await;
    exchange(&paired, &phones).await;
    for seconds in [3, 6] {
        let time = Duration::from_secs(seconds);
        faults.table().away_for(Away::Late, time).await;
        // The session may be a new one: what is sent at once waits for it.
        exchange(&paired, &phones).await;
        paired.user.until_status(&paired.instance, "CONNECTED").await;
        faults.queue().away_for(Away::Late, time).await;
        exchange(&paired, &phones).await;
    }
    stack.shutdown().await;
}
