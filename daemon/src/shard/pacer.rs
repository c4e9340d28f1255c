//! How fast one instance sends, where its owner wants it to be slower than it could.
//!
//! Each message takes a place, and the places of a minute are spread evenly over it, with some jitter, since nobody
//! writes like a clock. A message to somebody whom the account has never written to takes several places: WhatsApp
//! looks most closely at those. Nothing of this is stored. A new owner of the shard begins with a free place, so a
//! take-over costs one message out of time.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How many places a message to somebody takes whom the account has never written to.
pub const STRANGER: u32 = 4;

/// By how much a place may be shorter or longer than its share of the minute.
const JITTER: f64 = 0.25;

/// One instance's places.
#[derive(Debug, Default)]
pub struct Pacer {
    /// Whose turn it is: messages go in the order in which they came here.
    turn: tokio::sync::Mutex<()>,
    places: Mutex<Places>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Places {
    per_minute: Option<u16>,
    /// When the last message went.
    last: Option<Instant>,
    /// How many places it took, with their jitter.
    taken: f64,
}

impl Places {
    fn next(&self) -> Option<Instant> {
        let place = Duration::from_mins(1) / u32::from(self.per_minute?.max(1));
        Some(self.last? + place.mul_f64(self.taken))
    }
}

impl Pacer {
    /// How many messages go in a minute from now on; `None` for as many as can.
    pub fn set(&self, per_minute: Option<u16>) {
        let mut places = self.places.lock().expect("no holder panics");
        if places.per_minute != per_minute {
            places.per_minute = per_minute;
            self.changed.notify_one();
        }
    }

    /// Whether the instance is to send slowly.
    pub fn is_set(&self) -> bool {
        self.places.lock().expect("no holder panics").per_minute.is_some()
    }

    /// Waits for so many places and takes them; `random` lies between 0 and 1. A message that gives up waiting takes
    /// none.
    pub async fn wait(&self, places: u32, random: f64) {
        let _turn = self.turn.lock().await;
        loop {
            let next = self.places.lock().expect("no holder panics").next();
            let Some(next) = next.filter(|next| *next > Instant::now()) else {
                break;
            };
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.changed.notified() => {}
            }
        }
        let mut spent = self.places.lock().expect("no holder panics");
        spent.last = Some(Instant::now());
        spent.taken = f64::from(places) * (1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// When the next message may go; `None` where it may at once.
    fn next(pacer: &Pacer) -> Option<Instant> {
        pacer.places.lock().expect("no holder panics").next()
    }

    /// Takes so many places at once, after which the next message has to wait for so long.
    fn takes(pacer: &Pacer, places: u32, random: f64, pause: Duration) {
        let before = Instant::now();
        pacer.wait(places, random).now_or_never().expect("free");
        let next = next(pacer).expect("it has to wait");
        assert!((before + pause..=Instant::now() + pause).contains(&next));
    }

    #[tokio::test]
    async fn a_place_is_a_share_of_the_minute_with_jitter() {
        for (random, seconds) in [(0.0, 15), (0.5, 20), (1.0, 25)] {
            let pacer = Pacer::default();
            pacer.set(Some(3));
            assert_eq!(next(&pacer), None, "the first goes at once");
            takes(&pacer, 1, random, Duration::from_secs(seconds));
            assert!(pacer.wait(1, random).now_or_never().is_none());
        }
    }

    #[tokio::test]
    async fn a_stranger_takes_several_places() {
        let pacer = Pacer::default();
        pacer.set(Some(60));
        takes(&pacer, STRANGER, 0.5, Duration::from_secs(4));
    }

    #[tokio::test]
    async fn who_waits_hears_of_another_pace() {
        let pacer = Pacer::default();
        pacer.set(Some(1));
        pacer.wait(1, 0.5).await;
        let waiting = pacer.wait(1, 0.5);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        pacer.set(None);
        let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        waited.expect("nothing holds it any more");
    }
}
