//! Which of our messages another one is about.
//!
//! A message that is about another names it by WhatsApp's id. The ids of messages that were accepted here derive from ours;
//! items lead from those of all others to ours. A message that was never recorded here, such as one from before the pairing,
//! or whose record has run out, has an id that derives from what WhatsApp knows of it: the same one whoever names it.

use chrono::DateTime;
use shared::domain::content::{Kind, Target};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use shared::storage::StorageError;
use shared::storage::messages::{Messages, Pointed};

/// Finds the messages of a chat that others are about.
#[derive(Debug, Clone, Copy)]
pub struct Finder<'a> {
    /// The records.
    pub messages: &'a Messages,
    /// The instance.
    pub instance: InstanceId,
    /// The canonical chat.
    pub chat: &'a Recipient,
}

impl Finder<'_> {
    /// The message that `target` names, with its kind where it is somebody else's and known. Half a read unit.
    pub async fn find(&self, target: &Target) -> Result<Pointed, StorageError> {
        if target.from_me {
            return Ok(Pointed {
                message: self.own(&target.whatsapp_id).await?,
                kind: Kind::Unknown,
                author: Person::default(),
            });
        }
        let (messages, whatsapp_id) = (self.messages, &target.whatsapp_id);
        let found = messages
            .get_received(self.instance, self.chat, whatsapp_id)
            .await?;
        // An id that two senders have chosen names the message of the one who is named beside it.
        let theirs = found.filter(|found| found.author.is_same_as(&target.author) != Some(false));
        Ok(theirs.unwrap_or_else(|| Pointed {
            message: self.derived(target),
            kind: Kind::Unknown,
            author: target.author.clone(),
        }))
    }

    /// The same, with the kind of the account's own messages too: half a read unit more.
    pub async fn find_with_kind(&self, target: &Target) -> Result<Pointed, StorageError> {
        let mut found = self.find(target).await?;
        if target.from_me {
            let record = self.messages.get_recent(self.instance, found.message).await?;
            found.kind = record.map_or(Kind::Unknown, |record| record.kind);
        }
        Ok(found)
    }

    /// A message of the account's own. One of another device may have an id that looks like ours: that of another instance
    /// of the same number.
    async fn own(&self, whatsapp_id: &str) -> Result<MessageId, StorageError> {
        let pointed = self
            .messages
            .get_by_whatsapp_id(self.instance, whatsapp_id)
            .await?;
        let ours = || MessageId::from_whatsapp(whatsapp_id);
        Ok(pointed.or_else(ours).unwrap_or_else(|| {
            self.derived(&Target {
                whatsapp_id: whatsapp_id.to_owned(),
                from_me: true,
                author: Person::default(),
            })
        }))
    }

    /// The id of a message that is not recorded here.
    fn derived(&self, target: &Target) -> MessageId {
        let author = if target.from_me {
            String::new()
        } else {
            let name = target.author.lid.clone().map(Recipient::Lid);
            let name = name.or_else(|| target.author.names().next());
            // Between two people there is one other side.
            name.filter(|_| self.chat.group().is_some())
                .unwrap_or_else(|| self.chat.clone())
                .to_jid()
        };
        let parts = [
            &*self.instance.to_string(),
            &self.chat.to_jid(),
            &author,
            &target.whatsapp_id,
        ];
        // Nobody knows when it came.
        MessageId::derived(DateTime::UNIX_EPOCH, &parts)
    }
}
