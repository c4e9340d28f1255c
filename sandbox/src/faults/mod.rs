//! Faults on request, for tests of what a client does when the network misbehaves.
//!
//! | fault | members | what happens |
//! | --- | --- | --- |
//! | `drop-socket` | `stanza` | the connections are closed without a word: now, or with `stanza` when such a stanza comes in, which is not handled |
//! | `drop-before-ack` | | a message that comes in is neither stored nor acknowledged; the socket is closed |
//! | `drop-after-store` | | a message is stored and relayed; the socket is closed before its acknowledgement |
//! | `hold-acks` | | a message is stored and relayed, and never acknowledged |
//! | `lose-acks` | | the server's `<ack>` of any class is lost on its way out |
//! | `refuse-handshake` | | the socket is closed after the client's first handshake message |
//! | `refuse-login` | `code` | logins, and registrations of new devices, get `<failure reason=code>` |
//! | `delay` | `delayMs`, `stanza`, `direction` | stanzas are handled or sent that much later; their order stays, so what comes behind waits too |
//! | `lose` | `stanza`, `direction` | stanzas that come in are not handled, those that go out are not sent; what was queued for a device stays queued and comes again at its next login |
//! | `duplicate` | `stanza`, `direction` | stanzas are handled or sent twice |
//! | `refuse` | `code` | a message gets `<ack error=code>` and is not relayed |
//! | `refuse-iq` | `code` | a question gets `<error code>` |
//! | `ban` | `seconds`, `code` | the connections are closed; logins get `<failure reason=402>` with the ban's `code` (101 without) and the seconds that are left |
//! | `log-out` | | the devices are removed from their accounts: `<stream:error code=401>` with `device_removed`, later logins 401 |
//! | `replace` | `stanza` | `<stream:error>` with `<conflict type=replaced>`, then the socket is closed |
//! | `stream-error` | `code`, `stanza` | `<stream:error code>`, then the socket is closed |
//! | `rate-limit` | `perSecond` | of each device's messages within one second those beyond the number get `<ack error=429>` and are not relayed |
//! | `skew-clock` | `skewMs` | all the server's stamps are that far ahead; faults and time-outs keep the right time |
//! | `mute` | | the server takes the client's stanzas and neither handles nor sends any |
//! | `restart` | | all connections are closed at once, new ones refused until the last has ended; the state stays |
//! | `no-pong` | | the client's pings (`w:p`) are not answered |
//! | `withhold-keys` | `code` | whoever asks for the keys of the target's devices, the phone's too, gets `<error code>` for them, or nothing without a code; others in the same question get theirs |
//! | `hide-devices` | | the list of an account's devices leaves the target's out, the phone's too |
//! | `host-devices` | | the list of an account's devices calls the target's hosted: they are those of a business whose messages its provider keeps |
//!
//! All take `target`, `count`, `chance` with `seed`, and `seconds`. `drop-socket`, `replace` and `stream-error`
//! without `stanza`, `log-out` and `restart` are blows: they strike the connections that there are, and are over. The
//! others stand until they are deleted, used up or expired. Where several rules match one stanza, they apply in the
//! order in which they were made; one that ends the stanza's way hides the later ones.
//!
//! Rules are part of a test, not of the network, and end with the process. While none is in force, each place where
//! they could strike costs one atomic read.

mod control;
mod kind;
mod rule;
mod target;
mod verdict;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

pub use control::{Added, FaultControl};
pub use kind::Fault;
pub use rule::{Direction, Rule};
pub(crate) use target::Subject;
pub use target::Target;
pub(crate) use verdict::{Ending, Fate, Keys, Listed, Stored};

use crate::clock::Clock;
use crate::directory::Address;

/// Rules that may be in force at once. Each stanza is compared with all of them.
const MAX_RULES: usize = 1_000;

/// A fault in force.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InForce {
    /// Names it for its end.
    pub id: u64,
    /// What was asked for.
    #[serde(flatten)]
    pub rule: Rule,
    /// How often it has struck.
    pub struck: u64,
}

/// A rule with what it remembers.
struct Standing {
    id: u64,
    rule: Rule,
    struck: u64,
    /// Milliseconds since the Unix epoch by the network's clock.
    ends_at: Option<i64>,
    random: StdRng,
    /// Messages of each device in the second that runs, for `rate-limit`.
    windows: HashMap<Address, (i64, u32)>,
}

impl Standing {
    fn new(id: u64, rule: Rule, now_ms: i64) -> Self {
        let ends_at = rule.seconds.map(|seconds| now_ms + i64::from(seconds) * 1000);
        let random = StdRng::seed_from_u64(rule.seed.unwrap_or(id));
        Self {
            id,
            rule,
            struck: 0,
            ends_at,
            random,
            windows: HashMap::new(),
        }
    }

    /// Whether it strikes where it could; if so, that counts.
    fn strikes(&mut self, subject: Subject<'_>) -> bool {
        let struck = self.rule.target.covers(subject) && !self.used_up() && self.chance();
        self.struck += u64::from(struck);
        struck
    }

    fn chance(&mut self) -> bool {
        self.rule
            .chance
            .is_none_or(|chance| self.random.random::<f64>() < chance)
    }

    fn used_up(&self) -> bool {
        self.rule.count.is_some_and(|count| self.struck >= count)
    }

    fn is_over(&self, now_ms: i64) -> bool {
        self.used_up() || self.ends_at.is_some_and(|end| end <= now_ms)
    }

    fn view(&self) -> InForce {
        InForce {
            id: self.id,
            rule: self.rule.clone(),
            struck: self.struck,
        }
    }
}

/// The faults in force.
pub(crate) struct Faults {
    clock: Arc<dyn Clock>,
    /// How many rules there are; lets the hooks pass by without a lock.
    armed: AtomicUsize,
    rules: Mutex<Vec<Standing>>,
    next_id: AtomicU64,
    /// Strikes since the start, by [`Fault`].
    totals: [AtomicU64; Fault::ALL.len()],
}

impl Faults {
    /// None yet. `clock` tells when rules expire.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            armed: AtomicUsize::new(0),
            rules: Mutex::default(),
            next_id: AtomicU64::new(1),
            totals: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// None, by the system's clock.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self::new(Arc::new(crate::clock::SystemClock))
    }

    /// A rule with an id, not in force yet.
    fn prepare(&self, rule: Rule) -> Standing {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Standing::new(id, rule, self.clock.now_ms())
    }

    /// Puts a rule in force; `false` where there are too many.
    fn put(&self, standing: Standing) -> bool {
        let mut rules = self.rules();
        if rules.len() >= MAX_RULES {
            return false;
        }
        rules.push(standing);
        self.armed.store(rules.len(), Ordering::Release);
        true
    }

    /// The faults in force, oldest first.
    pub(crate) fn list(&self) -> Vec<InForce> {
        self.rules().iter().map(Standing::view).collect()
    }

    /// Ends all faults.
    pub(crate) fn clear(&self) {
        self.rules().clear();
        self.armed.store(0, Ordering::Release);
    }

    /// Ends one; `false` if it is not in force.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let mut rules = self.rules();
        let before = rules.len();
        rules.retain(|standing| standing.id != id);
        self.armed.store(rules.len(), Ordering::Release);
        rules.len() < before
    }

    /// How often `fault` has struck since the start.
    pub(crate) fn struck(&self, fault: Fault) -> u64 {
        self.totals[fault as usize].load(Ordering::Relaxed)
    }

    fn count(&self, fault: Fault, strikes: u64) {
        self.totals[fault as usize].fetch_add(strikes, Ordering::Relaxed);
    }

    /// By how much the server's clock is wrong at `now_ms`.
    pub(crate) fn skew_ms(&self) -> i64 {
        if self.armed.load(Ordering::Acquire) == 0 {
            return 0;
        }
        let rules = self.rules();
        rules.iter().filter_map(|standing| standing.rule.skew_ms).sum()
    }

    /// Looks at the rules that are in force now, and drops those that are over afterwards.
    fn consult<T>(&self, look: impl FnOnce(&mut [Standing]) -> T) -> T {
        let mut rules = self.rules();
        let found = look(&mut rules);
        let now = self.clock.now_ms();
        rules.retain(|standing| !standing.is_over(now));
        self.armed.store(rules.len(), Ordering::Release);
        found
    }

    /// The rules, without those that have expired.
    fn rules(&self) -> MutexGuard<'_, Vec<Standing>> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now_ms();
        if rules.iter().any(|standing| standing.is_over(now)) {
            rules.retain(|standing| !standing.is_over(now));
            self.armed.store(rules.len(), Ordering::Release);
        }
        rules
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults")
            .field("armed", &self.armed)
            .finish_non_exhaustive()
    }
}

/// The clock of the server's stamps: the network's own, skewed by the faults in force.
pub(crate) struct SkewedClock {
    faults: Arc<Faults>,
}

impl SkewedClock {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        Self { faults }
    }
}

impl Clock for SkewedClock {
    fn now_ms(&self) -> i64 {
        self.faults.clock.now_ms() + self.faults.skew_ms()
    }
}
