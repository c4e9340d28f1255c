//! Agreements on keys that take longer than a moment: they go on in the background, one of a chat at a time, and the
//! messages of their chats come back in order.
//!
//! The message that asks for keys is put off, and what comes to its chat meanwhile is put off behind it: each once. From then on
//! their entries stay in the due index, whatever their times are, and nobody writes or hands them over (`awaiting_keys.rs`): all
//! of them while an agreement goes on, and those behind the message that asks until it has what it needs. Then the index gives
//! them out by their times, and what comes before those are back is put off behind them.
//! A message keeps its number however often it is put off, and however often it is tried on the wire; only one with a lower
//! number is waited for.
//!
//! All of this is known to one process, for as long as it holds the shard: some 60 bytes of a message, and no more messages than
//! may wait of an instance. The index has every one of them with a time that is over soon: the next owner hands all of them over,
//! in their order.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connection::SendError;

/// For how long a message is put off while keys are agreed upon for its chat, if the agreement does not take longer.
const SHORTEST: Duration = Duration::from_secs(3);

/// For how long one is put off that waits only for those before it.
const BEHIND: Duration = Duration::from_secs(1);

/// How long after its time a message is still waited for: one that has not come back by then is gone.
const LATE: TimeDelta = TimeDelta::minutes(15);

/// An agreement in the background.
#[derive(Debug)]
pub struct Agreement {
    /// What comes of it.
    pub result: JoinHandle<Result<(), SendError>>,
    /// Cancelled when it has ended, however it did.
    pub over: CancellationToken,
}

/// Why messages of a chat stay in the due index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Keys are agreed upon: all of them stay.
    GoesOn,
    /// This message has asked for keys, and is due then: those behind it stay.
    Asks(MessageId, DateTime<Utc>),
}

/// Those of one instance.
#[derive(Debug, Default)]
pub struct Agreements(Mutex<HashMap<Recipient, Chat>>);

#[derive(Debug, Default)]
struct Chat {
    going_on: Option<Agreement>,
    /// The message that needs keys and has none yet. It is among those that are away.
    asks: Option<MessageId>,
    /// The messages that were put off and are not done with yet.
    away: HashMap<MessageId, Place>,
    /// How many have been put off.
    count: u64,
    /// When an agreement was last seen to go on.
    went_on: DateTime<Utc>,
    /// When its messages were last seen to stay in the index.
    stayed: DateTime<Utc>,
}

/// A message's place in its chat.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Those with a lower number go before it.
    number: u64,
    /// When it is due.
    at: DateTime<Utc>,
    /// Its job is in its lane, or in the queue.
    is_here: bool,
    /// It has come back and has what it needs.
    is_through: bool,
}

impl Agreements {
    /// A message's job is in its lane, or goes to the queue.
    pub fn is_here(&self, message: MessageId) {
        let mut chats = self.0.lock().expect("no holder panics");
        let mut places = chats
            .values_mut()
            .filter_map(|known| known.away.get_mut(&message));
        if let Some(place) = places.next() {
            place.is_here = true;
        }
    }

    /// Until when a message that is in its lane is put off; `None` where it is its turn, and nothing goes on.
    pub fn waits_until(
        &self,
        chat: &Recipient,
        message: MessageId,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut chats = self.0.lock().expect("no holder panics");
        let known = chats.get_mut(chat)?;
        known.see(message, now);
        let pause = if known.goes_on() {
            SHORTEST
        } else if known.before(message).is_some() {
            BEHIND
        } else {
            if let Some(place) = known.away.get_mut(&message) {
                place.is_here = true;
            }
            forget_if_empty(&mut chats, chat);
            return None;
        };
        Some(known.put_off(message, now, now + pause))
    }

    /// What came of the agreement for which a message was put off whose turn it is; `None` where there was none.
    pub fn ended(&self, chat: &Recipient, message: MessageId) -> Option<JoinHandle<Result<(), SendError>>> {
        let mut chats = self.0.lock().expect("no holder panics");
        let known = chats.get_mut(chat)?;
        let agreement = known.going_on.take()?;
        // A message that comes later knows nothing of how things were.
        known.away.contains_key(&message).then_some(agreement.result)
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
        known.going_on = Some(agreement);
        known.asks = Some(message);
        known.put_off(message, now, now + SHORTEST)
    }

    /// A message whose keys cannot be had is put off until then, or a little later: not before those that go before it. Those
    /// behind it stay in the index until it has what it needs.
    pub fn put_off(
        &self,
        chat: &Recipient,
        message: MessageId,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> DateTime<Utc> {
        let mut chats = self.0.lock().expect("no holder panics");
        let known = entry(&mut chats, chat, now);
        known.asks = Some(message);
        known.put_off(message, now, until)
    }

    /// Whether a message has asked for keys and has none yet, so that those behind it stay in the index.
    pub fn asks(&self, chat: &Recipient, message: MessageId) -> bool {
        let chats = self.0.lock().expect("no holder panics");
        chats.get(chat).is_some_and(|known| known.asks == Some(message))
    }

    /// A message has what it needs, and keeps its number until it is done with. Answers whether it was put off until now.
    pub fn is_through(&self, chat: &Recipient, message: MessageId) -> bool {
        let mut chats = self.0.lock().expect("no holder panics");
        let Some(known) = chats.get_mut(chat) else {
            return false;
        };
        if known.asks == Some(message) {
            known.asks = None;
        }
        let was_away = known.away.get_mut(&message).is_some_and(|place| {
            place.is_here = true;
            !std::mem::replace(&mut place.is_through, true)
        });
        forget_if_empty(&mut chats, chat);
        was_away
    }

    /// A message's job is deleted. It is waited for no longer, unless it was put off for keys. Answers whether others stayed in
    /// the index for it.
    pub fn is_done(&self, chat: &Recipient, message: MessageId) -> bool {
        let mut chats = self.0.lock().expect("no holder panics");
        let Some(known) = chats.get_mut(chat) else {
            return false;
        };
        known.away.retain(|id, place| *id != message || !place.is_here);
        let others_stayed = known.forget_asker();
        forget_if_empty(&mut chats, chat);
        others_stayed
    }

    /// A message that was put off does not come back: it was taken back, or its entry says so.
    pub fn is_gone(&self, message: MessageId) {
        let mut chats = self.0.lock().expect("no holder panics");
        for known in chats.values_mut() {
            known.away.remove(&message);
            known.forget_asker();
        }
        chats.retain(|_, known| !known.is_empty());
    }

    /// The chat in which a message that is in the due index stays there, though it may be due, and why.
    pub fn stays(&self, message: MessageId, now: DateTime<Utc>) -> Option<(Recipient, Stage)> {
        let mut chats = self.0.lock().expect("no holder panics");
        chats.iter_mut().find_map(|(chat, known)| {
            let number = known.away.get(&message)?.number;
            let stage = known.stage(now)?;
            let asker = match stage {
                Stage::GoesOn => None,
                Stage::Asks(asks, _) => known.away.get(&asks).map(|place| place.number),
            };
            asker
                .is_none_or(|asker| number > asker)
                .then(|| (chat.clone(), stage))
        })
    }

    /// Why messages of a chat stay in the due index; `None` where none has to.
    pub fn stage(&self, chat: &Recipient, now: DateTime<Utc>) -> Option<Stage> {
        let mut chats = self.0.lock().expect("no holder panics");
        chats.get_mut(chat)?.stage(now)
    }
}

impl Chat {
    fn is_empty(&self) -> bool {
        self.away.is_empty() && self.going_on.is_none()
    }

    fn goes_on(&self) -> bool {
        let agreement = self.going_on.as_ref();
        agreement.is_some_and(|agreement| !agreement.over.is_cancelled())
    }

    fn stage(&mut self, now: DateTime<Utc>) -> Option<Stage> {
        let goes_on = self.goes_on();
        if goes_on {
            self.went_on = now;
        }
        let asker = self.asks.and_then(|asks| Some((asks, self.away.get(&asks)?)));
        let asker = asker.map(|(asks, place)| (asks, place.at, place.is_late(self.went_on, now)));
        let stage = match asker {
            _ if goes_on => Some(Stage::GoesOn),
            Some((asks, at, false)) => Some(Stage::Asks(asks, at)),
            Some((asks, _, true)) => {
                self.away.remove(&asks);
                self.asks = None;
                None
            }
            None => None,
        };
        if stage.is_some() {
            self.stayed = now;
        }
        stage
    }

    /// A message has come. One that has come back in its time, where none has to stay in the index, is behind all that were to
    /// come before it: what has not is gone.
    fn see(&mut self, message: MessageId, now: DateTime<Utc>) {
        if self.stage(now).is_some() {
            return;
        }
        let came = self.away.get(&message).copied().filter(|place| place.at <= now);
        let stayed = self.stayed;
        self.away.retain(|id, other| {
            let is_gone = came.is_some_and(|came| other.number < came.number && other.at <= came.at);
            *id == message || (!is_gone && !other.is_late(stayed, now))
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
            place.is_here = false;
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
            is_here: false,
            is_through: false,
        };
        self.away.insert(message, place);
        at
    }

    /// Forgets which message asks where it is not away any more. Answers whether one did.
    fn forget_asker(&mut self) -> bool {
        let gone = self.asks.take_if(|asks| !self.away.contains_key(asks));
        gone.is_some()
    }

    /// Forgets who has not come back. Answers whether nothing is known any more.
    fn forget_late(&mut self, now: DateTime<Utc>) -> bool {
        if self.stage(now).is_none() {
            let stayed = self.stayed;
            self.away.retain(|_, place| !place.is_late(stayed, now));
        }
        self.away.is_empty() && !self.goes_on()
    }
}

impl Place {
    /// Whether its message should have come back long ago, where nothing has kept it from that since `since`.
    fn is_late(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        !self.is_here && now >= self.at.max(since) + LATE
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
    if chats.get(chat).is_some_and(Chat::is_empty) {
        chats.remove(chat);
    }
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

    /// An agreement that goes on until it is said to be over.
    fn agreement() -> (Agreement, CancellationToken) {
        let over = CancellationToken::new();
        let agreement = Agreement {
            result: tokio::spawn(std::future::ready(Ok(()))),
            over: over.clone(),
        };
        (agreement, over)
    }

    #[tokio::test]
    async fn whoever_comes_while_keys_are_agreed_upon_stays_and_goes_on_in_order() {
        let (agreements, group) = (Agreements::default(), group());
        let waits = |message, now| agreements.waits_until(&group, id(message), at(now));
        let stays = |message, now| agreements.stays(id(message), at(now)).map(|(_, stage)| stage);
        assert_eq!(waits(1, 0), None, "nothing goes on");
        let (agreement, over) = agreement();
        assert_eq!(agreements.goes_on(&group, id(1), agreement, at(0)), at(3_000));
        assert_eq!(waits(2, 1), Some(at(3_001)));
        assert_eq!(waits(2, 2), Some(at(3_001)), "its job came twice");
        let hours = 36_000_000;
        assert_eq!(waits(3, hours), Some(at(hours + 3_000)), "nobody was forgotten");
        for message in 1..=3 {
            assert_eq!(stays(message, hours), Some(Stage::GoesOn));
        }
        assert_eq!(stays(4, hours), None, "it was not put off for keys");

        over.cancel();
        let asks = Stage::Asks(id(1), at(3_000));
        assert_eq!(stays(1, hours), None, "it finds out whether there are keys");
        for message in 2..=3 {
            assert_eq!(stays(message, hours), Some(asks));
        }
        assert_eq!(
            waits(4, hours),
            Some(at(hours + 3_001)),
            "the keys are there, and three are before it"
        );
        agreements.is_here(id(1));
        assert_eq!(waits(1, hours), None);
        assert!(agreements.ended(&group, id(1)).is_some());
        assert!(agreements.asks(&group, id(1)) && !agreements.asks(&group, id(2)));
        assert!(agreements.is_through(&group, id(1)));
        assert!(!agreements.asks(&group, id(1)));
        assert_eq!(agreements.stage(&group, at(hours)), None, "all of them go");
        assert!(!agreements.is_done(&group, id(1)), "nobody stays by now");
        assert_eq!(waits(2, hours), None);
        assert!(agreements.ended(&group, id(2)).is_none(), "nothing new went on");
        assert!(agreements.is_through(&group, id(2)));
        agreements.is_done(&group, id(2));
        for (message, now) in [(3, hours + 3_000), (4, hours + 3_001)] {
            assert_eq!(waits(message, now), None);
            assert!(agreements.is_through(&group, id(message)));
            agreements.is_done(&group, id(message));
        }
        assert!(agreements.0.lock().expect("whole").is_empty());
    }

    #[tokio::test]
    async fn where_keys_cannot_be_had_the_others_stay_until_the_first_has_them_or_is_gone() {
        for is_done in [true, false] {
            let (agreements, group) = (Agreements::default(), group());
            let waits = |message, now| agreements.waits_until(&group, id(message), at(now));
            let stage = |now| agreements.stage(&group, at(now));
            let (agreement, over) = agreement();
            agreements.goes_on(&group, id(1), agreement, at(0));
            waits(2, 1);
            over.cancel();
            assert_eq!(waits(1, 3_000), None);
            assert!(agreements.ended(&group, id(1)).is_some());
            let again = agreements.put_off(&group, id(1), at(3_000), at(63_000));
            assert!(!agreements.is_done(&group, id(1)), "it has only left its queue");
            assert_eq!(again, at(63_000));
            assert_eq!(stage(4_000), Some(Stage::Asks(id(1), again)));
            let second = agreements.stays(id(2), at(4_000));
            assert!(second.is_some(), "though it was due before");
            assert_eq!(waits(2, 4_000), Some(at(63_001)), "its job came twice");
            if is_done {
                agreements.is_here(id(1));
                assert!(agreements.is_done(&group, id(1)), "it has expired");
            } else {
                agreements.is_gone(id(1));
            }
            assert_eq!(stage(4_000), None);
            assert_eq!(waits(2, 63_001), None);
        }
    }

    #[test]
    fn a_message_keeps_its_place_until_it_is_done_with() {
        let (agreements, group) = (Agreements::default(), group());
        let waits = |message, now| agreements.waits_until(&group, id(message), at(now));
        let put_off = |message, now, until| agreements.put_off(&group, id(message), at(now), at(until));
        put_off(1, 0, 1_000);
        assert_eq!(waits(2, 1), Some(at(1_001)));
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
        let (agreement, _over) = agreement();
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

    /// Its entry was lost, and nobody tells.
    #[test]
    fn a_message_that_never_comes_back_is_not_waited_for_for_ever() {
        let (agreements, group) = (Agreements::default(), group());
        let waits = |message, now| agreements.waits_until(&group, id(message), at(now));
        agreements.put_off(&group, id(1), at(0), at(60_000));
        assert_eq!(waits(2, 10), Some(at(60_001)));
        let late = 60_000 + LATE.num_milliseconds();
        assert!(agreements.stays(id(2), at(late - 1)).is_some());
        assert_eq!(agreements.stays(id(2), at(late)), None);
        assert_eq!(waits(2, late), None);
        assert!(agreements.is_through(&group, id(2)));
        agreements.is_done(&group, id(2));
        assert!(agreements.0.lock().expect("whole").is_empty());
    }
}
