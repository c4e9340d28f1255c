//! How long to wait before a message is tried again, before an instance sends again, and before a job that was left
//! in its queue comes back.
//!
//! A message that fails for a reason that may pass is tried until its time runs out. So every pause grows: an outage
//! of a day must not become a storm of attempts, nor use up the 1,000 receives after which SQS takes a job for
//! poison.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// The pauses after each failure in a row, in seconds; the last one repeats. Each is shortened by up to a quarter at
/// random, so that lanes do not come back at once.
const PAUSES: [u64; 9] = [2, 4, 8, 16, 32, 64, 128, 256, 300];

/// The longest pause that is believed where the server names one.
const LONGEST: Duration = Duration::from_hours(1);

/// A job that is left in its queue is hidden for this long, times its receives.
const LEFT_STEP: Duration = Duration::from_secs(5);

/// The longest time that a job is hidden for.
const LEFT_LONGEST: Duration = Duration::from_mins(15);

/// The shortest time that a job of a newer version is hidden for, since only a deployment helps it.
const NEWER_SHORTEST: Duration = Duration::from_mins(1);

/// The first pause of a message that is put off. They double.
const PUT_OFF_FIRST: Duration = Duration::from_mins(1);

/// The first pause of a nudge that waits in its queue. They double, so that the fifth receive
/// comes when the queue's 15 minutes are over: none is ever taken for poison.
const NUDGE_FIRST: Duration = Duration::from_mins(1);

/// The pause after so many failures in a row, the last one included; `random` lies between 0 and 1.
pub fn after(failures: u32, random: f64) -> Duration {
    let step = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let whole = Duration::from_secs(PAUSES[step.min(PAUSES.len() - 1)]);
    whole.mul_f64(1.0 - random.clamp(0.0, 1.0) / 4.0)
}

/// How long a message is put off for the so many-th time: 1, 2, 4, 8, then 15 minutes, shortened by up to a quarter.
pub fn put_off(times: u32, random: f64) -> Duration {
    let doubled = PUT_OFF_FIRST.saturating_mul(1 << times.saturating_sub(1).min(10));
    let whole = doubled.min(LEFT_LONGEST);
    whole.mul_f64(1.0 - random.clamp(0.0, 1.0) / 4.0)
}

/// How long a job that was received this often is hidden, when the table or the key service is away.
pub fn left(receive_count: u32) -> Duration {
    LEFT_STEP.saturating_mul(receive_count.max(1)).min(LEFT_LONGEST)
}

/// The same for a job of a newer version.
pub fn newer(receive_count: u32) -> Duration {
    left(receive_count).max(NEWER_SHORTEST)
}

/// How long a nudge or question that was received this often and could not be followed is hidden.
pub fn nudge(receive_count: u32) -> Duration {
    let doubled = NUDGE_FIRST.saturating_mul(1 << receive_count.saturating_sub(1).min(10));
    doubled.min(LEFT_LONGEST)
}

/// The pauses of one instance, which hold for all its lanes: WhatsApp counts an account's messages, not a chat's.
/// They outlive connections, so that a new connection does not repeat what the last one was refused for.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Slowed>);

#[derive(Debug, Default)]
struct Slowed {
    failures: u32,
    /// When the last pause began. An attempt from before it tells nothing of how things are after it.
    at: Option<Instant>,
    until: Option<Instant>,
}

impl Pace {
    /// An attempt that began at `began` has failed for a reason that touches the whole instance. The pause lasts
    /// `at_least` as long as the server asks for.
    pub fn slow(&self, began: Instant, at_least: Option<Duration>, random: f64) {
        let now = Instant::now();
        let mut slowed = self.0.lock().expect("no holder panics");
        let is_of_before = slowed.at.is_some_and(|at| began < at);
        if !is_of_before {
            slowed.failures += 1;
            slowed.at = Some(now);
            slowed.until = Some(now + after(slowed.failures, random));
        }
        if let Some(asked) = at_least {
            let until = now + asked.min(LONGEST);
            slowed.until = Some(slowed.until.map_or(until, |longer| longer.max(until)));
        }
    }

    /// An attempt that began at `began` has succeeded: nothing slows the instance any more.
    pub fn ease(&self, began: Instant) {
        let mut slowed = self.0.lock().expect("no holder panics");
        if slowed.at.is_none_or(|at| began >= at) {
            *slowed = Slowed::default();
        }
    }

    /// Until when nothing is sent; `None` where nothing is paused.
    pub fn until(&self) -> Option<Instant> {
        let slowed = self.0.lock().expect("no holder panics");
        slowed.until.filter(|until| *until > Instant::now())
    }

    /// Whether the last attempt has failed. The next message then goes alone, to find out.
    pub fn is_strained(&self) -> bool {
        self.0.lock().expect("no holder panics").failures > 0
    }
}

#[cfg(test)]
mod tests {
    use shared::queue::deployment::{MAX_RECEIVES, QUERIES_MAX_RECEIVES, QUERIES_RETENTION, SENDS_RETENTION};
    use shared::queue::{MAX_DELAY, MAX_VISIBILITY};

    use super::*;

    /// How often a message is received until `end` that is hidden so each time.
    fn receives(end: Duration, hidden: impl Fn(u32) -> Duration) -> u32 {
        let (mut at, mut count) = (Duration::ZERO, 0);
        while at < end {
            count += 1;
            at += hidden(count);
        }
        count
    }

    #[test]
    fn pauses_grow_to_five_minutes() {
        assert_eq!(after(1, 0.0), Duration::from_secs(2));
        assert_eq!(after(2, 1.0), Duration::from_secs(3));
        assert_eq!(after(9, 0.0), Duration::from_mins(5));
        assert_eq!(after(u32::MAX, 0.0), Duration::from_mins(5));
    }

    #[test]
    fn no_outage_of_days_uses_up_a_jobs_receives() {
        for hidden in [left as fn(u32) -> Duration, newer] {
            let count = receives(SENDS_RETENTION, hidden);
            assert!(count < MAX_RECEIVES / 2, "{count} receives in four days");
            assert!((1..=MAX_RECEIVES).all(|count| hidden(count) <= MAX_VISIBILITY));
        }
        assert_eq!(left(1), Duration::from_secs(5), "a hiccup costs little");
        assert_eq!(newer(1), Duration::from_mins(1));
    }

    #[test]
    fn a_nudge_outlives_its_queue_without_being_taken_for_poison() {
        let count = receives(QUERIES_RETENTION, nudge);
        assert!(
            count < QUERIES_MAX_RECEIVES,
            "{count} receives in a quarter of an hour"
        );
        assert!((1..=100).all(|count| nudge(count) <= MAX_DELAY));
    }

    #[test]
    fn a_message_is_put_off_for_one_to_fifteen_minutes() {
        let minutes = |times| put_off(times, 0.0).as_secs() / 60;
        assert_eq!(
            [1, 2, 3, 4, 5, 6, u32::MAX].map(minutes),
            [1, 2, 4, 8, 15, 15, 15]
        );
        assert_eq!(put_off(1, 1.0), Duration::from_secs(45));
    }

    #[test]
    fn failures_of_before_a_pause_do_not_make_it_longer() {
        let pace = Pace::default();
        let began = Instant::now();
        pace.slow(began, None, 0.0);
        let until = pace.until().expect("slowed");
        pace.slow(began, None, 0.0);
        pace.ease(began);
        assert_eq!(pace.until(), Some(until), "they went out together");
        assert!(pace.is_strained());
        pace.slow(began, Some(Duration::from_mins(1)), 0.0);
        assert!(pace.until().expect("slowed") > until, "the server's word counts");
        pace.ease(Instant::now());
        assert!(pace.until().is_none() && !pace.is_strained());
    }

    #[test]
    fn failures_after_a_pause_make_it_longer() {
        let pace = Pace::default();
        for failures in 1..=3 {
            let before = Instant::now();
            pace.slow(before, None, 0.0);
            let until = pace.until().expect("slowed");
            let pause = after(failures, 0.0);
            assert!((before + pause..=Instant::now() + pause).contains(&until));
        }
    }
}
