//! What is written down of a state, so that states that go on alike are one: ages in place of times, and numbers by
//! their order where only their order counts.

use std::rc::Rc;
use std::time::Duration;

use shared::domain::shard::Shard;
use tokio::time::Instant;

/// What stands before a number of four bytes.
const LARGE: i8 = i8::MIN;

/// A key that is being written.
pub struct Key {
    now: Instant,
    bytes: Vec<u8>,
    /// The counters that some daemon or the table knows of each daemon, which its name's only letter stands for.
    counters: Vec<(u8, u64)>,
}

impl Key {
    pub fn new(now: Instant) -> Self {
        Self {
            now,
            bytes: Vec::with_capacity(256),
            counters: Vec::with_capacity(16),
        }
    }

    /// What time it is for what is written down next.
    pub fn is_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// A counter that will be written down by [`Key::counter`]. All are known before the first is.
    pub fn know(&mut self, daemon: &str, counter: u64) {
        let known = (letter(daemon), counter);
        if !self.counters.contains(&known) {
            self.counters.push(known);
        }
    }

    /// A daemon's counter, by its place among all that are known of it.
    pub fn counter(&mut self, daemon: &str, counter: Option<u64>) {
        let Some(counter) = counter else {
            return self.number(-1);
        };
        let daemon = letter(daemon);
        let earlier = |(of, known): &&(u8, u64)| *of == daemon && *known < counter;
        let place = self.counters.iter().filter(earlier).count();
        self.count(place);
    }

    /// A number, in one byte where it is small: keys are many, and are hashed more than once.
    pub fn number(&mut self, number: i64) {
        match i8::try_from(number) {
            Ok(small) if small != LARGE => self.bytes.push(small.cast_unsigned()),
            _ => {
                let large = i32::try_from(number).expect("models count to a few");
                self.bytes.push(LARGE.cast_unsigned());
                self.bytes.extend_from_slice(&large.to_be_bytes());
            }
        }
    }

    pub fn count(&mut self, count: usize) {
        self.number(i64::try_from(count).expect("a few"));
    }

    pub fn shard(&mut self, shard: Shard) {
        self.number(i64::from(shard.0));
    }

    pub fn flag(&mut self, flag: bool) {
        self.bytes.push(u8::from(flag));
    }

    pub fn name(&mut self, name: &str) {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
    }

    /// How long ago or how far ahead a time is. Ages from `longest` on are alike.
    pub fn time(&mut self, at: Option<Instant>, longest: Duration) {
        let Some(at) = at else {
            return self.number(i64::from(i32::MAX));
        };
        let longest = longest.as_millis();
        let age = self.now.saturating_duration_since(at).as_millis().min(longest);
        let ahead = at.saturating_duration_since(self.now).as_millis();
        self.number(i64::try_from(ahead).expect("soon") - i64::try_from(age).expect("recent"));
    }

    pub fn done(self) -> Rc<[u8]> {
        self.bytes.into()
    }
}

fn letter(daemon: &str) -> u8 {
    daemon.as_bytes()[0]
}
