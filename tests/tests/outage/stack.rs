//! The whole local stack in one process, as `cargo run` starts it, over the same relays.

use std::sync::mpsc;
use std::time::Duration;

use clap::Parser as _;
use daemon::whatsapp::NETWORK;
use localstack::{Cli, Stack};
use shared::storage::leases::{Lease, Leases};
use testbed::caller::Bases;
use testbed::relay::Away;
use testbed::table::patient;
use testbed::wait::{in_time, until};
use tests::faults::Faults;
use tests::flow::{exchange, pair};
use tests::phones::Phones;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Twice the lease of the stack's daemon.
const BUSY: Duration = Duration::from_secs(8);

fn cli() -> Cli {
    Cli::parse_from(["waxwing", "--port", "0", "--sandbox-port", "0", "--ephemeral"])
}

async fn leases(stack: &Stack) -> Vec<Lease> {
    let leases = Leases::new(patient(stack.database_url()), NETWORK);
    leases.list_all().await.expect("read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_stack_goes_on_after_its_stores_were_away() {
    let faults = Faults::default();
    let stack = Stack::start_between(&cli(), &faults).await.expect("a stack");
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

/// Requests share the processors with the daemon, and may leave it none for a while.
#[test]
fn the_local_stack_keeps_its_shards_while_it_is_busy() {
    let serving = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let serving = serving.expect("a runtime");
    let outside = Builder::new_current_thread().enable_all().build();
    let outside = outside.expect("a runtime");
    let stack = serving.block_on(Stack::start(&cli())).expect("a stack");
    let holding = stack.holding();
    outside.block_on(async {
        let phones = Phones::new(&stack.admin_url().expect("a sandbox of its own"));
        let paired = pair(&Bases::one(&stack.api_url()), &phones).await;
        exchange(&paired, &phones).await;
        until("both shards", async || (holding.get().len() == 2).then_some(())).await;
        let before = leases(&stack).await;

        let (free, blocked) = mpsc::channel::<()>();
        let (start, begun) = oneshot::channel();
        serving.spawn(async move {
            start.send(()).expect("the test waits");
            let _ = blocked.recv();
        });
        in_time("the only worker", begun).await.expect("it runs");
        tokio::time::sleep(BUSY).await;
        assert_eq!(holding.get().len(), 2);
        drop(free);
        exchange(&paired, &phones).await;
        assert_eq!(leases(&stack).await, before, "none was taken anew");
    });
    serving.block_on(stack.shutdown());
}
