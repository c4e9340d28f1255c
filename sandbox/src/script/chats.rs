//! What a person sees and does in chats.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use waproto::whatsapp as wa;

use super::{AutoReply, Entry, Phone, SendRequest};
use crate::error::{Error, Result};
use crate::phone::compose::{self, Addressee, Letter};
use crate::phone::send::{self, Draft};
use crate::phone::{auto_reply, inbox, reading, room};

/// Which part of an inbox is wanted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboxQuery {
    /// What comes after the message with this id.
    pub after: Option<String>,
    /// Whether what the phone itself sent is wanted too.
    #[serde(default)]
    pub sent: bool,
}

/// A message that went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Its id on the network.
    pub id: String,
    /// The number it went to, or the JID of the group or of statuses.
    pub to: String,
}

/// What a person reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    /// These messages; or else `all`.
    pub ids: Option<Vec<String>>,
    /// All messages.
    #[serde(default)]
    pub all: bool,
    /// Whether those that can be played are played.
    #[serde(default)]
    pub played: bool,
}

/// What a person had not read before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadReport {
    /// How many messages.
    pub read: usize,
    /// How many were not played before, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub played: Option<usize>,
}

impl Phone {
    /// Sends a message. It is stored for each of its addressees' devices when this returns.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the member and the rule; [`Error::NotFound`] for people and messages that are not
    /// there; [`Error::Conflict`] where what is named does not allow it.
    pub async fn send(&self, request: SendRequest) -> Result<Sent> {
        if let Some(id) = &request.id {
            compose::check_id(id)?;
        }
        // Nothing is uploaded for a message that cannot go out.
        let to = request.to.clone();
        self.act(move |unit, _| compose::addressee(unit, &to).map(drop))
            .await?;
        let file = compose::upload(&self.network, &request.body).await?;
        self.act(move |unit, account| {
            let (to, family) = compose::addressee(unit, &request.to)?;
            let letter = Letter { account, to, family };
            let draft = Draft {
                message: compose::message(unit, &letter, &request, file)?,
                family,
                id: request.id,
            };
            let id = match &letter.to {
                Addressee::Person(person) => send::message(unit, account, person, draft)?,
                Addressee::Room(room) => room::message(unit, account, room, draft)?,
            };
            Ok(Sent {
                id,
                to: letter.chat(),
            })
        })
        .await
    }

    /// What the phone's person sees, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] where `after` is not there.
    pub async fn inbox(&self, query: InboxQuery) -> Result<Vec<Entry>> {
        self.work(move |unit, account| inbox::list(unit, &account.phone, query.after.as_deref(), query.sent))
            .await
    }

    /// The message with this id as the phone decrypted it, or sent it; after an edit the new text.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not there.
    pub async fn message(&self, id: &str) -> Result<wa::Message> {
        let id = id.to_owned();
        self.work(move |unit, account| {
            let found = inbox::find(unit, &account.phone, &id)?;
            found
                .ok_or_else(|| Error::NotFound("the phone has no such message".into()))?
                .decoded()
        })
        .await
    }

    /// Waits for the first entry of the inbox that is `wanted`, those of the past included.
    ///
    /// # Errors
    /// [`Error::TimedOut`] where there is none within `patience`.
    pub async fn wait_for(&self, wanted: impl Fn(&Entry) -> bool, patience: Duration) -> Result<Entry> {
        let search = async {
            loop {
                let changed = self.network.registry.inboxes.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let entries = self.inbox(InboxQuery::default()).await?;
                if let Some(found) = entries.into_iter().find(&wanted) {
                    return Ok(found);
                }
                changed.await;
            }
        };
        tokio::time::timeout(patience, search)
            .await
            .unwrap_or_else(|_| Err(Error::TimedOut("no such message came".into())))
    }

    /// Reads messages, and plays them if asked to.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an id that is not there.
    pub async fn read(&self, request: ReadRequest) -> Result<ReadReport> {
        if request.ids.is_some() == request.all {
            return Err(Error::Invalid("exactly one of `ids` and `all` is wanted".into()));
        }
        self.act(move |unit, account| {
            let (read, played) = reading::read(unit, account, request.ids.as_deref(), request.played)?;
            Ok(ReadReport {
                read,
                played: request.played.then_some(played),
            })
        })
        .await
    }

    /// Lets the phone answer by itself from now on, or no longer.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the member and the rule.
    pub async fn set_auto_reply(&self, rule: Option<AutoReply>) -> Result<()> {
        self.work(move |unit, account| auto_reply::set(unit, &account.phone, rule.as_ref()))
            .await
    }

    /// What the phone answers by itself.
    pub async fn auto_reply(&self) -> Result<Option<AutoReply>> {
        self.work(|unit, account| auto_reply::get(unit, &account.phone))
            .await
    }
}
