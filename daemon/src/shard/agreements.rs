//! Agreements on keys that take longer than a moment: they go on in the background, one of a chat at a time, and the
//! messages of their chats come back in order.
//!
//! The message that needs one is put off, and comes back from time to time to see. What comes to its chat meanwhile is put off
//! behind it, also when the keys are there and those before have not come back yet: the due index gives them out by their times.
//! A message keeps its number however often it is put off, and however often it is tried on the wire; only one with a lower
//! number is waited for. What comes behind one that is still away comes back right after it, so that a chat that is written to
//! steadily leaves the index again.
//!
//! All of this is known to one process, for as long as it holds the shard.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::connection::SendError;

/// For how long a message is put off at least and at most while its keys are agreed upon. In between it is half of the time
/// that this has taken already.
const SHORTEST: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_mins(1);

/// For how long one is put off that waits only for those before it, where these should be back already. Else it comes right
/// behind them.
const BEHIND: Duration = Duration::from_secs(1);

/// How long after its time a message is still waited for: one that has not come back by then is gone.
const LATE: TimeDelta = TimeDelta::minutes(15);

/// An agreement in the background.
pub type Agreement = JoinHandle<Result<(), SendError>>;

/// Those of one instance.
#[derive(Debug, Default)]
pub struct Agreements(Mutex<HashMap<Recipient, Chat>>);

#[derive(Debug, Default)]
struct Chat {
    going_on: Option<(Instant, Agreement)>,
    /// The messages that were put off and are not done with yet.
    away: HashMap<MessageId, Place>,
    /// How many have been put off.
    count: u64,
}

/// A message's place in its chat.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Those with a lower number go before it.
    number: u64,
    /// When it comes back.
    at: DateTime<Utc>,
    /// It has come back and has what it needs.
    is_through: bool,
}

impl Agreements {
    /// Until when a message that has come, perhaps back, is put off; `None` where it is its turn, and nothing goes on.
    pub fn waits_until(
        &self,
        chat: &Recipient,
        message: MessageId,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut chats = self.0.lock().expect("no holder panics");
        let known = chats.get_mut(chat)?;
        known.see(message, now);
        let pause = match (&known.going_on, known.before(message)) {
            (Some((since, agreement)), _) if !agreement.is_finished() => pause(since.elapsed()),
            (_, Some(before)) if before > now => Duration::ZERO,
            (_, Some(_)) => BEHIND,
            (_, None) => {
                forget_if_empty(&mut chats, chat);
                return None;
            }
        };
        Some(known.put_off(message, now, now + pause))
    }

    /// What came of the agreement for which a message was put off whose turn it is; `None` where there was none.
    pub fn ended(&self, chat: &Recipient, message: MessageId) -> Option<Agreement> {
        let mut chats = self.0.lock().expect("no holder panics");
        let known = chats.get_mut(chat)?;
        let (_, agreement) = known.going_on.take()?;
        // A message that comes later knows nothing of how things were.
        known.away.contains_key(&message).then_some(agreement)
    }

    /// The agreement for a message goes on in the background. Answers until when the message is put off.
    pub fn goes_on(
        &self,
        chat: &Recipient,
        message: MessageId,
        agreement: Agreement,
        now: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let mut chats = self.0.lock().expect("no holder panics");
        let known = entry(&mut chats, chat, now);
        known.going_on = Some((Instant::now(), agreement));
        known.put_off(message, now, now + SHORTEST)
    }

    /// A message is put off until then, or a little later: not before those that go before it.
    pub fn put_off(
        &self,
        chat: &Recipient,
        message: MessageId,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let mut chats = self.0.lock().expect("no holder panics");
        let known = entry(&mut chats, chat, now);
        known.put_off(message, now, until)
    }

    /// A message has what it needs, and keeps its number until it is done with. Answers whether it was put off until now.
    pub fn is_through(&self, chat: &Recipient, message: MessageId) -> bool {
        let mut chats = self.0.lock().expect("no holder panics");
        let place = chats.get_mut(chat).and_then(|known| known.away.get_mut(&message));
        let was_away = place.is_some_and(|place| !std::mem::replace(&mut place.is_through, true));
        forget_if_empty(&mut chats, chat);
        was_away
    }

    /// A message's job is deleted. It is waited for no longer, unless it was put off for keys.
    pub fn is_done(&self, chat: &Recipient, message: MessageId) {
        let mut chats = self.0.lock().expect("no holder panics");
        let Some(known) = chats.get_mut(chat) else { return };
        known.away.retain(|id, place| *id != message || !place.is_through);
        forget_if_empty(&mut chats, chat);
    }
}

impl Chat {
    /// A message has come. One that has come back in its time is behind all that were to come before it: what has not is
    /// gone.
    fn see(&mut self, message: MessageId, now: DateTime<Utc>) {
        let came = self.away.get(&message).copied().filter(|place| place.at <= now);
        self.away.retain(|id, other| {
            let is_gone = came.is_some_and(|came| other.number < came.number && other.at <= came.at);
            !is_gone && (*id == message || now < other.at + LATE)
        });
    }

    /// When the last of those comes back that go before a message.
    fn before(&self, message: MessageId) -> Option<DateTime<Utc>> {
        let own = self.away.get(&message).map_or(u64::MAX, |place| place.number);
        let before = self.away.values().filter(|place| place.number < own);
        before.map(|place| place.at).max()
    }

    fn put_off(&mut self, message: MessageId, now: DateTime<Utc>, until: DateTime<Utc>) -> DateTime<Utc> {
        let known = self.away.get_mut(&message).map(|place| {
            place.is_through = false;
            *place
        });
        // One that comes otherwise than from the index keeps its place before those behind it.
        if let Some(place) = known.filter(|place| place.at > now) {
            return place.at;
        }
        let until = until.trunc_subsecs(3);
        let at = self
            .before(message)
            .map_or(until, |before| until.max(before + TimeDelta::milliseconds(1)));
        let number = known.map_or(self.count, |place| place.number);
        self.count += u64::from(known.is_none());
        let place = Place {
            number,
            at,
            is_through: false,
        };
        self.away.insert(message, place);
        at
    }

    /// Forgets who has not come back. Answers whether nothing is known any more.
    fn forget_late(&mut self, now: DateTime<Utc>) -> bool {
        self.away
            .retain(|_, place| place.is_through || now < place.at + LATE);
        let goes_on = self.going_on.as_ref();
        self.away.is_empty() && goes_on.is_none_or(|(_, agreement)| agreement.is_finished())
    }
}

/// What is known of a chat. Before another chat comes to those that are known, those go of which nobody has come back.
fn entry<'a>(chats: &'a mut HashMap<Recipient, Chat>, chat: &Recipient, now: DateTime<Utc>) -> &'a mut Chat {
    if !chats.contains_key(chat) {
        chats.retain(|_, known| !known.forget_late(now));
    }
    chats.entry(chat.clone()).or_default()
}

/// Forgets a chat of which nothing is known any more.
fn forget_if_empty(chats: &mut HashMap<Recipient, Chat>, chat: &Recipient) {
    if chats
        .get(chat)
        .is_some_and(|known| known.away.is_empty() && known.going_on.is_none())
    {
        chats.remove(chat);
    }
}

/// For how long a message is put off for an agreement that has taken so long.
fn pause(taken: Duration) -> Duration {
    (taken / 2).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> MessageId {
        MessageId::from_bytes([number; 16])
    }

    fn group() -> Recipient {
        "120363021033254949@g.us".parse().expect("a group")
    }

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    #[tokio::test]
    async fn whoever_comes_while_keys_are_agreed_upon_comes_back_in_order() {
        let (agreements, group) = (Agreements::default(), group());
        let waits = |message, now| agreements.waits_until(&group, id(message), at(now));
        assert_eq!(waits(1, 0), None, "nothing goes on");
        let agreement = tokio::spawn(std::future::pending());
        let ends = agreement.abort_handle();
        assert_eq!(agreements.goes_on(&group, id(1), agreement, at(0)), at(3_000));
        assert_eq!(waits(2, 1), Some(at(3_001)));
        assert_eq!(waits(2, 2), Some(at(3_001)), "its job came twice");
        assert_eq!(waits(1, 3_000), Some(at(6_000)));
        // The second came back before the first did again, and stays behind it.
        assert_eq!(waits(2, 3_002), Some(at(6_002)));
        ends.abort();
        tokio::task::yield_now().await;
        assert_eq!(
            waits(3, 5_500),
            Some(at(6_003)),
            "the keys are there, and two are before it"
        );
        assert_eq!(waits(1, 6_000), None);
        assert!(agreements.ended(&group, id(1)).is_some());
        assert!(agreements.is_through(&group, id(1)));
        agreements.is_done(&group, id(1));
        assert_eq!(waits(2, 6_002), None);
        assert!(agreements.ended(&group, id(2)).is_none(), "nothing new went on");
        assert!(agreements.is_through(&group, id(2)));
        agreements.is_done(&group, id(2));
        assert_eq!(waits(3, 6_500), None);
        assert!(agreements.is_through(&group, id(3)));
        agreements.is_done(&group, id(3));
        assert!(agreements.0.lock().expect("whole").is_empty());
    }

    #[test]
    fn a_chat_that_is_written_to_steadily_leaves_the_index() {
        let (agreements, group) = (Agreements::default(), group());
        let waits = |message, now| agreements.waits_until(&group, id(message), at(now));
        agreements.put_off(&group, id(1), at(0), at(1_000));
        assert_eq!(waits(2, 500), Some(at(1_001)), "right behind the first");
        assert_eq!(waits(3, 900), Some(at(1_002)));
        for (message, now) in [(1, 1_000), (2, 1_200), (3, 1_400), (4, 1_500)] {
            assert_eq!(waits(message, now), None, "{message}");
            agreements.is_through(&group, id(message));
            agreements.is_done(&group, id(message));
        }
        agreements.put_off(&group, id(5), at(2_000), at(3_000));
        assert_eq!(waits(6, 3_100), Some(at(4_100)), "the one before should be back");
        for (message, now) in [(5, 3_200), (6, 4_100)] {
            assert_eq!(waits(message, now), None, "{message}");
            agreements.is_through(&group, id(message));
            agreements.is_done(&group, id(message));
        }
        assert!(agreements.0.lock().expect("whole").is_empty());
    }

    #[test]
    fn a_message_keeps_its_place_until_it_is_done_with() {
        let (agreements, group) = (Agreements::default(), group());
        let waits = |message, now| agreements.waits_until(&group, id(message), at(now));
        let put_off = |message, now, until| agreements.put_off(&group, id(message), at(now), at(until));
        put_off(1, 0, 1_000);
        put_off(2, 1, 1_000);
        for round in 0..2 {
            assert_eq!(waits(1, 2_000), None, "it is tried again");
            assert_eq!(agreements.is_through(&group, id(1)), round == 0);
        }
        // It needs keys anew, which take long.
        assert_eq!(put_off(1, 2_000, 5_000), at(5_000));
        agreements.is_done(&group, id(1));
        assert_eq!(
            waits(2, 2_000),
            Some(at(5_001)),
            "the first has only left its queue"
        );
        assert_eq!(waits(1, 5_000), None);
        assert!(agreements.is_through(&group, id(1)));
        agreements.is_done(&group, id(1));
        assert_eq!(waits(2, 5_001), None);
    }

    #[tokio::test]
    async fn chats_to_which_nobody_comes_back_are_forgotten() {
        let agreements = Agreements::default();
        let [gone, in_hand, goes_on, new] = [1, 2, 3, 4].map(|n| {
            let group = format!("12036302103325494{n}@g.us");
            group.parse::<Recipient>().expect("a group")
        });
        agreements.put_off(&gone, id(1), at(0), at(1_000));
        agreements.put_off(&in_hand, id(2), at(0), at(1_000));
        assert!(agreements.is_through(&in_hand, id(2)));
        let agreement = tokio::spawn(std::future::pending());
        agreements.goes_on(&goes_on, id(3), agreement, at(0));
        let late = 3_000 + LATE.num_milliseconds();
        agreements.put_off(&new, id(4), at(late), at(late + 1));
        let chats = agreements.0.lock().expect("whole");
        assert!(!chats.contains_key(&gone));
        assert!(
            [in_hand, goes_on, new]
                .iter()
                .all(|chat| chats.contains_key(chat))
        );
    }

    #[test]
    fn a_message_that_never_comes_back_is_waited_for_no_longer_than_the_next_one() {
        let (agreements, group) = (Agreements::default(), group());
        let waits = |message, now| agreements.waits_until(&group, id(message), at(now));
        agreements.put_off(&group, id(1), at(0), at(60_000));
        assert_eq!(waits(2, 10), Some(at(60_001)));
        // The first was taken back.
        assert_eq!(waits(2, 60_001), None);
        assert!(agreements.is_through(&group, id(2)));
        agreements.is_done(&group, id(2));
        agreements.put_off(&group, id(3), at(70_000), at(80_000));
        assert_eq!(waits(4, 80_000 + LATE.num_milliseconds()), None);
        assert!(!agreements.is_through(&group, id(4)));
        assert!(agreements.0.lock().expect("whole").is_empty());
    }

    #[test]
    fn the_longer_it_takes_the_more_seldom_is_looked() {
        let after = |seconds| pause(Duration::from_secs(seconds)).as_secs();
        assert_eq!([after(1), after(20), after(600)], [3, 10, 60]);
    }
}
