//! A time in which WhatsApp lets an account begin no chats.
//!
//! WhatsApp refuses each message to somebody new then, and takes those of chats that exist. A message that was refused
//! is put off until the time is over, and so are later ones of its chat, which are not tried. WhatsApp is asked once
//! whether there is such a time. Nothing of this is stored: a new owner of the shard tries one message of a chat, and
//! knows it again.

use std::collections::HashSet;
use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::recipient::Recipient;

/// How long it is believed where WhatsApp does not say until when.
const UNSAID: TimeDelta = TimeDelta::hours(1);

/// The longest that is believed before WhatsApp is asked again.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// How many chats are remembered. Messages of others are tried.
const CHATS: usize = 4_096;

/// Until when an account may begin no chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restriction {
    /// Until when that is believed.
    pub until: DateTime<Utc>,
    /// Until when it lasts, where WhatsApp says so.
    pub told: Option<DateTime<Utc>>,
}

impl Restriction {
    /// One that WhatsApp told of at `now`, perhaps with its end.
    pub fn begun(told: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let told = told.filter(|told| *told > now);
        let until = told.unwrap_or(now + UNSAID).min(now + LONGEST);
        Self { until, told }
    }
}

/// What is known of one instance's account.
#[derive(Debug, Default)]
pub struct Reachout(Mutex<Option<(Restriction, HashSet<Recipient>)>>);

impl Reachout {
    /// The restriction that holds now.
    pub fn now(&self, now: DateTime<Utc>) -> Option<Restriction> {
        let known = self.0.lock().expect("no holder panics");
        let (restriction, _) = known.as_ref()?;
        (now < restriction.until).then_some(*restriction)
    }

    /// The restriction that holds now for this chat, of which a message was put off.
    pub fn of(&self, chat: &Recipient, now: DateTime<Utc>) -> Option<Restriction> {
        let known = self.0.lock().expect("no holder panics");
        let (restriction, chats) = known.as_ref()?;
        (now < restriction.until && chats.contains(chat)).then_some(*restriction)
    }

    /// Notes that a message of this chat is put off.
    pub fn adds(&self, chat: &Recipient, restriction: Restriction) -> Restriction {
        let mut known = self.0.lock().expect("no holder panics");
        let (holds, chats) = known.get_or_insert_with(|| (restriction, HashSet::new()));
        if *holds != restriction {
            *holds = restriction;
            chats.clear();
        }
        if chats.len() < CHATS {
            chats.insert(chat.clone());
        }
        restriction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_chats_of_which_a_message_was_put_off_wait_and_only_in_this_time() {
        let now = DateTime::UNIX_EPOCH;
        let chat = |text: &str| text.parse::<Recipient>().expect("a number");
        let (new, warm) = (chat("15550100001"), chat("15550100002"));
        let reachout = Reachout::default();
        assert_eq!(reachout.now(now), None);
        let end = now + TimeDelta::hours(5);
        let restriction = reachout.adds(&new, Restriction::begun(Some(end), now));
        assert_eq!((restriction.until, restriction.told), (end, Some(end)));
        assert_eq!(reachout.now(now), Some(restriction));
        assert_eq!(reachout.of(&new, now), Some(restriction));
        assert_eq!(reachout.of(&warm, now), None);
        assert_eq!(reachout.of(&new, end), None);
        assert_eq!(reachout.now(end), None);
        // The next one begins with no chats.
        let next = reachout.adds(&warm, Restriction::begun(None, end));
        assert_eq!((next.until, next.told), (end + UNSAID, None));
        assert_eq!(reachout.of(&new, end), None);
    }

    #[test]
    fn an_end_that_is_past_or_far_is_not_believed() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(9);
        let past = Restriction::begun(Some(now - TimeDelta::hours(1)), now);
        assert_eq!((past.until, past.told), (now + UNSAID, None));
        let far = now + TimeDelta::days(60);
        let far = Restriction::begun(Some(far), now);
        assert_eq!(far.until, now + LONGEST);
        assert_eq!(far.told, Some(now + TimeDelta::days(60)));
    }
}
