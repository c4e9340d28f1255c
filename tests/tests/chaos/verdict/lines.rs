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
use crate::world::{CALL, World};

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
                person: (!is_of_statuses).then(|| person.to_owned()),
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

    /// The receipts that are stored, and of which nobody was told yet.
    pub fn untold(&self) -> Vec<String> {
        let states = self.states();
        let chats = self.chats.iter();
        chats.flat_map(|chat| chat.untold(&states, &self.told)).collect()
    }

    /// What is there and must not be, and what is counted wrong. `wanting` are the messages that lacked something before the wire.
    pub async fn faults(
        &self,
        world: &World,
        is_one_month: bool,
        wanting: &BTreeSet<String>,
        counts: &mut Counts,
    ) -> Vec<String> {
        let (n, told) = (self.n, &self.told);
        let mut faults: Vec<String> = Vec::new();
        for chat in &self.chats {
            faults.extend(chat.faults(wanting, counts));
            faults.extend(chat.told_wrong(told));
        }
        faults.extend(self.strange(world).await);
        faults.extend(self.told_unasked(world));
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

    /// What the phones of its people show that is in none of its chats: what came from others, or a status that is not theirs to see.
    async fn strange(&self, world: &World) -> Vec<String> {
        let (n, line) = (self.n, &world.lines[self.n]);
        let own = &line.paired.own;
        let mut strange = Vec::new();
        for (place, person) in line.people.iter().enumerate() {
            let inbox = world.sandbox.phones().await.inbox(person).await;
            for entry in inbox {
                let (id, from, chat) = (&entry["id"], &entry["from"], &entry["chat"]);
                let is_status = *chat == STATUSES && place == 0;
                let is_of_its_chats = *from == *own && (is_status || *chat == *own);
                if !is_of_its_chats {
                    strange.push(format!(
                        "instance {n}: {person} is shown {id} from {from} in the chat {chat}, which is none of theirs"
                    ));
                }
            }
        }
        strange
    }

    /// What the webhook was told of and nobody has written, nobody has asked to hear, or another instance has to hear.
    fn told_unasked(&self, world: &World) -> Vec<String> {
        let (n, told, own) = (self.n, &self.told, world.lines[self.n].id.to_string());
        let sent = self.chats.iter().map(|chat| chat.sent);
        let written: BTreeSet<&String> = sent
            .clone()
            .flat_map(|sent| sent.back.iter().map(|written| &written.text))
            .collect();
        let accepted: BTreeSet<String> = sent
            .flat_map(|sent| sent.out.iter().map(|accepted| accepted.id.to_string()))
            .collect();
        let texts = told.texts.keys();
        let texts = texts.filter(|text| !written.contains(text) && !text.starts_with(CALL));
        let mut faults: Vec<String> = texts
            .map(|text| format!("instance {n} was told of {text:?}, which nobody wrote"))
            .collect();
        let messages = told.states.keys().filter(|id| !accepted.contains(*id));
        faults.extend(messages.map(|id| format!("instance {n} was told of {id}, which was never accepted")));
        let others = told.instances.iter().filter(|id| **id != own);
        faults.extend(others.map(|id| format!("instance {n} was told of what happened to {id}")));
        let kinds = told.unasked.iter();
        faults.extend(
            kinds.map(|kind| format!("instance {n} was told of {kind:?}, which it has not asked for")),
        );
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
