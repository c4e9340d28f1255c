//! A time in which WhatsApp lets an account begin no chats.
//!
//! WhatsApp refuses each message to somebody new then, and takes those of chats that exist. WhatsApp is asked once whether
//! there is such a time. While it lasts, messages to people whom the account has never written to are put off without a
//! try, and so are those of a chat of which one was refused. Nothing of this is stored: a new owner of the shard tries one
//! message, and knows it again.
//!
//! At its end they do not come all at once, which would begin the next such time: each chat has a place of its own in the
//! [`SPREAD`] after it, the same for all of its messages, so that they keep their order.

use std::collections::HashSet;
use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use shared::domain::job::SendJob;
use shared::domain::message::{FailureCode, Kind};
use shared::domain::recipient::Recipient;

use super::journey::{Journey, Stopped};
use super::put_off::Later;
use super::send::Sender;
use crate::instance::link::Link;

/// How long it is believed where WhatsApp does not say until when.
const UNSAID: TimeDelta = TimeDelta::hours(1);

/// The longest that is believed before WhatsApp is asked again.
const LONGEST: TimeDelta = TimeDelta::days(1);

/// How many chats are remembered. Messages of others are tried, unless they are to people whom the account does not know.
const CHATS: usize = 4_096;

/// Over how long after its end the messages that it put off are spread.
pub const SPREAD: TimeDelta = TimeDelta::minutes(20);

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

    /// When a message of this restriction is tried again: in its chat's place after the end, or sooner where it would not
    /// have as much time left as it has waited for its place.
    pub fn later(self, send: &SendJob) -> Later {
        let digest = Sha256::new()
            .chain_update(send.instance.to_bytes())
            .chain_update(self.until.timestamp_millis().to_be_bytes())
            .chain_update(send.chat().to_jid())
            .finalize();
        let place = i32::from(u16::from_be_bytes([digest[0], digest[1]]));
        let place = SPREAD * place / (i32::from(u16::MAX) + 1);
        let most = (send.expires_at - self.until) / 2;
        Later {
            code: FailureCode::ReachoutRestricted,
            at: self.until + place.min(most).max(TimeDelta::zero()),
            told: self.told,
        }
    }
}

/// What is known of one instance's account.
#[derive(Debug, Default)]
pub struct Reachout {
    known: Mutex<Option<(Restriction, HashSet<Recipient>)>>,
    /// Whose turn it is to ask WhatsApp.
    pub asking: tokio::sync::Mutex<()>,
}

impl Reachout {
    /// The restriction that holds now.
    pub fn now(&self, now: DateTime<Utc>) -> Option<Restriction> {
        let known = self.known.lock().expect("no holder panics");
        let (restriction, _) = known.as_ref()?;
        (now < restriction.until).then_some(*restriction)
    }

    /// The restriction that holds now for this chat, of which a message was refused.
    pub fn of(&self, chat: &Recipient, now: DateTime<Utc>) -> Option<Restriction> {
        let known = self.known.lock().expect("no holder panics");
        let (restriction, chats) = known.as_ref()?;
        (now < restriction.until && chats.contains(chat)).then_some(*restriction)
    }

    /// Notes that a message of this chat was refused.
    pub fn adds(&self, chat: &Recipient, restriction: Restriction) -> Restriction {
        let mut known = self.known.lock().expect("no holder panics");
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

impl Sender<'_> {
    /// Until when a message is put off that would begin a chat now, and need not be tried. It costs nothing while WhatsApp
    /// restricts the account by nothing.
    pub async fn kept_from(
        &self,
        link: &Link,
        send: &SendJob,
        journey: &mut Journey,
    ) -> Result<Option<Later>, Stopped> {
        let (reachout, now) = (&self.wire.reachout, self.deps.clock.now());
        // What is taken back was written before.
        let restriction = reachout.now(now).filter(|_| send.kind != Kind::Revoke);
        let Some(restriction) = restriction else {
            return Ok(None);
        };
        if let Some(restriction) = reachout.of(send.chat(), now) {
            return Ok(Some(restriction.later(send)));
        }
        let Some(spelt) = self.as_spelt(link, send, journey).await? else {
            return Ok(None);
        };
        let meeting = link.connection.has_written_to(&spelt.to);
        let is_known = self.unless_over(send, meeting).await?;
        Ok((!is_known).then(|| restriction.later(send)))
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::person::Person;
    use shared::ids::{InstanceId, MessageId};

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

    fn job(to: &str, expires_at: DateTime<Utc>) -> SendJob {
        SendJob {
            message: MessageId::from_bytes([3; 16]),
            instance: InstanceId::from_bytes([1; 16]),
            to: to.parse().expect("a number"),
            chat: None,
            person: Person::default(),
            account: None,
            kind: Kind::Text,
            reference: None,
            accepted_at: DateTime::UNIX_EPOCH,
            scheduled_at: None,
            expires_at,
            put_off: None,
            typing_ms: None,
            file: None,
            counted_by: None,
            needs: 1,
            trace: None,
            content: String::new(),
        }
    }

    #[test]
    fn chats_come_back_spread_each_in_a_place_of_its_own() {
        let now = DateTime::UNIX_EPOCH;
        let restriction = Restriction::begun(Some(now + TimeDelta::hours(5)), now);
        let end = restriction.until;
        let at = |n: u32, left| restriction.later(&job(&format!("15550100{n:03}"), end + left)).at;
        let day = TimeDelta::days(1);
        let mut places: Vec<_> = (0..200).map(|n| at(n, day)).collect();
        assert_eq!(at(7, day), at(7, day * 2), "those of a chat keep their order");
        places.sort_unstable();
        places.dedup();
        assert!(places.len() > 190, "{}", places.len());
        assert!(places[0] >= end && places[places.len() - 1] < end + SPREAD);
        assert!(places[100] > end + SPREAD / 4 && places[100] < end + SPREAD * 3 / 4);
        // One whose time is nearly over comes in time.
        let left = TimeDelta::minutes(2);
        assert!((0..200).all(|n| at(n, left) <= end + TimeDelta::minutes(1)));
        assert_eq!(at(7, -left), end);
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
