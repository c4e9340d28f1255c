//! Counters since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::server::handshake::Pattern;

/// What has passed through.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    stanzas_in: AtomicU64,
    stanzas_out: AtomicU64,
    messages: AtomicU64,
    xx: AtomicU64,
    ik: AtomicU64,
    fallbacks: AtomicU64,
    routed: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Stanzas that clients sent.
    pub(crate) stanzas_in: u64,
    /// Answers that clients were sent; queued stanzas not counted.
    pub(crate) stanzas_out: u64,
    /// Messages that clients sent.
    pub(crate) messages: u64,
    /// Handshakes by their pattern.
    pub(crate) handshakes: Handshakes,
}

/// Handshakes that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Handshakes {
    /// By clients that knew nothing of the server.
    pub(crate) xx: u64,
    /// Resumed.
    pub(crate) ik: u64,
    /// Begun as IK and finished as XX.
    pub(crate) fallbacks: u64,
    /// Those of all patterns that began with routing data.
    pub(crate) routed: u64,
}

impl Stats {
    pub(crate) fn stanza_in(&self) {
        self.stanzas_in.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stanza_out(&self) {
        self.stanzas_out.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn message(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
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
        Counts {
            stanzas_in: self.stanzas_in.load(Ordering::Relaxed),
            stanzas_out: self.stanzas_out.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            handshakes: Handshakes {
                xx: self.xx.load(Ordering::Relaxed),
                ik: self.ik.load(Ordering::Relaxed),
                fallbacks: self.fallbacks.load(Ordering::Relaxed),
                routed: self.routed.load(Ordering::Relaxed),
            },
        }
    }
}
