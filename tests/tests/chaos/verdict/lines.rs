//! What is known of an instance in the end, and what is wrong with that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use shared::domain::message::{Direction, MessageRecord, State};
use shared::ids::MessageId;
use tests::deployment::recorded_again;
use tests::shown::{STATUSES, Shown};

use super::chats::{Chat, PhoneChat};
use crate::plan::With;
use crate::receivers::Told;
use crate::traffic::OfChat;
use crate::world::World;

/// What is counted, and is no fault.
#[derive(Debug, Default)]
pub struct Counts {
    /// Messages that were accepted.
    pub accepted: usize,
    /// Messages that came in.
    pub written: usize,
    /// Copies of messages that went out again under their ids.
    pub again: u64,
    /// Messages that a phone could not read at first.
    pub unread: usize,
    /// Messages that lost their place while they were put off.
    pub late: usize,
    /// Messages that a phone has, and whose state says nothing of that.
    pub receipts_lost: usize,
    /// Events that webhooks were told of.
    pub events: usize,
    /// How often they were told of one again.
    pub told_again: usize,
}

/// What is known of an instance.
pub struct Line<'a> {
    n: usize,
    chats: Vec<Chat<'a>>,
    records: Vec<MessageRecord>,
    told: Told,
    status: String,
}

impl<'a> Line<'a> {
    /// Looks at it.
    pub async fn look(world: &World, n: usize, sent: &'a [OfChat]) -> Self {
        let line = &world.lines[n];
        let mut chats = Vec::new();
        for of_chat in sent {
            let person = world.person_of(n, of_chat.with);
            let phones = world.sandbox.phones().await;
            let mut shown: Vec<Shown> = phones.shown(person, &line.paired.own).await;
            let is_of_statuses = of_chat.with == With::Contacts;
            shown.retain(|shown| (shown.chat == STATUSES) == is_of_statuses);
            chats.push(Chat {
                name: format!("instance {n}, {}", of_chat.with),
                sent: of_chat,
                on_phone: PhoneChat::of(shown),
            });
        }
        let path = format!("/api/instances/{}/status", line.paired.instance);
        let answer = line.paired.user.get(&path).await;
        let status = answer.json()["data"]["status"].clone();
        Self {
            n,
            chats,
            records: world.stores.records_of(line.id).await,
            told: world.receivers.told(n),
            status: status.as_str().unwrap_or_default().to_owned(),
        }
    }

    /// The states of what was accepted.
    fn states(&self) -> BTreeMap<MessageId, State> {
        let sent = self.records.iter();
        let sent = sent.filter(|record| record.direction == Direction::Outgoing);
        sent.map(|record| (record.id, record.state)).collect()
    }

    /// How many messages that the phones have are in this state.
    pub fn in_state(&self, state: State) -> usize {
        let states = self.states();
        let there = self.chats.iter().flat_map(Chat::there);
        there
            .filter(|accepted| states.get(&accepted.id) == Some(&state))
            .count()
    }

    /// What is not there yet, and must come.
    pub fn lacks(&self) -> Vec<String> {
        let (states, mut lacks) = (self.states(), Vec::new());
        let recorded = self.records.iter();
        let recorded: BTreeSet<&str> = recorded
            .filter_map(|record| record.whatsapp_id.as_deref())
            .collect();
        for chat in &self.chats {
            lacks.extend(chat.lacks(&states, &recorded, &self.told));
        }
        if self.status != "CONNECTED" {
            lacks.push(format!("instance {} is {}", self.n, self.status));
        }
        lacks
    }

    /// What is there and must not be, and what is counted wrong.
    pub async fn faults(&self, world: &World, is_one_month: bool, counts: &mut Counts) -> Vec<String> {
        let (n, told) = (self.n, &self.told);
        let mut faults: Vec<String> = self.chats.iter().flat_map(|chat| chat.faults(counts)).collect();
        let accepted: usize = self.chats.iter().map(|chat| chat.sent.out.len()).sum();
        let again = recorded_again(&self.records);
        if again > 0 {
            faults.push(format!(
                "instance {n} has recorded {again} incoming messages again"
            ));
        }
        if told.forged > 0 {
            faults.push(format!(
                "{} events of instance {n} were not signed as they should be",
                told.forged
            ));
        }
        let user = &world.lines[n].paired.user;
        let usage = user.get("/api/subscription/usage").await.data(200);
        let counted = usage["messagesThisMonth"].as_u64().unwrap_or_default();
        if is_one_month && counted < accepted as u64 {
            faults.push(format!(
                "instance {n} had {accepted} messages accepted, and {counted} are counted"
            ));
        }
        counts.accepted += accepted;
        counts.written += self.chats.iter().map(|chat| chat.sent.back.len()).sum::<usize>();
        counts.receipts_lost += self.in_state(State::Sent);
        counts.events += told.events.len();
        counts.told_again += told.events.values().map(|times| times - 1).sum::<usize>();
        faults
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} out, {} in; {} copies went out again under their ids, {} messages could not be read at first, {} lost their place \
             while they were put off; {} receipts were lost; {} events were told, {} times one of them again",
            self.accepted,
            self.written,
            self.again,
            self.unread,
            self.late,
            self.receipts_lost,
            self.events,
            self.told_again
        )
    }
}
