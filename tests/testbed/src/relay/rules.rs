//! Rules: which calls, and what becomes of them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use super::call::{Call, On};
use super::fate::Fate;
use crate::dice::Dice;

/// What a rule says.
#[derive(Debug)]
pub(crate) enum Script {
    Plan(VecDeque<Fate>),
    Always(Fate),
    Share {
        dice: Dice,
        shares: Vec<(u8, Fate)>,
        delay_ms: Range<u64>,
    },
    Bursts {
        period: u32,
        length: u32,
        fate: Fate,
        /// Calls so far, by operation.
        counts: BTreeMap<String, u32>,
    },
    Watch,
    Hold {
        sender: Option<oneshot::Sender<Held>>,
        after: bool,
    },
}

/// What a rule says of one call.
pub(crate) enum Verdict {
    Fate(Fate),
    Hold {
        /// The test's end.
        sender: oneshot::Sender<Held>,
        /// Whether the answer is held, and not the call.
        after: bool,
    },
}

/// The part of a rule that its handle sees.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    hits: AtomicU64,
    /// Fates that are planned still.
    open: AtomicUsize,
    ended: AtomicBool,
}

#[derive(Debug)]
struct Entry {
    on: On,
    script: Script,
    seen: Arc<Seen>,
}

/// All rules of a relay, in the order of their making.
#[derive(Debug, Default)]
pub(crate) struct Rules(Mutex<Vec<Entry>>);

impl Rules {
    pub(crate) fn add(&self, on: On, script: Script) -> Rule {
        let seen = Arc::new(Seen::default());
        if let Script::Plan(fates) = &script {
            seen.open.store(fates.len(), Ordering::SeqCst);
        }
        let entry = Entry {
            on,
            script,
            seen: seen.clone(),
        };
        self.0.lock().expect("no holder panics").push(entry);
        Rule(seen)
    }

    pub(crate) fn clear(&self) {
        self.0.lock().expect("no holder panics").clear();
    }

    /// What the rules say of a call.
    pub(crate) fn verdict(&self, call: &Call) -> Option<Verdict> {
        let mut rules = self.0.lock().expect("no holder panics");
        rules.retain(|rule| !rule.seen.ended.load(Ordering::SeqCst));
        rules
            .iter_mut()
            .filter(|rule| rule.on.matches(call))
            .find_map(|rule| rule.verdict(call))
    }
}

impl Entry {
    fn verdict(&mut self, call: &Call) -> Option<Verdict> {
        let verdict = match &mut self.script {
            Script::Plan(fates) => {
                let fate = fates.pop_front()?;
                self.seen.open.store(fates.len(), Ordering::SeqCst);
                Some(Verdict::Fate(fate))
            }
            Script::Always(fate) => Some(Verdict::Fate(*fate)),
            Script::Share {
                dice,
                shares,
                delay_ms,
            } => {
                let thrown = dice.throw();
                let fate = shared_out(shares, u8::try_from(thrown % 100).unwrap_or(0));
                let width = (delay_ms.end.saturating_sub(delay_ms.start)).max(1);
                let delay = delay_ms.start + (thrown >> 32) % width;
                Some(Verdict::Fate(fate.after(Duration::from_millis(delay))))
            }
            Script::Bursts {
                period,
                length,
                fate,
                counts,
            } => {
                let count = counts.entry(call.operation.clone()).or_default();
                let place = *count % *period;
                *count += 1;
                if place < *period - *length {
                    return None;
                }
                Some(Verdict::Fate(*fate))
            }
            Script::Watch => None,
            Script::Hold { sender, after } => Some(Verdict::Hold {
                sender: sender.take()?,
                after: *after,
            }),
        };
        self.seen.hits.fetch_add(1, Ordering::SeqCst);
        verdict
    }
}

fn shared_out(shares: &[(u8, Fate)], dice: u8) -> Fate {
    let mut from = 0;
    for (percent, fate) in shares {
        from += percent;
        if dice < from {
            return *fate;
        }
    }
    Fate::PASS
}

/// A rule that was made. It holds until it is ended, also when this is dropped.
#[derive(Debug, Clone)]
pub struct Rule(Arc<Seen>);

impl Rule {
    /// How many calls it has decided.
    pub fn hits(&self) -> u64 {
        self.0.hits.load(Ordering::SeqCst)
    }

    /// Whether all that was planned has happened.
    pub fn is_done(&self) -> bool {
        self.0.open.load(Ordering::SeqCst) == 0
    }

    /// Ends it for later calls.
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

/// A call that is to be held once it comes.
#[derive(Debug)]
pub struct Hold(pub(crate) oneshot::Receiver<Held>);

impl Hold {
    /// Waits for the call.
    pub async fn arrived(self) -> Held {
        self.0
            .await
            .expect("the relay lives, and its rules were not ended")
    }
}

/// A call that waits for the test. It passes when this is dropped.
#[derive(Debug)]
pub struct Held {
    /// The call.
    pub call: Call,
    pub(crate) release: oneshot::Sender<Fate>,
}

impl Held {
    /// Lets it go on.
    pub fn pass(self) {
        self.release(Fate::PASS);
    }

    /// Gives it this fate. For a held answer only the delay and the reply count, since the call took effect before.
    pub fn release(self, fate: Fate) {
        // The relay may have ended meanwhile, and the call with it.
        let _ = self.release.send(fate);
    }
}
