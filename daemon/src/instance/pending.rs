//! Receipts that wait to be stored, grouped by message.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::ReceiptKind;
use crate::meter::Total;

/// How many receipts of an instance wait at most; all of a member's receipts of one message count once. Further ones
/// are given up. Each takes some hundred bytes, so this bounds what a table that is away for long may cost.
pub const WAITING: usize = 4_096;

/// How long the first receipt of a message to a group waits for others: they come in bursts.
pub const WINDOW: Duration = Duration::from_millis(250);

/// What receipts have told of one message and the table does not have yet.
#[derive(Debug, Clone)]
pub struct Unstored {
    /// The group, where the chat is one.
    pub group: Option<Recipient>,
    /// What each reader has told; in a chat with a person there is one, without a name.
    readers: HashMap<Person, (ReceiptKind, DateTime<Utc>)>,
    /// How often its record was looked for in vain.
    pub tries: usize,
    /// When the first of them came.
    since: Instant,
    not_before: Instant,
}

impl Unstored {
    fn new(group: Option<Recipient>, now: Instant) -> Self {
        let window = if group.is_some() { WINDOW } else { Duration::ZERO };
        Self {
            group,
            readers: HashMap::new(),
            tries: 0,
            since: now,
            not_before: now + window,
        }
    }

    /// Whether the chat is a group.
    pub fn is_group(&self) -> bool {
        self.group.is_some()
    }

    /// How many receipts these are.
    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// When the first of them came.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Who has told what.
    pub fn readers(&self) -> impl Iterator<Item = (&Person, ReceiptKind)> {
        self.readers.iter().map(|(person, (kind, _))| (person, *kind))
    }

    /// The highest state that was told, and when.
    pub fn highest(&self) -> Option<(ReceiptKind, DateTime<Utc>)> {
        self.readers.values().copied().max_by_key(|(kind, _)| *kind)
    }

    /// The time of the latest of them.
    pub fn latest(&self) -> Option<DateTime<Utc>> {
        self.readers.values().map(|(_, at)| *at).max()
    }

    /// Adds what a reader tells; answers whether it is the first from them.
    fn add(&mut self, reader: &Person, kind: ReceiptKind, at: DateTime<Utc>) -> bool {
        if let Some(told) = self.readers.get_mut(reader) {
            if told.0 < kind {
                *told = (kind, at);
            }
            false
        } else {
            self.readers.insert(reader.clone(), (kind, at));
            true
        }
    }
}

/// The receipts of one instance that wait.
#[derive(Debug)]
pub struct Pending {
    waiting: Mutex<Waiting>,
    came: Notify,
    given_up: Total,
}

#[derive(Debug, Default)]
struct Waiting {
    told: HashMap<String, Unstored>,
    /// The messages in the order in which they came.
    order: VecDeque<String>,
    /// Receipts that wait or are being stored.
    count: usize,
    hurried: bool,
}

impl Pending {
    /// With none yet. `given_up` counts those that are given up.
    pub fn new(given_up: Total) -> Self {
        Self {
            waiting: Mutex::default(),
            came: Notify::new(),
            given_up,
        }
    }

    /// Takes what a reader tells of a message.
    pub fn told(
        &self,
        id: String,
        kind: ReceiptKind,
        at: DateTime<Utc>,
        group: Option<&Recipient>,
        reader: &Person,
    ) {
        let nobody = Person::default();
        let reader = if group.is_some() { reader } else { &nobody };
        let taken = self.waiting().put(id, group.cloned(), |told, room| {
            if room || told.readers.contains_key(reader) {
                Some(usize::from(told.add(reader, kind, at)))
            } else {
                None
            }
        });
        if taken {
            self.came.notify_one();
        } else {
            self.given_up.add(1);
        }
    }

    /// Asks that the members of a message's group be noted. Where there is no room for that, the first receipt brings
    /// it about.
    pub fn sent_to(&self, id: String, group: Recipient) {
        let mut waiting = self.waiting();
        if waiting.told.len() < WAITING {
            waiting.put(id, Some(group), |_, _| Some(0));
            self.came.notify_one();
        }
    }

    /// Waits for messages whose time has come; answers up to `most`.
    pub async fn due(&self, most: usize) -> Vec<(String, Unstored)> {
        loop {
            let came = self.came.notified();
            let next = {
                let mut waiting = self.waiting();
                let now = Instant::now();
                let due = waiting.take(most, |told| told.not_before <= now);
                if !due.is_empty() {
                    return due;
                }
                waiting.told.values().map(|told| told.not_before).min()
            };
            match next {
                Some(next) => tokio::select! {
                    () = came => {}
                    () = tokio::time::sleep_until(next) => {}
                },
                None => came.await,
            }
        }
    }

    /// Up to `most` messages, whether or not their time has come.
    pub fn take(&self, most: usize) -> Vec<(String, Unstored)> {
        self.waiting().take(most, |_| true)
    }

    /// From now on receipts wait for nothing but the table.
    pub fn hurry(&self) {
        self.waiting().hurried = true;
    }

    /// Whether receipts wait for nothing but the table.
    pub fn is_hurried(&self) -> bool {
        self.waiting().hurried
    }

    /// Puts back what was not stored, to be tried again after `pause`, and joins it with what has come since.
    pub fn put_back(&self, id: String, mut told: Unstored, pause: Duration) {
        let mut waiting = self.waiting();
        if waiting.hurried && !pause.is_zero() {
            // What it would wait for does not come any more.
            waiting.count -= told.len();
            self.given_up.add(told.len());
            return;
        }
        told.not_before = Instant::now() + pause;
        match waiting.told.remove(&id) {
            Some(later) => {
                for (reader, (kind, at)) in later.readers {
                    if !told.add(&reader, kind, at) {
                        waiting.count -= 1;
                    }
                }
            }
            None => waiting.order.push_back(id.clone()),
        }
        waiting.told.insert(id, told);
        drop(waiting);
        self.came.notify_one();
    }

    /// So many receipts that were taken are stored.
    pub fn done(&self, receipts: usize) {
        self.waiting().count -= receipts;
    }

    /// So many receipts that were taken are given up.
    pub fn give_up(&self, receipts: usize) {
        self.waiting().count -= receipts;
        self.given_up.add(receipts);
    }

    /// All are given up, those that are being stored too. Answers how many that was.
    pub fn give_up_all(&self) -> usize {
        let mut waiting = self.waiting();
        let count = std::mem::take(&mut *waiting).count;
        self.given_up.add(count);
        count
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no holder panics")
    }
}

impl Waiting {
    /// Changes what is told of a message by `add`, which learns whether there is room for one more and answers how
    /// many it added. `false` where there was no room.
    fn put(
        &mut self,
        id: String,
        group: Option<Recipient>,
        add: impl FnOnce(&mut Unstored, bool) -> Option<usize>,
    ) -> bool {
        let room = self.count < WAITING;
        if let Some(told) = self.told.get_mut(&id) {
            let added = add(told, room);
            self.count += added.unwrap_or(0);
            return added.is_some();
        }
        let mut told = Unstored::new(group, Instant::now());
        let Some(added) = add(&mut told, room) else {
            return false;
        };
        self.count += added;
        self.order.push_back(id.clone());
        self.told.insert(id, told);
        true
    }

    fn take(&mut self, most: usize, is_due: impl Fn(&Unstored) -> bool) -> Vec<(String, Unstored)> {
        let mut taken = Vec::new();
        for _ in 0..self.order.len() {
            if taken.len() == most {
                break;
            }
            let Some(id) = self.order.pop_front() else { break };
            match self.told.remove(&id) {
                Some(told) if is_due(&told) => taken.push((id, told)),
                Some(told) => {
                    self.told.insert(id.clone(), told);
                    self.order.push_back(id);
                }
                None => {}
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600 + second, 0).expect("in range")
    }

    fn member(n: usize) -> Person {
        Person {
            phone: None,
            lid: Some(format!("{n:015}")),
        }
    }

    #[tokio::test]
    async fn receipts_of_one_message_are_one_and_the_highest_stands() {
        let pending = Pending::new(Total::default());
        let tell = |kind, second| {
            pending.told(
                "A".into(),
                kind,
                at(second),
                None,
                &member(usize::try_from(second).expect("a few")),
            );
        };
        tell(ReceiptKind::Delivered, 1);
        tell(ReceiptKind::Read, 2);
        tell(ReceiptKind::Delivered, 3);
        let due = pending.due(10).await;
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].1.highest(), Some((ReceiptKind::Read, at(2))));
        assert_eq!(due[0].1.len(), 1);
    }

    #[tokio::test]
    async fn what_is_put_back_is_joined_by_what_has_come_since() {
        let given_up = Total::default();
        let pending = Pending::new(given_up.clone());
        pending.told("A".into(), ReceiptKind::Delivered, at(1), None, &member(1));
        let (id, told) = pending.due(1).await.remove(0);
        pending.told("A".into(), ReceiptKind::Read, at(2), None, &member(1));
        let begun = Instant::now();
        pending.put_back(id, told, Duration::from_millis(20));
        let due = pending.due(10).await;
        assert!(begun.elapsed() >= Duration::from_millis(20));
        assert_eq!(due[0].1.highest(), Some((ReceiptKind::Read, at(2))));
        pending.done(due[0].1.len());
        assert_eq!((pending.give_up_all(), given_up.get()), (0, 0));
    }

    #[tokio::test]
    async fn a_group_waits_for_others_and_each_member_is_kept() {
        let group = Recipient::Group("120363021033254949".into());
        let pending = Pending::new(Total::default());
        let begun = Instant::now();
        for n in [1, 2, 1] {
            pending.told(
                "A".into(),
                ReceiptKind::Delivered,
                at(1),
                Some(&group),
                &member(n),
            );
        }
        let due = pending.due(10).await;
        assert!(begun.elapsed() >= WINDOW / 2);
        assert_eq!(due[0].1.readers().count(), 2);
    }

    #[tokio::test]
    async fn what_finds_no_room_is_counted_and_what_is_told_again_needs_none() {
        let given_up = Total::default();
        let pending = Pending::new(given_up.clone());
        for n in 0..WAITING {
            pending.told(n.to_string(), ReceiptKind::Delivered, at(1), None, &member(1));
        }
        pending.told("0".into(), ReceiptKind::Read, at(2), None, &member(1));
        assert_eq!(given_up.get(), 0);
        pending.told("new".into(), ReceiptKind::Read, at(2), None, &member(1));
        assert_eq!(given_up.get(), 1);
        assert_eq!(pending.give_up_all(), WAITING);
    }
}
