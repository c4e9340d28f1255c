//! Chats of which messages stay in the due index though they are due, since keys are agreed upon for them (`agreements.rs`).
//!
//! Of such a chat only is known from where on its entries lie, and when the time of the first of them runs out: however many
//! they are, they are read once, not written at all, and read once more when they go on. The message that asks for keys goes
//! before the others. One whose time runs out meanwhile goes to its lane, which tells of that.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use tokio::time::Instant;

use super::agreements::Stage;

/// How long after entries were looked for whose time had run out others of their chat are looked for.
const EXPIRED_EVERY: Duration = Duration::from_secs(15);

/// A chat of an instance.
type Chat = (InstanceId, Recipient);

#[derive(Debug)]
struct Kept {
    /// Why they stayed when they were looked at last.
    stage: Stage,
    /// When the first of its entries was due.
    from: DateTime<Utc>,
    /// When the time of one of its messages runs out first; `None` where they are about to be read again.
    expires_at: Option<DateTime<Utc>>,
    /// Not before then they are read again for that.
    not_before: Instant,
}

/// The chats of a shard.
#[derive(Debug, Default)]
pub struct AwaitingKeys(HashMap<Chat, Kept>);

/// A message that asks for keys, and may find out by now whether there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Its chat.
    pub chat: Chat,
    /// Why others of its chat stay.
    pub stage: Stage,
    /// Where its entry is, where it has come back from nowhere else: the message, and when it was due.
    pub entry: Option<(MessageId, DateTime<Utc>)>,
}

impl AwaitingKeys {
    /// Whether no entry stays.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all of them: the index is read from its front.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Notes an entry that stays: its chat, why, when it was due, and when its time runs out.
    pub fn add(&mut self, chat: Chat, stage: Stage, at: DateTime<Utc>, expires_at: DateTime<Utc>) {
        let kept = self.0.entry(chat).or_insert_with(|| Kept {
            stage,
            from: at,
            expires_at: None,
            not_before: Instant::now(),
        });
        kept.from = kept.from.min(at);
        let first = kept.expires_at.map_or(expires_at, |first| first.min(expires_at));
        kept.expires_at = Some(first);
    }

    /// From where on the index is to be read again: entries of there go on, or their time has run out. Chats of which none stays
    /// are forgotten. `stage` tells why entries of a chat stay.
    pub fn goes_from(
        &mut self,
        now: DateTime<Utc>,
        stage: impl Fn(&Chat) -> Option<Stage>,
    ) -> Option<DateTime<Utc>> {
        let mut from: Option<DateTime<Utc>> = None;
        self.0.retain(|chat, kept| {
            let stays = stage(chat).is_some();
            let is_over = kept.expires_at.is_some_and(|at| at <= now);
            if !stays || (is_over && kept.not_before <= Instant::now()) {
                from = Some(from.map_or(kept.from, |from| from.min(kept.from)));
                kept.expires_at = None;
                kept.not_before = Instant::now() + EXPIRED_EVERY;
            }
            stays
        });
        from
    }

    /// The messages that go before the others of their chats, where that is new. Each is named until [`Self::know`] is told.
    pub fn askers(&self, now: DateTime<Utc>, stage: impl Fn(&Chat) -> Option<Stage>) -> Vec<Asker> {
        let changed = self.0.iter().filter_map(|(chat, kept)| {
            let stage = stage(chat).filter(|stage| *stage != kept.stage)?;
            let entry = match stage {
                Stage::Asks(message, at) if at <= now => Some((message, at)),
                // It comes when it is due.
                Stage::Asks(..) | Stage::GoesOn => None,
            };
            Some(Asker {
                chat: chat.clone(),
                stage,
                entry,
            })
        });
        changed.collect()
    }

    /// That was done which this asker was named for.
    pub fn know(&mut self, asker: &Asker) {
        if let Some(kept) = self.0.get_mut(&asker.chat) {
            kept.stage = asker.stage;
        }
    }

    /// How long until some of them are to be looked at, as far as the clock of messages does not say it; `None` where nothing is
    /// known of that.
    pub fn until_again(
        &self,
        now: DateTime<Utc>,
        stage: impl Fn(&Chat) -> Option<Stage>,
    ) -> Option<Duration> {
        let again = self.0.iter().filter_map(|(chat, kept)| {
            if stage(chat).is_none() {
                return Some(Duration::ZERO);
            }
            let is_over = kept.expires_at.is_some_and(|at| at <= now);
            is_over.then(|| kept.not_before.saturating_duration_since(Instant::now()))
        });
        again.min()
    }

    /// When the time of the next message runs out.
    pub fn next_expiry(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let times = self.0.values().filter_map(|kept| kept.expires_at);
        times.filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn chat() -> Chat {
        let group = "120363021033254949@g.us".parse().expect("a group");
        (InstanceId::from_bytes([1; 16]), group)
    }

    const FIRST: MessageId = MessageId::from_bytes([1; 16]);

    /// Three entries, due from the third second on, of which one is worth nothing after a minute.
    fn kept() -> AwaitingKeys {
        let mut kept = AwaitingKeys::default();
        for (due, expires) in [(4, 3_600), (3, 60), (5, 3_600)] {
            kept.add(chat(), Stage::GoesOn, at(due), at(expires));
        }
        kept
    }

    #[test]
    fn what_stays_is_read_again_when_it_goes_on_and_not_before() {
        let mut kept = kept();
        let goes_on = |_: &Chat| Some(Stage::GoesOn);
        assert_eq!(kept.goes_from(at(30), goes_on), None);
        assert_eq!(kept.askers(at(30), goes_on), []);
        assert_eq!(kept.until_again(at(30), goes_on), None);
        // The first finds out, and the others stay where they are.
        let stage = Stage::Asks(FIRST, at(3));
        let asks = |_: &Chat| Some(stage);
        assert_eq!(kept.goes_from(at(30), asks), None);
        let askers = kept.askers(at(30), asks);
        assert_eq!(askers[0].entry, Some((FIRST, at(3))));
        assert_eq!(kept.askers(at(30), asks), askers, "it was not done yet");
        kept.know(&askers[0]);
        assert_eq!(kept.askers(at(30), asks), []);
        // It is tried again later.
        let later = |_: &Chat| Some(Stage::Asks(FIRST, at(90)));
        assert_eq!(kept.askers(at(30), later)[0].entry, None);
        let free = |_: &Chat| None;
        assert_eq!(kept.until_again(at(30), free), Some(Duration::ZERO));
        assert_eq!(kept.goes_from(at(30), free), Some(at(3)));
        assert!(kept.is_empty());
    }

    #[test]
    fn what_expires_is_looked_for_once_and_then_seldom() {
        let mut kept = kept();
        let goes_on = |_: &Chat| Some(Stage::GoesOn);
        assert_eq!(kept.next_expiry(at(59)), Some(at(60)));
        assert_eq!(kept.goes_from(at(59), goes_on), None);
        assert_eq!(kept.until_again(at(60), goes_on), Some(Duration::ZERO));
        assert_eq!(kept.goes_from(at(60), goes_on), Some(at(3)));
        assert_eq!(kept.goes_from(at(60), goes_on), None, "they are about to be read");
        assert_eq!(kept.next_expiry(at(60)), None);
        kept.add(chat(), Stage::GoesOn, at(4), at(61));
        kept.add(chat(), Stage::GoesOn, at(5), at(62));
        assert_eq!(kept.next_expiry(at(60)), Some(at(61)));
        assert_eq!(kept.goes_from(at(62), goes_on), None);
        assert_eq!(kept.next_expiry(at(62)), None, "nobody looks all the while");
        let again = kept.until_again(at(62), goes_on).expect("later");
        assert!(again > EXPIRED_EVERY / 2 && again <= EXPIRED_EVERY);
    }
}
