//! Counters since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::server::handshake::Pattern;

/// Tags that are counted by name; the last stands for all others, since clients may send any.
const TAGS: [&str; 12] = [
    "message",
    "receipt",
    "ack",
    "iq",
    "notification",
    "presence",
    "chatstate",
    "ib",
    "success",
    "failure",
    "stream:error",
    "other",
];

#[derive(Debug, Default)]
struct ByTag([AtomicU64; TAGS.len()]);

impl ByTag {
    fn count(&self, tag: &str) {
        let index = TAGS.iter().position(|known| *known == tag);
        self.0[index.unwrap_or(TAGS.len() - 1)].fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        TAGS.into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// What has passed through.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    stanzas_in: ByTag,
    stanzas_out: ByTag,
    messages: AtomicU64,
    refusals: AtomicU64,
    xx: AtomicU64,
    ik: AtomicU64,
    fallbacks: AtomicU64,
    closed: Mutex<BTreeMap<&'static str, u64>>,
    routed: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Stanzas that clients sent.
    pub stanzas_in: u64,
    /// Stanzas that clients were sent.
    pub stanzas_out: u64,
    /// Both by their tag.
    pub stanzas: Stanzas,
    /// Messages that were stored.
    pub messages: u64,
    /// Messages and questions that were refused, by faults or because their addressee does not exist.
    pub refusals: u64,
    /// Handshakes by their pattern.
    pub handshakes: Handshakes,
    /// Connections that ended, by the reason.
    pub closed: BTreeMap<&'static str, u64>,
}

/// Stanzas by their tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stanzas {
    /// From clients.
    pub r#in: BTreeMap<&'static str, u64>,
    /// To clients.
    pub out: BTreeMap<&'static str, u64>,
}

/// Handshakes that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Handshakes {
    /// By clients that knew nothing of the server.
    pub xx: u64,
    /// Resumed.
    pub ik: u64,
    /// Begun as IK and finished as XX.
    pub fallbacks: u64,
    /// Those of all patterns that began with routing data.
    pub routed: u64,
}

impl Stats {
    pub(crate) fn stanza_in(&self, tag: &str) {
        self.stanzas_in.count(tag);
    }

    pub(crate) fn stanza_out(&self, tag: &str) {
        self.stanzas_out.count(tag);
    }

    pub(crate) fn message(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refusal(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection ended.
    pub(crate) fn closed(&self, reason: &'static str) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        *closed.entry(reason).or_default() += 1;
    }

    pub(crate) fn handshake(&self, pattern: Pattern, routed: bool) {
        self.routed.fetch_add(u64::from(routed), Ordering::Relaxed);
        let counter = match pattern {
            Pattern::Xx => &self.xx,
            Pattern::Ik => &self.ik,
            Pattern::XxFallback => &self.fallbacks,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        let stanzas = Stanzas {
            r#in: self.stanzas_in.counts(),
            out: self.stanzas_out.counts(),
        };
        Counts {
            stanzas_in: stanzas.r#in.values().sum(),
            stanzas_out: stanzas.out.values().sum(),
            stanzas,
            messages: self.messages.load(Ordering::Relaxed),
            refusals: self.refusals.load(Ordering::Relaxed),
            handshakes: Handshakes {
                xx: self.xx.load(Ordering::Relaxed),
                ik: self.ik.load(Ordering::Relaxed),
                fallbacks: self.fallbacks.load(Ordering::Relaxed),
                routed: self.routed.load(Ordering::Relaxed),
            },
            closed: self.closed.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
