//! What was sent, acknowledged and taken, and whether it fits together.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::network::Network;

/// What ids begin with; the rest is the number of the message in the ledger.
const PREFIX: &str = "3EB0";

/// One text.
#[derive(Debug, Clone, Copy)]
struct Text {
    /// The recipient, by its place among all of them.
    to: u32,
    /// How often it was sent.
    sends: u16,
    /// How often the recipient's client committed it.
    commits: u16,
    acked: bool,
    refused: bool,
}

/// All texts of the run. Its room is taken beforehand, so that it does not count as growth.
#[derive(Debug)]
pub struct Ledger {
    texts: Mutex<Vec<Text>>,
}

impl Ledger {
    pub fn with_room(texts: usize) -> Self {
        Self {
            texts: Mutex::new(Vec::with_capacity(texts)),
        }
    }

    /// Enters a text to the recipient at that place; answers its id.
    pub fn open(&self, to: usize) -> String {
        let mut texts = self.texts();
        texts.push(Text {
            to: u32::try_from(to).expect("a place"),
            sends: 0,
            commits: 0,
            acked: false,
            refused: false,
        });
        format!("{PREFIX}{:012X}", texts.len() - 1)
    }

    /// The text is about to be sent.
    pub fn sent(&self, id: &str) {
        self.change(id, |text| text.sends += 1);
    }

    /// The server took it, or refused it.
    pub fn answered(&self, id: &str, refused: bool) {
        self.change(id, |text| {
            text.acked |= !refused;
            text.refused |= refused;
        });
    }

    /// A client took it durably.
    pub fn committed(&self, id: &str) {
        self.change(id, |text| text.commits += 1);
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Text)) {
        // Texts that are none of the run's do not concern it.
        let Some(number) = number(id) else { return };
        if let Some(text) = self.texts().get_mut(number) {
            change(text);
        }
    }

    /// Compares what was acknowledged with the inboxes of all recipients, of which the first `clients` have clients.
    pub async fn verdict(
        &self,
        network: &Network,
        recipients: &[String],
        clients: usize,
    ) -> anyhow::Result<Verdict> {
        let mut arrivals: HashMap<usize, (u32, u64)> = HashMap::new();
        for (place, phone) in recipients.iter().enumerate() {
            for entry in network.inbox(phone).await? {
                let id = entry["id"].as_str().and_then(number);
                let texts = self.texts();
                // One's own phone has a copy of what one sends; it is not meant here.
                let meant = |number: &usize| texts.get(*number).is_some_and(|text| text.to as usize == place);
                if let Some(number) = id.filter(meant) {
                    let arrival = arrivals.entry(number).or_default();
                    arrival.0 += 1;
                    arrival.1 += entry["copies"].as_u64().unwrap_or(1);
                }
            }
        }
        let texts = self.texts();
        let mut verdict = Verdict {
            texts: texts.len(),
            ..Verdict::default()
        };
        for (number, text) in texts.iter().enumerate() {
            let (entries, copies) = arrivals.get(&number).copied().unwrap_or_default();
            verdict.acked += usize::from(text.acked);
            verdict.refused += usize::from(text.refused);
            verdict.resends += usize::from(text.sends.saturating_sub(1));
            verdict.extra_commits += usize::from(text.commits.saturating_sub(1));
            verdict.lost += usize::from(text.acked && entries == 0);
            verdict.shown_twice += usize::from(entries > 1);
            verdict.copied += usize::from(copies > u64::from(text.sends));
            let has_client = (text.to as usize) < clients;
            verdict.missed += usize::from(text.acked && has_client && text.commits == 0);
        }
        Ok(verdict)
    }

    fn texts(&self) -> MutexGuard<'_, Vec<Text>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(id: &str) -> Option<usize> {
    usize::from_str_radix(id.strip_prefix(PREFIX)?, 16).ok()
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Verdict {
    texts: usize,
    acked: usize,
    refused: usize,
    resends: usize,
    extra_commits: usize,
    /// Acknowledged, and not in the recipient's inbox.
    lost: usize,
    /// Acknowledged, and not taken by the recipient's client.
    missed: usize,
    /// More than once in an inbox.
    shown_twice: usize,
    /// Arrived more often than it was sent.
    copied: usize,
}

impl Verdict {
    /// Whether all that was acknowledged has arrived.
    pub fn complete(&self) -> bool {
        self.lost == 0 && self.missed == 0
    }

    /// An error unless everything is as it must be.
    pub fn judge(&self) -> anyhow::Result<()> {
        let wrong = self.lost + self.missed + self.shown_twice + self.copied + self.refused;
        anyhow::ensure!(wrong == 0, "messages were lost, doubled or refused");
        anyhow::ensure!(self.acked > 0, "no message was acknowledged");
        anyhow::ensure!(self.acked == self.texts, "messages were never acknowledged");
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "texts: {}, acknowledged: {}, refused: {}, sent again: {}, committed again by clients: {}\n\
             lost: {}, missed by clients: {}, shown twice: {}, more copies than sends: {}",
            self.texts,
            self.acked,
            self.refused,
            self.resends,
            self.extra_commits,
            self.lost,
            self.missed,
            self.shown_twice,
            self.copied
        )
    }
}
