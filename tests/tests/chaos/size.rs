//! How large a run is.

use std::time::Duration;

/// What `WAXWING_LEASE_MS` is where nobody says it.
const USUAL_LEASE: Duration = Duration::from_secs(4);

/// The measures of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    /// Daemons that live at the same time.
    pub daemons: usize,
    /// Shards of the network.
    pub shards: u32,
    /// Instances, each of an owner of its own.
    pub instances: usize,
    /// Rounds of troubles.
    pub rounds: usize,
    /// Troubles of a round.
    pub troubles: usize,
    /// The longest outage and the longest time for which a daemon stands still beyond its lease, in whole seconds.
    pub longest: u64,
    /// Messages that go out.
    pub out: usize,
    /// Messages that come in.
    pub back: usize,
    /// How long whatever has to come in the end may take to come.
    pub patience: Duration,
    /// How long receipts may take once all else is there. Those that are lost never come.
    pub receipts: Duration,
    /// The silence after which a daemon's shards are another's.
    pub lease: Duration,
}

impl Size {
    /// What CI runs.
    pub const SHORT: Self = Self {
        daemons: 3,
        shards: 4,
        instances: 6,
        rounds: 4,
        troubles: 2,
        longest: 4,
        out: 300,
        back: 60,
        patience: Duration::from_mins(6),
        receipts: Duration::from_secs(15),
        lease: USUAL_LEASE,
    };

    /// What is run by hand.
    pub const LONG: Self = Self {
        daemons: 5,
        shards: 8,
        instances: 50,
        rounds: 20,
        troubles: 3,
        longest: 15,
        out: 10_000,
        back: 2_000,
        patience: Duration::from_mins(20),
        receipts: Duration::from_secs(15),
        lease: USUAL_LEASE,
    };
}
