//! The fault relay: stands on 127.0.0.1 between a process and its table, queues or key service, and does to their
//! calls what networks and services do on bad days.
//!
//! It knows of a service only how its calls are named and how it words its errors.
//!
//! ```no_run
//! # async fn example(endpoint: &str) {
//! use testbed::relay::{Away, Fate, On, Relay};
//! use std::time::Duration;
//!
//! let relay = Relay::before(endpoint).await;
//! // … start something whose AWS endpoint is `relay.endpoint()`, then:
//! relay.away_for(Away::Late, Duration::from_secs(3)).await;
//! let lost = relay.plan(On::operation("PutItem").with("leases#"), [Fate::PASS.unanswered()]);
//! assert!(lost.is_done());
//! # }
//! ```
//!
//! What happens to a call is decided in this order. First the target may be away ([`Relay::take_away`]). Then the
//! oldest rule decides that matches the call and has something to say. Otherwise the call passes.

mod batch;
mod call;
mod errors;
mod fate;
mod line;
pub mod meter;
mod rules;
mod wires;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use call::{Call, On};
pub use fate::{Fate, Reply};
pub use rules::{Held, Hold, Rule};

use self::line::{Cut, Lines};
use self::meter::Bill;
use self::rules::Script;
use self::wires::Wires;
use crate::dice::Dice;

/// How a target is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// Connections stand and nothing is answered. Once the target is back, calls whose sender still waits get
    /// through; the others are forgotten.
    Stalled,
    /// The same, but once the target is back every call reaches it, as retransmitted packets do, even if its sender
    /// gave up long ago.
    Late,
    /// Calls take effect at once, and answers wait until the target is back.
    Deaf,
    /// Open connections break, and new ones break at once.
    Refused,
}

/// A relay before one target. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Relay {
    endpoint: String,
    wires: Arc<Wires>,
    stop: CancellationToken,
}

impl Relay {
    /// Stands before the service at `endpoint`, such as `http://127.0.0.1:8000`, and lets all calls pass.
    pub async fn before(endpoint: &str) -> Self {
        Self::start(endpoint, false).await
    }

    /// The same, and adds up the capacity that calls to a table consume (see [`Relay::take_bill`]).
    pub async fn metering(endpoint: &str) -> Self {
        Self::start(endpoint, true).await
    }

    async fn start(endpoint: &str, meters: bool) -> Self {
        let stop = CancellationToken::new();
        let wires = Arc::new(Wires::to(endpoint, meters, stop.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new()
            .fallback(wires::pass)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(wires.clone());
        let service = router.into_make_service_with_connect_info::<Cut>();
        let lines = Lines::new(listener, wires.clone());
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(lines, service).with_graceful_shutdown(stopped).await });
        Self {
            endpoint: format!("http://{address}"),
            wires,
            stop,
        }
    }

    /// Where it answers: the endpoint to give to a client.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Takes the target away until [`Relay::give_back`].
    pub fn take_away(&self, how: Away) {
        self.wires.take_away(how);
    }

    /// Gives the target back.
    pub fn give_back(&self) {
        self.wires.give_back();
    }

    /// Takes the target away for so long.
    pub async fn away_for(&self, how: Away, time: Duration) {
        self.take_away(how);
        tokio::time::sleep(time).await;
        self.give_back();
    }

    /// Gives the next matching calls these fates, in their order. The rule is done when all of them have happened.
    pub fn plan(&self, on: On, fates: impl IntoIterator<Item = Fate>) -> Rule {
        self.rule(on, Script::Plan(fates.into_iter().collect()))
    }

    /// Gives every matching call this fate, until the rule ends.
    pub fn always(&self, on: On, fate: Fate) -> Rule {
        self.rule(on, Script::Always(fate))
    }

    /// Gives each fate to a share of the matching calls, in percent, chosen by a seed; the others pass. Every
    /// matching call takes `delay_ms` longer.
    pub fn share(&self, on: On, seed: u64, shares: &[(u8, Fate)], delay_ms: Range<u64>) -> Rule {
        let all: u32 = shares.iter().map(|(percent, _)| u32::from(*percent)).sum();
        assert!(all <= 100, "shares of {all} percent");
        let shares = shares.to_vec();
        let dice = Dice::new(seed);
        self.rule(
            on,
            Script::Share {
                dice,
                shares,
                delay_ms,
            },
        )
    }

    /// Of every `period` matching calls of one operation, gives the last `length` this fate.
    pub fn bursts(&self, on: On, period: u32, length: u32, fate: Fate) -> Rule {
        assert!(length <= period && period > 0, "{length} of {period}");
        self.rule(
            on,
            Script::Bursts {
                period,
                length,
                fate,
                counts: BTreeMap::new(),
            },
        )
    }

    /// Counts matching calls, and leaves them to later rules.
    pub fn watch(&self, on: On) -> Rule {
        self.rule(on, Script::Watch)
    }

    /// Holds the next matching call before it takes effect, until the test releases it. It takes effect then, though its
    /// sender may have gone.
    pub fn hold(&self, on: On) -> Hold {
        self.wires.hold(on, false)
    }

    /// The same after it took effect: its answer is held.
    pub fn hold_answer(&self, on: On) -> Hold {
        self.wires.hold(on, true)
    }

    /// Ends all rules. What is held already stays held.
    pub fn calm(&self) {
        self.wires.calm();
    }

    /// From here on notes every call that comes, for [`Relay::take_calls`].
    pub fn record(&self) {
        self.wires.record();
    }

    /// The calls that were noted since this was last called, in the order in which they came.
    pub fn take_calls(&self) -> Vec<Call> {
        self.wires.take_calls()
    }

    /// How many calls came, by operation.
    pub fn tally(&self) -> BTreeMap<String, u64> {
        self.wires.tally()
    }

    /// How many calls did not get their answer by a rule.
    pub fn failed(&self) -> u64 {
        self.wires.failed.load(Ordering::SeqCst)
    }

    /// What was consumed since this was last called; nothing where the relay does not meter. What a call has done may be seen a
    /// moment before the call is in the bill.
    pub fn take_bill(&self) -> Bill {
        self.wires.take_bill()
    }

    /// The same, when every call that may have taken effect is in it.
    pub async fn settled_bill(&self) -> Bill {
        self.wires.settled_bill().await
    }

    fn rule(&self, on: On, script: Script) -> Rule {
        self.wires.add(on, script)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.cancel();
        self.wires.cut_all();
    }
}
