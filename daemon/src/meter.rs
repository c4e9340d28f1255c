//! Counts what this daemon has in hand. Its beat tells the numbers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

/// How far back [`LastMinute`] counts.
const MINUTE: Duration = Duration::from_mins(1);

/// What a daemon counts of itself.
#[derive(Debug, Default)]
pub struct Meter {
    /// Instances that have a task to keep them connected.
    pub sessions: Gauge,
    /// Jobs taken from the queues of sends.
    pub jobs: Gauge,
    /// Messages that the server acknowledged.
    pub sent: LastMinute,
    /// Receipts that were not stored: the states of their messages stay behind.
    pub receipts_given_up: Total,
    /// What was not told of groups, contacts and calls, as there was no room for it, or the shard was given up before.
    pub notices_given_up: Total,
    /// What was not told of people's presence: it was too much, or the queue was in the way.
    pub presences_dropped: Total,
}

/// How often something has happened since the process began.
#[derive(Debug, Clone, Default)]
pub struct Total(Arc<AtomicU64>);

impl Total {
    /// It has happened so many times more.
    pub fn add(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How often.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of a thing there are now.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// Things that a [`Gauge`] counts until this is dropped.
#[derive(Debug)]
pub struct Counted {
    gauge: Gauge,
    count: u64,
}

impl Gauge {
    /// Counts so many more.
    pub fn count(&self, count: usize) -> Counted {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.fetch_add(count, Ordering::Relaxed);
        Counted {
            gauge: self.clone(),
            count,
        }
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counted {
    /// One of them is done with.
    pub fn one_less(&mut self) {
        if self.count > 0 {
            self.count -= 1;
            self.gauge.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// How often something has happened within the last minute, to the second.
#[derive(Debug, Default)]
pub struct LastMinute(Mutex<VecDeque<(Instant, u64)>>);

impl LastMinute {
    /// It has happened once more.
    pub fn note(&self, now: Instant) {
        let mut seconds = self.0.lock().expect("no holder panics");
        forget(&mut seconds, now);
        match seconds.back_mut() {
            Some((begun, count)) if now.duration_since(*begun) < Duration::from_secs(1) => *count += 1,
            _ => seconds.push_back((now, 1)),
        }
    }

    /// How often it has happened.
    pub fn count(&self, now: Instant) -> u64 {
        let mut seconds = self.0.lock().expect("no holder panics");
        forget(&mut seconds, now);
        seconds.iter().map(|(_, count)| count).sum()
    }
}

fn forget(seconds: &mut VecDeque<(Instant, u64)>, now: Instant) {
    while seconds
        .front()
        .is_some_and(|(begun, _)| now.duration_since(*begun) >= MINUTE)
    {
        seconds.pop_front();
    }
}

/// Resident memory of this process, in bytes; `None` where the system does not tell, as only Linux does. The kernel
/// makes the file as it is read, so no disk is waited for.
pub fn resident_bytes() -> Option<u64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The line `VmRSS:  1234 kB` of proc(5).
fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_counts_what_is_there_however_it_goes() {
        let gauge = Gauge::default();
        let mut two = gauge.count(2);
        let three = gauge.count(3);
        assert_eq!(gauge.get(), 5);
        two.one_less();
        assert_eq!(gauge.get(), 4);
        drop(two);
        assert_eq!(gauge.get(), 3);
        drop(three);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn a_minute_forgets_what_lies_before_it() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let sent = LastMinute::default();
        for millis in [0, 400, 999, 1_000, 30_000] {
            sent.note(at(millis));
        }
        assert_eq!(sent.count(at(59_999)), 5);
        assert_eq!(sent.count(at(60_000)), 2, "the first second is over");
        assert_eq!(sent.count(at(61_000)), 1);
        assert_eq!(sent.count(at(90_000)), 0);
    }

    #[test]
    fn the_systems_word_on_memory_is_understood() {
        let status = "Name:\tdaemon\nVmHWM:\t    9000 kB\nVmRSS:\t    8192 kB\nThreads:\t4\n";
        assert_eq!(resident_in(status), Some(8_388_608));
        assert_eq!(resident_in("Name:\tdaemon\n"), None);
        assert_eq!(resident_in("VmRSS:\t many kB\n"), None);
    }
}
