//! The receipts of one message: they are told, stored and counted.

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::counting;
use shared::domain::message::{Kind, MessageRecord, State};
use shared::fault;
use shared::ids::MessageId;
use shared::storage::StorageError;
use shared::storage::messages::{Change, Transition};
use shared::telemetry::chain;
use tracing::{debug, error};

use super::{Keeper, StoreError, Stored};
use crate::connection::ReceiptKind;
use crate::instance::group_receipts::Counted;
use crate::instance::pending::Unstored;
use crate::instance::tally;

/// How many WhatsApp ids of other devices are remembered with their records.
const KNOWN: usize = 1_024;

impl Keeper {
    pub(super) async fn store(&self, id: &str, told: &Unstored) -> Result<Stored, StoreError> {
        if told.is_group() {
            self.store_of_group(id, told).await
        } else {
            self.store_of_person(id, told).await
        }
    }

    async fn store_of_person(&self, id: &str, told: &Unstored) -> Result<Stored, StoreError> {
        let Some((kind, at)) = told.highest() else {
            return Ok(Stored::Done);
        };
        let change = Change {
            state: state(kind),
            at: self.time(at),
            failure: None,
        };
        let known = self.known(id);
        if let (Some(own), None) = (MessageId::from_whatsapp(id), known) {
            self.tell(own, &change).await?;
            match self.deps.messages.change(self.instance, own, &change).await? {
                Transition::Made { before, kind, record } => {
                    self.count(own, record.as_deref(), before, change.state, kind)
                        .await;
                    self.show(record).await;
                    return Ok(Stored::Done);
                }
                Transition::AlreadyPast { .. } => return Ok(Stored::Done),
                // It may be another instance's of the same account.
                Transition::Missing => {}
            }
        }
        let Some(message) = self.find(id, known).await? else {
            return Ok(Stored::NoRecord);
        };
        // What this instance did not send it does not count either.
        match self.deps.messages.change(self.instance, message, &change).await? {
            Transition::Made { .. } | Transition::AlreadyPast { .. } => Ok(Stored::Done),
            Transition::Missing => Ok(Stored::NoRecord),
        }
    }

    async fn store_of_group(&self, id: &str, told: &Unstored) -> Result<Stored, StoreError> {
        let (known, at_once) = (self.known(id), self.pending.is_hurried());
        let own = MessageId::from_whatsapp(id).filter(|_| known.is_none());
        let mut counted = match own {
            Some(own) => self.groups.count(own, told, at_once).await?,
            None => Counted::NoRecord,
        };
        let mut message = own;
        if matches!(counted, Counted::NoRecord) {
            message = self.find(id, known).await?;
            if let Some(message) = message {
                counted = self.groups.count(message, told, at_once).await?;
            }
        }
        let (reached, of_all) = match counted {
            Counted::NoRecord => return Ok(Stored::NoRecord),
            Counted::Later(pause) => return Ok(Stored::Later(pause)),
            Counted::Never => return Ok(Stored::Never),
            Counted::Done { all } => (all, told.latest()),
        };
        let (Some(state), Some(message)) = (reached, message) else {
            return Ok(Stored::Done);
        };
        let change = Change {
            state,
            at: self.time(of_all.unwrap_or_else(|| self.deps.clock.now())),
            failure: None,
        };
        let is_own = own == Some(message);
        if is_own {
            self.tell(message, &change).await?;
        }
        let made = self.deps.messages.change(self.instance, message, &change).await?;
        self.groups.is_in(message, state);
        if let (Transition::Made { before, kind, record }, true) = (made, is_own) {
            self.count(message, record.as_deref(), before, state, kind).await;
            self.show(record).await;
        }
        Ok(Stored::Done)
    }

    /// Tells of a state that is about to be stored, where somebody wants that: nobody tells a receipt again, so no state
    /// is stored whose event is not.
    async fn tell(&self, message: MessageId, change: &Change) -> Result<(), StoreError> {
        let telling = self
            .deps
            .announcer
            .message_becomes(self.instance, message, change);
        match telling.await {
            Err(error) if error.nature().is_permanent() => {
                // The same would be refused again, and the receipt is worth its state.
                error!(message.id = %message, error = %chain(&error), "a receipt can never be told");
            }
            told => told?,
        }
        fault::point("after-receipt-event");
        Ok(())
    }

    /// Shows a stored state in the hub. Subscribers have its event already.
    async fn show(&self, record: Option<Box<MessageRecord>>) {
        let Some(record) = record else { return };
        if let Err(error) = self.deps.announcer.message_is(&record).await {
            debug!(message.id = %record.id, error = %chain(&error), "a receipt was not shown");
        }
    }

    /// The time of a receipt. WhatsApp tells whole seconds, so a receipt of this very second would seem to come
    /// before the acknowledgement that it followed. And no time may lie in the future.
    fn time(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        let now = self.deps.clock.now();
        if now - at < TimeDelta::seconds(2) { now } else { at }
    }

    async fn count(
        &self,
        message: MessageId,
        record: Option<&MessageRecord>,
        before: State,
        after: State,
        kind: Kind,
    ) {
        let (now, since) = (self.deps.clock.now(), waits_since(message, record));
        let mut counters = counting::moved(kind, before, after, since, now);
        let put_off_at = record.and_then(|record| record.put_off_at);
        counters.extend(counting::back(before, put_off_at, since, now));
        tally::count(&self.deps, self.instance, &counters, now).await;
    }

    fn known(&self, id: &str) -> Option<MessageId> {
        self.known.lock().expect("no holder panics").get(id).copied()
    }

    /// The record of a message that another device of the account sent.
    async fn find(&self, id: &str, known: Option<MessageId>) -> Result<Option<MessageId>, StorageError> {
        if known.is_some() {
            return Ok(known);
        }
        let found = self.deps.messages.get_by_whatsapp_id(self.instance, id).await?;
        if let Some(message) = found {
            let mut known = self.known.lock().expect("no holder panics");
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(id.to_owned(), message);
        }
        Ok(found)
    }
}

/// Since when a message has waited to be sent.
fn waits_since(id: MessageId, record: Option<&MessageRecord>) -> DateTime<Utc> {
    record.map_or_else(|| id.created_at(), MessageRecord::waits_since)
}

/// The state that a receipt tells of.
fn state(kind: ReceiptKind) -> State {
    match kind {
        ReceiptKind::Delivered => State::Delivered,
        ReceiptKind::Read => State::Read,
        ReceiptKind::Played => State::Played,
    }
}
