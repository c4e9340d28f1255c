//! A daemon's beat as an item, with what the daemon tells of itself. That rides on a write which is made anyway. With
//! it the item stays far below 1 KiB, so a beat is one write unit.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};

use crate::domain::network::Network;
use crate::storage::error::StorageError;
use crate::storage::item::{Item, Reader, n, s, seconds, time};
use crate::storage::keys;

/// How long after its last beat a daemon's item is removed.
const BEAT_TERM: chrono::TimeDelta = chrono::TimeDelta::days(1);

/// A daemon's sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The daemon.
    pub daemon: String,
    /// Rises with each beat.
    pub counter: u64,
    /// How long a challenger waits for the next beat, in milliseconds.
    pub duration_ms: u64,
    /// The daemon's own time of day: for people and for [`Beat::looks_alive`], never for
    /// who owns what.
    pub at: DateTime<Utc>,
    /// Every instance that this daemon shows as connected has had a round trip to
    /// WhatsApp at this time or later.
    pub round_trips_since: Option<DateTime<Utc>>,
    /// Whether it is handing over its shards and takes none. It then counts for no share.
    pub draining: bool,
    /// What it tells of itself; `None` where its version tells nothing yet, or something that this one cannot read.
    pub vitals: Option<Vitals>,
}

/// What a daemon tells of itself, for people: nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// The version of its build.
    pub version: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Memory of the process that is resident, in bytes; `None` where the system does not tell.
    pub resident_bytes: Option<u64>,
    /// What it has in hand.
    pub load: Load,
}

/// What a daemon has in hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Instances that it keeps connected or tries to connect.
    pub sessions_held: u64,
    /// Those of them that are logged in.
    pub sessions_connected: u64,
    /// Messages that it has taken from the queues of sends and neither sent nor given back.
    pub jobs_in_hand: u64,
    /// Messages that WhatsApp acknowledged in the last minute.
    pub sent_last_minute: u64,
}

impl Beat {
    /// Whether a reader that saw this beat once may take its daemon for alive: it beat within its duration and 5 s
    /// more, for clocks that differ. It decides what is shown, not who owns a shard.
    pub fn looks_alive(&self, now: DateTime<Utc>) -> bool {
        let silence = (now - self.at).num_milliseconds();
        silence
            <= i64::try_from(self.duration_ms)
                .unwrap_or(i64::MAX)
                .saturating_add(5_000)
    }

    pub(super) fn to_item(&self, network: Network) -> Item {
        let mut item = keys::daemon(network, &self.daemon).attributes();
        let mut set = |name: &str, value| {
            item.insert(name.to_owned(), value);
        };
        set("counter", n(self.counter));
        set("durationMs", n(self.duration_ms));
        set("at", time(self.at));
        set("exp", seconds(self.at + BEAT_TERM));
        if let Some(since) = self.round_trips_since {
            set("roundTripsSince", time(since));
        }
        if self.draining {
            set("draining", AttributeValue::Bool(true));
        }
        if let Some(vitals) = &self.vitals {
            set("version", s(&vitals.version));
            set("startedAt", time(vitals.started_at));
            if let Some(bytes) = vitals.resident_bytes {
                set("residentBytes", n(bytes));
            }
            set("sessionsHeld", n(vitals.load.sessions_held));
            set("sessionsConnected", n(vitals.load.sessions_connected));
            set("jobsInHand", n(vitals.load.jobs_in_hand));
            set("sentLastMinute", n(vitals.load.sent_last_minute));
        }
        item
    }

    pub(super) fn from_item(item: &Item) -> Result<Self, StorageError> {
        let read = Reader::new("daemon", item);
        Ok(Self {
            daemon: read.str("sk")?.to_owned(),
            counter: read.number("counter")?,
            duration_ms: read.number("durationMs")?,
            at: read.time("at")?,
            round_trips_since: read.opt_time("roundTripsSince")?,
            draining: read.flag("draining")?,
            // Nothing is decided by them, so they must not keep a beat from being seen.
            vitals: Vitals::read(read).ok(),
        })
    }
}

impl Vitals {
    fn read(read: Reader<'_>) -> Result<Self, StorageError> {
        Ok(Self {
            version: read.str("version")?.to_owned(),
            started_at: read.time("startedAt")?,
            resident_bytes: read.opt_number("residentBytes")?,
            load: Load {
                sessions_held: read.number("sessionsHeld")?,
                sessions_connected: read.number("sessionsConnected")?,
                jobs_in_hand: read.number("jobsInHand")?,
                sent_last_minute: read.number("sentLastMinute")?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fullest() -> Beat {
        Beat {
            daemon: format!("daemon_{}", "0".repeat(26)),
            counter: u64::MAX,
            duration_ms: 60_000,
            at: DateTime::UNIX_EPOCH,
            round_trips_since: Some(DateTime::UNIX_EPOCH),
            draining: true,
            vitals: Some(Vitals {
                version: "100.100.100-candidate.100".into(),
                started_at: DateTime::UNIX_EPOCH,
                resident_bytes: Some(u64::MAX),
                load: Load {
                    sessions_held: u64::MAX,
                    sessions_connected: u64::MAX,
                    jobs_in_hand: u64::MAX,
                    sent_last_minute: u64::MAX,
                },
            }),
        }
    }

    #[test]
    fn a_beat_reads_as_it_was_written_whatever_it_tells() {
        let mut beat = fullest();
        for _ in 0..3 {
            let item = beat.to_item(Network::Live);
            assert_eq!(Beat::from_item(&item).expect("sound"), beat);
            beat.draining = false;
            match &mut beat.vitals {
                Some(Vitals {
                    resident_bytes: bytes @ Some(_),
                    ..
                }) => *bytes = None,
                vitals => *vitals = None,
            }
        }
    }

    #[test]
    fn a_beat_counts_whatever_it_tells_of_its_daemon() {
        let mut item = fullest().to_item(Network::Live);
        item.insert("jobsInHand".to_owned(), s("many"));
        let beat = Beat::from_item(&item).expect("sound");
        let told = Beat {
            vitals: None,
            ..fullest()
        };
        assert_eq!(beat, told);
    }

    #[test]
    fn a_beat_costs_one_write_unit() {
        let size: usize = fullest()
            .to_item(Network::Sandbox)
            .iter()
            .map(|(name, value)| match value {
                // An upper bound: the service packs two digits into a byte.
                AttributeValue::S(text) | AttributeValue::N(text) => name.len() + text.len(),
                AttributeValue::Bool(_) => name.len() + 1,
                other => panic!("{name}: {other:?}"),
            })
            .sum();
        assert!(size <= 512, "{size} bytes");
    }
}
