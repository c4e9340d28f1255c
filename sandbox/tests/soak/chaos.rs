//! The faults of the run: the same for the same seed, but for what the clients' timing adds.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sandbox::{Direction, Fault, Rule, Sandbox, Target};
use tokio_util::sync::CancellationToken;

/// Into how many parts restarts of the server divide the run: as many as memory is compared in, so that each window
/// of it has seen all clients come back at once.
const PARTS: u32 = 8;

/// Storms between two restarts, in which some of all sockets drop at once.
const STORMS: u32 = 2;

/// How likely a socket drops in a storm.
const STORM: f64 = 0.03;

fn standing(seed: u64) -> Vec<Rule> {
    let rule = |fault, chance: f64| Rule {
        chance: Some(chance),
        seed: Some(seed ^ u64::from(fault as u8)),
        ..Rule::new(Target::all(), fault)
    };
    vec![
        rule(Fault::DropBeforeAck, 0.01),
        rule(Fault::DropAfterStore, 0.01),
        rule(Fault::HoldAcks, 0.01),
        rule(Fault::LoseAcks, 0.01),
        Rule {
            delay_ms: Some(150),
            direction: Some(Direction::Out),
            ..rule(Fault::Delay, 0.03)
        },
        Rule {
            delay_ms: Some(100),
            direction: Some(Direction::In),
            ..rule(Fault::Delay, 0.01)
        },
        Rule {
            stanza: Some("message".into()),
            direction: Some(Direction::Out),
            ..rule(Fault::Duplicate, 0.03)
        },
        Rule {
            stanza: Some("receipt".into()),
            ..rule(Fault::Duplicate, 0.03)
        },
    ]
}

/// Troubles the network for `length`; answers how often it restarted.
pub async fn run(
    sandbox: Arc<Sandbox>,
    seed: u64,
    length: Duration,
    over: CancellationToken,
) -> anyhow::Result<u32> {
    let faults = sandbox.faults();
    for rule in standing(seed) {
        faults.add(rule).await?;
    }
    let mut random = StdRng::seed_from_u64(seed);
    let step = length / (PARTS * (STORMS + 1));
    let mut restarts = 0;
    loop {
        for _ in 0..STORMS {
            let pause = step.mul_f64(random.random_range(0.8..1.2));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = over.cancelled() => return Ok(restarts),
            }
            let storm = Rule {
                chance: Some(STORM),
                seed: Some(random.random()),
                ..Rule::new(Target::all(), Fault::DropSocket)
            };
            faults.add(storm).await?;
        }
        tokio::select! {
            () = tokio::time::sleep(step) => {}
            () = over.cancelled() => return Ok(restarts),
        }
        sandbox.restart().await;
        restarts += 1;
    }
}
