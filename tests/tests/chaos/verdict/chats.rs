//! What is known of a chat in the end: what its phone shows, beside what was accepted for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::TimeDelta;
use shared::domain::message::{Kind, State};
use shared::ids::MessageId;
use tests::shown::Shown;

use super::lines::Counts;
use crate::plan::{Offset, What};
use crate::receivers::{Telling, Told};
use crate::traffic::OfChat;
use crate::writer::{Accepted, Shows};

/// A message that is put off is away for a minute at first, or for up to a quarter less. It has lost its place then.
const PUT_OFF: TimeDelta = TimeDelta::seconds(45);

/// The states in which an event may tell of a message that WhatsApp has.
const PAST_SENDING: [&str; 4] = ["sent", "delivered", "read", "played"];

/// More copies of a message than troubles can have caused: it is sent again and again.
const MANY_COPIES: u64 = 10;

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
            Shows::About { of } => {
                let about = self.find(accepted.id).and_then(|shown| shown.about.as_ref());
                about.is_some_and(|about| *about == of.to_whatsapp())
            }
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
    /// The number of its person; `None` of the statuses.
    pub person: Option<String>,
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
            let is_told = told.is_some_and(|told| PAST_SENDING.iter().any(|state| told.contains_key(*state)));
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
            if !told.texts.contains_key(text) {
                lacks.push(format!("{name}: of {text} ({id}) nobody was told"));
            }
        }
        lacks
    }

    /// The receipts that are stored, and of which nobody was told yet: a receipt's event goes before its state.
    pub fn untold(&self, states: &BTreeMap<MessageId, State>, told: &Told) -> Vec<String> {
        let mut untold = Vec::new();
        for accepted in &self.sent.out {
            let state = states.get(&accepted.id).copied();
            let Some(state @ (State::Delivered | State::Read | State::Played)) = state else {
                continue;
            };
            let told = told.states.get(&accepted.id.to_string());
            let is_told = told.is_some_and(|told| told.contains_key(state.as_str()));
            if !is_told {
                let (name, id, what) = (&self.name, accepted.id, accepted.what);
                untold.push(format!(
                    "{name}: of {id} ({what}) nobody was told that it is {state}"
                ));
            }
        }
        untold
    }

    /// What was told of it that must not be.
    pub fn told_wrong(&self, told: &Told) -> Vec<String> {
        let (name, mut faults) = (&self.name, Vec::new());
        let mut look = |what: &str, telling: &Telling| {
            if telling.ids.len() > 1 {
                let ids = telling.ids.iter().map(String::as_str).collect::<Vec<_>>();
                faults.push(format!(
                    "{name}: {what} was told under several ids: {}",
                    ids.join(", ")
                ));
            }
            for other in telling
                .people
                .iter()
                .filter(|one| Some(*one) != self.person.as_ref())
            {
                faults.push(format!("{name}: {what} was told as of the chat with {other}"));
            }
        };
        for written in &self.sent.back {
            if let Some(telling) = told.texts.get(&written.text) {
                look(&written.text, telling);
            }
        }
        let mut ends = Vec::new();
        for accepted in &self.sent.out {
            let (id, what) = (accepted.id, accepted.what);
            for (state, telling) in told.states.get(&id.to_string()).into_iter().flatten() {
                look(&format!("that {id} ({what}) is {state}"), telling);
                if !PAST_SENDING.contains(&state.as_str()) {
                    ends.push(format!("{name}: it was told that {id} ({what}) is {state}"));
                }
            }
        }
        faults.extend(ends);
        faults
    }

    /// What is on the phone and must not be there, or is in another place than it should be. `wanting` are the messages that
    /// lacked something before the wire, as the daemons' logs say.
    pub fn faults(&self, wanting: &BTreeSet<String>, counts: &mut Counts) -> Vec<String> {
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
            if shown.copies >= MANY_COPIES {
                faults.push(format!("{name}: {id} came {} times", shown.copies));
            }
            let Some(accepted) = own.get(id).copied() else {
                faults.push(format!(
                    "{name}: {id} ({}) is shown, and was never accepted",
                    shown.kind
                ));
                continue;
            };
            faults.extend(self.shown_wrong(shown, accepted));
            // It comes when it is encrypted again, and apps sort it in by its time.
            if shown.retries > 0 {
                counts.unread += 1;
                continue;
            }
            let Some(before) = last.filter(|last| last.place > accepted.place) else {
                last = Some(accepted);
                continue;
            };
            // Where the next daemon's clock is ahead of the last one's, what that one has put off comes back at once.
            let was_put_off = shown.received_at - accepted.asked_at >= PUT_OFF
                || wanting.contains(&accepted.id.to_string());
            if may_lose_its_place(accepted.what) && was_put_off {
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

    /// What a phone shows of a message otherwise than it was asked for.
    fn shown_wrong(&self, shown: &Shown, accepted: &Accepted) -> Vec<String> {
        let (name, id, what) = (&self.name, accepted.id, accepted.what);
        let mut faults = Vec::new();
        let due = accepted.due.map(|due| due - Offset::most());
        if due.is_some_and(|due| shown.received_at < due) {
            let at = shown.received_at;
            faults.push(format!(
                "{name}: {id} ({what}) came at {at}, before its time by any clock"
            ));
        }
        // Nothing is left of what was taken back.
        if shown.kind == "revoked" {
            return faults;
        }
        let kind = match what.kind() {
            Kind::Status => Kind::Text,
            kind => kind,
        };
        if shown.kind != kind.as_str() {
            faults.push(format!("{name}: {id} ({what}) is shown as {}", shown.kind));
        }
        let is_edit_of_it = |other: &Accepted| match &other.shows {
            Shows::Edited { of, text } => *of == id && shown.text.as_ref() == Some(text),
            _ => false,
        };
        if shown.text != accepted.text && !self.sent.out.iter().any(is_edit_of_it) {
            let (says, ought) = (&shown.text, &accepted.text);
            faults.push(format!(
                "{name}: {id} ({what}) says {says:?}, and ought to say {ought:?}"
            ));
        }
        faults
    }
}

/// Whether a message may be put off, since what it needs cannot be had: its file, or those who see a status.
fn may_lose_its_place(what: What) -> bool {
    what.has_file() || what == What::Status
}
