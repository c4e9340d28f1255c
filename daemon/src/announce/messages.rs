//! What is told of messages that were accepted here: how far they have come.

use shared::domain::event::EventType;
use shared::domain::message::{Change, MessageRecord, State};
use shared::ids::{InstanceId, MessageId};

use super::announcement::Announcement;
use super::{AnnounceError, Announcer, TURNS};

impl Announcer {
    /// Tells of a message in the state of its record, which is stored. A process tells each state once, and never an earlier
    /// one after a later one.
    pub async fn message_is(&self, record: &MessageRecord) -> Result<(), AnnounceError> {
        let Some(announcement) = Announcement::status(record) else {
            return Ok(());
        };
        // The queue may be slow, and what nobody wants does not wait for it.
        let _turn = if self.wants_states(record.instance).await? {
            Some(self.turn_of(record.id).lock().await)
        } else {
            None
        };
        if self
            .last_told(record.id)
            .is_some_and(|told| !told.may_become(record.state))
        {
            return Ok(());
        }
        let handed = self.hand_on(announcement).await?;
        let is_wanted = handed.queued.is_some();
        self.told(handed).await?;
        if is_wanted {
            self.remember(record);
        }
        Ok(())
    }

    /// Tells of a message that a receipt is about to bring into a later state, where somebody wants that.
    ///
    /// First the event and then the state: WhatsApp tells no receipt again, so after a crash nobody would come back to a
    /// state whose event is missing. Reads the record where this process has not told of the message yet: half a read unit,
    /// and one and a half for a message to a group.
    pub async fn message_becomes(
        &self,
        instance: InstanceId,
        message: MessageId,
        change: &Change,
    ) -> Result<(), AnnounceError> {
        if !self.wants_states(instance).await? {
            return Ok(());
        }
        // How many members of a group it has reached stands in the table.
        let told = self.last_told(message).filter(|record| !record.chat.is_shared());
        let recent = match told {
            Some(record) => Some(record),
            None => self.messages.get_recent(instance, message).await?,
        };
        let record = match recent {
            Some(record) if !record.chat.is_shared() => Some(record),
            // What was written a moment ago may be missed.
            _ => self.messages.get(instance, message).await?,
        };
        match record {
            Some(record) if record.may_become(change.state) => self.message_is(&record.changed(change)).await,
            _ => Ok(()),
        }
    }

    /// Whether somebody wants to be told of the states of an instance's messages.
    async fn wants_states(&self, instance: InstanceId) -> Result<bool, AnnounceError> {
        let listener = self.audience.of(instance).await?;
        Ok(listener.is_some_and(|listener| listener.wants.wants(EventType::MessageStatus)))
    }

    fn turn_of(&self, message: MessageId) -> &tokio::sync::Mutex<()> {
        // The last bytes of an id are random.
        let [.., high, low] = message.to_bytes();
        &self.turns[usize::from(u16::from_be_bytes([high, low])) % TURNS]
    }

    /// The record of a message as this process has told of it last.
    fn last_told(&self, message: MessageId) -> Option<MessageRecord> {
        let mut told = self.told.lock().expect("no holder panics");
        told.get(&message).cloned()
    }

    fn remember(&self, record: &MessageRecord) {
        let mut told = self.told.lock().expect("no holder panics");
        let is_later = told
            .get(&record.id)
            .is_none_or(|before| before.may_become(record.state));
        if is_later && record.state != State::Unknown {
            told.insert(record.id, record.clone());
        }
    }
}
