//! What is known of a chat in the end: what its phone shows, beside what was accepted for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::TimeDelta;
use shared::domain::message::State;
use shared::ids::MessageId;
use tests::shown::Shown;

use super::lines::Counts;
use crate::plan::What;
use crate::receivers::Told;
use crate::traffic::OfChat;
use crate::writer::{Accepted, Shows};

/// A message that is put off is away for a minute at first, or for up to a quarter less. It has lost its place then.
const PUT_OFF: TimeDelta = TimeDelta::seconds(45);

/// The states in which an event may tell of a message that WhatsApp has.
const PAST_SENDING: [&str; 4] = ["sent", "delivered", "read", "played"];

/// What a phone shows of a chat, oldest first.
pub struct PhoneChat {
    shown: Vec<Shown>,
    places: HashMap<String, usize>,
}

impl PhoneChat {
    /// A phone that shows this.
    pub fn of(shown: Vec<Shown>) -> Self {
        let places = shown.iter().enumerate();
        Self {
            places: places.map(|(place, shown)| (shown.id.clone(), place)).collect(),
            shown,
        }
    }

    fn find(&self, id: MessageId) -> Option<&Shown> {
        let place = self.places.get(&id.to_whatsapp())?;
        self.shown.get(*place)
    }

    /// Whether it shows what it is to show for a message.
    fn has(&self, accepted: &Accepted) -> bool {
        match &accepted.shows {
            Shows::Message => self.find(accepted.id).is_some(),
            Shows::File => self.find(accepted.id).is_some_and(|shown| shown.has_file),
            Shows::Edited { of, text } => {
                let shown = self.find(*of);
                shown.is_some_and(|shown| shown.text.as_ref() == Some(text))
            }
            Shows::Revoked { of } => self.find(*of).is_some_and(|shown| shown.kind == "revoked"),
        }
    }
}

/// A chat.
pub struct Chat<'a> {
    pub name: String,
    pub sent: &'a OfChat,
    pub on_phone: PhoneChat,
}

impl Chat<'_> {
    /// The messages that the phone has.
    pub fn there(&self) -> impl Iterator<Item = &Accepted> {
        let out = self.sent.out.iter();
        out.filter(move |accepted| self.on_phone.has(accepted))
    }

    /// What is not there yet: on the phone, in the records, told of.
    pub fn lacks(
        &self,
        states: &BTreeMap<MessageId, State>,
        recorded: &BTreeSet<&str>,
        told: &Told,
    ) -> Vec<String> {
        let (name, mut lacks) = (&self.name, Vec::new());
        for accepted in &self.sent.out {
            let (id, what, asked_at) = (accepted.id, accepted.what, accepted.asked_at);
            let state = states.get(&id);
            if !self.on_phone.has(accepted) {
                lacks.push(format!(
                    "{name}: {id} ({what}, asked for at {asked_at}) is not on the phone, and {state:?}"
                ));
            }
            let is_sent = state.is_some_and(|state| state.is_proof_of_sending());
            if !is_sent {
                lacks.push(format!(
                    "{name}: {id} ({what}, asked for at {asked_at}) is {state:?}"
                ));
            }
            let told = told.states.get(&id.to_string());
            let is_told = told.is_some_and(|told| PAST_SENDING.iter().any(|state| told.contains(*state)));
            if !is_told {
                lacks.push(format!(
                    "{name}: of {id} ({what}) nobody was told that it is sent"
                ));
            }
        }
        for written in &self.sent.back {
            let (id, text) = (&written.id, &written.text);
            if !recorded.contains(id.as_str()) {
                lacks.push(format!("{name}: {text} ({id}) is not recorded"));
            }
            if !told.texts.contains(text) {
                lacks.push(format!("{name}: of {text} ({id}) nobody was told"));
            }
        }
        lacks
    }

    /// What is on the phone that must not be, or elsewhere than it should be.
    pub fn faults(&self, counts: &mut Counts) -> Vec<String> {
        let name = &self.name;
        let own: HashMap<String, &Accepted> = self
            .sent
            .out
            .iter()
            .map(|accepted| (accepted.id.to_whatsapp(), accepted))
            .collect();
        let (mut faults, mut seen) = (Vec::new(), BTreeSet::new());
        let mut last: Option<&Accepted> = None;
        for shown in &self.on_phone.shown {
            let id = &shown.id;
            if !seen.insert(id) {
                faults.push(format!("{name}: {id} is shown twice"));
            }
            counts.again += shown.copies - 1;
            let Some(accepted) = own.get(id).copied() else {
                faults.push(format!(
                    "{name}: {id} ({}) is shown, and was never accepted",
                    shown.kind
                ));
                continue;
            };
            // It comes when it is encrypted again, and apps sort it in by its time.
            if shown.retries > 0 {
                counts.unread += 1;
                continue;
            }
            let Some(before) = last.filter(|last| last.place > accepted.place) else {
                last = Some(accepted);
                continue;
            };
            if may_lose_its_place(accepted.what) && shown.received_at - accepted.asked_at >= PUT_OFF {
                counts.late += 1;
                continue;
            }
            faults.push(format!(
                "{name}: {} ({}) is shown behind {} ({}), which was accepted after it",
                accepted.id, accepted.what, before.id, before.what
            ));
        }
        faults
    }
}

/// Whether a message may be put off, since what it needs cannot be had: its file, or those who see a status.
fn may_lose_its_place(what: What) -> bool {
    what.has_file() || what == What::Status
}
