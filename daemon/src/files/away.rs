//! Since when files come from nowhere: a host, the bucket, or WhatsApp's media host that fails for one message fails for
//! others.
//!
//! A message is tried in its lane for a while before it is put off. Where what it needs has failed others for that long,
//! one try of its own is enough: else an outage would cost each message of a lane that while anew. The same goes for what
//! statuses need instead, those who see them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::Url;
use shared::domain::content::Source;
use shared::ids::InstanceId;
use tokio::time::Instant;

/// How long a place is remembered that fails nobody any more.
const REMEMBERED: Duration = Duration::from_mins(15);

/// How many places are remembered.
const MOST: usize = 4_096;

/// What a message needs before the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A host that a caller named, with its port.
    Host(String),
    /// The bucket.
    Bucket,
    /// WhatsApp's media host.
    Upload,
    /// Those who see this instance's statuses.
    Audience(InstanceId),
}

impl Place {
    /// Where a file comes from; `None` where it is here already.
    pub fn of(source: Option<&Source>) -> Option<Self> {
        match source? {
            Source::Url(url) => {
                let url = Url::parse(url).ok()?;
                let port = url.port_or_known_default()?;
                Some(Self::Host(format!("{}:{port}", url.host_str()?)))
            }
            Source::Upload(_) | Source::Stored(_) => Some(Self::Bucket),
            Source::Inline(_) | Source::Remote(_) => None,
        }
    }
}

/// The places that fail.
#[derive(Debug, Default)]
pub struct Away(Mutex<HashMap<Place, Failing>>);

#[derive(Debug, Clone, Copy)]
struct Failing {
    since: Instant,
    last: Instant,
}

impl Away {
    /// Notes that a place has failed a message. Answers for how long it has failed all of them.
    pub fn fails(&self, place: &Place, now: Instant) -> Duration {
        let mut away = self.0.lock().expect("no holder panics");
        if let Some(failing) = away.get_mut(place).filter(|known| now - known.last < REMEMBERED) {
            failing.last = now;
            return now - failing.since;
        }
        away.retain(|_, failing| now - failing.last < REMEMBERED);
        if away.len() < MOST {
            let failing = Failing {
                since: now,
                last: now,
            };
            away.insert(place.clone(), failing);
        }
        Duration::ZERO
    }

    /// Notes that a place works.
    pub fn works(&self, place: &Place) {
        self.0.lock().expect("no holder panics").remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_fails_for_as_long_as_it_has_worked_for_nobody() {
        let away = Away::default();
        let place = |url: &str| Place::of(Some(&Source::Url(url.to_owned()))).expect("a host");
        let slow = place("https://slow.example/a.png");
        assert_eq!(slow, place("https://slow.example:443/b.png?c"));
        assert_ne!(slow, place("http://slow.example/a.png"));
        let now = Instant::now();
        assert_eq!(away.fails(&slow, now), Duration::ZERO);
        let while_later = Duration::from_secs(70);
        let now = now + while_later;
        assert_eq!(away.fails(&slow, now), while_later);
        assert_eq!(away.fails(&Place::Upload, now), Duration::ZERO, "another place");
        away.works(&slow);
        assert_eq!(away.fails(&slow, now), Duration::ZERO);
        let now = now + REMEMBERED;
        assert_eq!(
            away.fails(&slow, now),
            Duration::ZERO,
            "nobody knows how it was meanwhile"
        );
    }

    #[test]
    fn no_more_places_are_remembered_than_there_is_room_for() {
        let (away, now) = (Away::default(), Instant::now());
        for n in 0..=MOST {
            away.fails(&Place::Host(n.to_string()), now);
        }
        assert_eq!(away.0.lock().expect("whole").len(), MOST);
        away.fails(&Place::Bucket, now + REMEMBERED);
        assert_eq!(away.0.lock().expect("whole").len(), 1);
    }
}
