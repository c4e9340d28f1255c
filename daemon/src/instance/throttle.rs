//! How much presence an instance tells: people come, go and write at all times, and what others want must not wait for that.

use std::time::Duration;

use shared::domain::event::{PresenceState, PresenceUpdated};
use shared::domain::person::Person;
use shared::recent::Recent;
use tokio::time::Instant;

/// How many are told at once.
const BURST: u32 = 50;

/// After this long there is room for one more: five a second.
const ONE_MORE: Duration = Duration::from_millis(200);

/// Apps say again every few seconds that somebody writes. The same within this long is told once.
const SAME: Duration = Duration::from_secs(8);

/// Of how many people of an instance is remembered what was told last.
const REMEMBERED: usize = 256;

/// What was told last of somebody, in which chat.
type Last = Recent<(Person, Option<String>), (PresenceState, Instant)>;

/// What an instance's presence is held to.
#[derive(Debug, Default)]
pub struct Throttle {
    /// How many were told beyond what time has made room for.
    told: u32,
    since: Option<Instant>,
    last: Option<Last>,
}

impl Throttle {
    /// Whether this one, which came `now`, is told.
    pub fn admits(&mut self, presence: &PresenceUpdated, now: Instant) -> bool {
        let last = self.last.get_or_insert_with(|| Recent::new(REMEMBERED));
        let key = (presence.from.clone(), presence.chat.group.clone());
        if let Some((state, at)) = last.get(&key)
            && *state == presence.state
            && now.duration_since(*at) < SAME
        {
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let passed = now.duration_since(since).as_millis() / ONE_MORE.as_millis();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed > 0 {
            self.told = self.told.saturating_sub(passed);
            self.since = (self.told > 0).then(|| since + ONE_MORE * passed);
        }
        if self.told >= BURST {
            return false;
        }
        self.told += 1;
        last.insert(key, (presence.state, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::event::ChatNames;

    use super::*;

    fn presence(number: usize, state: PresenceState) -> PresenceUpdated {
        let phone = Some(format!("1555010{number:04}"));
        PresenceUpdated {
            chat: ChatNames {
                phone: phone.clone(),
                lid: None,
                group: None,
            },
            from: Person { phone, lid: None },
            state,
            last_seen: None,
        }
    }

    #[test]
    fn a_flood_is_held_to_a_rate() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let mut told = |people: std::ops::Range<usize>, seconds| {
            let now = start + Duration::from_secs(seconds);
            let all = people.map(|number| presence(number, PresenceState::Available));
            all.filter(|presence| throttle.admits(presence, now)).count()
        };
        assert_eq!(told(0..1_000, 0), 50);
        assert_eq!(told(1_000..2_000, 2), 10);
        assert_eq!(told(2_000..3_000, 3_600), 50, "no more than at first");
        assert_eq!(told(3_000..4_000, 3_601), 5);
    }

    #[test]
    fn what_is_said_again_is_told_once() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let typing = presence(1, PresenceState::Typing);
        assert!(throttle.admits(&typing, start));
        assert!(!throttle.admits(&typing, start));
        let other = presence(2, PresenceState::Typing);
        assert!(throttle.admits(&other, start), "somebody else");
        assert!(throttle.admits(&presence(1, PresenceState::Paused), start));
        assert!(throttle.admits(&typing, start), "they began again");
        assert!(throttle.admits(&typing, start + SAME), "they still write");
    }
}
