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

/// The most messages of an inbox that are read without pages.
const MOST: usize = 10_000;

/// The most messages of a page, and those of a page whose length is not said.
const PAGE: u32 = 1_000;

/// Which page of an inbox is wanted.
#[derive(Debug, Clone, Default)]
pub struct PageQuery {
    /// What comes after the message with this id; or else `cursor`.
    pub after: Option<String>,
    /// What comes after another page: its `next`. Without it and `after` the inbox's beginning.
    pub cursor: Option<String>,
    /// How many messages, 1 to 1,000; without it 1,000.
    pub limit: Option<u32>,
    /// Whether what the phone itself sent is wanted too.
    pub sent: bool,
}

/// A part of an inbox.
#[derive(Debug, Clone, Serialize)]
pub struct InboxPage {
    /// The messages, oldest first.
    pub entries: Vec<Entry>,
    /// The `cursor` of the page after this one; null where there is nothing after it yet.
    pub next: Option<String>,
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
    /// [`Error::NotFound`] where `after` is not there; [`Error::Invalid`] for more than 10,000 messages, which are read in
    /// pages.
    pub async fn inbox(&self, query: InboxQuery) -> Result<Vec<Entry>> {
        let mut place = self.place(query.after).await?;
        let mut all = Vec::new();
        loop {
            let page = self.entries(place, PAGE, query.sent).await?;
            let is_last = page.len() < PAGE as usize;
            place = page.last().map_or(place, |(seq, _)| *seq);
            all.extend(page.into_iter().map(|(_, entry)| entry));
            if all.len() > MOST {
                return Err(Error::Invalid(format!(
                    "more than {MOST} messages would come: read them in pages, with `limit`"
                )));
            }
            if is_last {
                return Ok(all);
            }
        }
    }

    /// A part of what the phone's person sees, oldest first. It costs what it holds, however large the inbox is.
    ///
    /// # Errors
    /// [`Error::NotFound`] where `after` is not there; [`Error::Invalid`] names the member and the rule.
    pub async fn inbox_page(&self, query: PageQuery) -> Result<InboxPage> {
        let limit = query.limit.unwrap_or(PAGE);
        if !(1..=PAGE).contains(&limit) {
            return Err(Error::Invalid(format!("`limit` is 1 to {PAGE}")));
        }
        let place = match query.cursor {
            Some(_) if query.after.is_some() => {
                return Err(Error::Invalid(
                    "at most one of `after` and `cursor` is wanted".into(),
                ));
            }
            Some(cursor) => cursor
                .parse::<i64>()
                .ok()
                .filter(|place| *place > 0)
                .ok_or_else(|| Error::Invalid("`cursor` is the `next` of another page".into()))?,
            None => self.place(query.after).await?,
        };
        let mut page = self.entries(place, limit + 1, query.sent).await?;
        let has_more = page.len() > limit as usize;
        page.truncate(limit as usize);
        let next = page.last().filter(|_| has_more).map(|(seq, _)| seq.to_string());
        let entries = page.into_iter().map(|(_, entry)| entry).collect();
        Ok(InboxPage { entries, next })
    }

    /// Where the message with this id is in the inbox; without an id the place before all.
    async fn place(&self, id: Option<String>) -> Result<i64> {
        self.work(move |unit, account| id.map_or(Ok(0), |id| inbox::place(unit, &account.phone, &id)))
            .await
    }

    /// Entries after a place, each with its own.
    async fn entries(&self, place: i64, limit: u32, sent: bool) -> Result<Vec<(i64, Entry)>> {
        self.work(move |unit, account| inbox::page(unit, &account.phone, (place, limit), sent))
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
        let registry = &self.network.registry;
        let search = async {
            let (mut place, mut seen) = (0, None);
            loop {
                let changed = registry.inboxes.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                // Entries that were there may be other ones now; else there are only new ones to look at.
                let amendments = Some(registry.amendments(&self.number));
                if seen != amendments {
                    (place, seen) = (0, amendments);
                }
                loop {
                    let page = self.entries(place, PAGE, false).await?;
                    let is_last = page.len() < PAGE as usize;
                    place = page.last().map_or(place, |(seq, _)| *seq);
                    let mut entries = page.into_iter().map(|(_, entry)| entry);
                    if let Some(found) = entries.find(&wanted) {
                        return Ok(found);
                    }
                    if is_last {
                        break;
                    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory;
    use crate::phone::identity;
    use crate::phone::inbox::testing::put;
    use crate::script::NewPhone;
    use crate::store::Unit;
    use crate::{Config, Sandbox};

    /// A sandbox with a phone that has so many texts, with their numbers as ids.
    async fn sandbox(texts: usize) -> (Sandbox, Phone) {
        let config = Config::new("127.0.0.1:0".parse().expect("an address"));
        let sandbox = Sandbox::start(config).await.expect("a sandbox");
        let phone = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        let other = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        let (me, other) = (phone.number().to_owned(), other.number().to_owned());
        let fill = move |unit: &mut Unit<'_>| {
            let other = directory::require(unit, &other)?;
            for n in 0..texts {
                put(unit, &me, &other, &n.to_string())?;
            }
            Ok(())
        };
        sandbox.network.store.run(fill).await.expect("an inbox");
        (sandbox, phone)
    }

    #[tokio::test]
    async fn an_inbox_is_read_whole_up_to_a_length_and_in_pages_at_any() {
        let (sandbox, phone) = sandbox(MOST + 1).await;
        let error = phone.inbox(InboxQuery::default()).await.expect_err("too many");
        assert!(
            matches!(&error, Error::Invalid(reason) if reason.contains("`limit`")),
            "{error}"
        );
        let but_one = InboxQuery {
            after: Some("0".into()),
            sent: false,
        };
        assert_eq!(phone.inbox(but_one).await.expect("an inbox").len(), MOST);
        let (mut query, mut ids) = (PageQuery::default(), Vec::new());
        loop {
            let page = phone.inbox_page(query).await.expect("a page");
            assert!(page.entries.len() <= PAGE as usize);
            ids.extend(page.entries.into_iter().map(|entry| entry.id));
            let Some(next) = page.next else { break };
            query = PageQuery {
                cursor: Some(next),
                ..PageQuery::default()
            };
        }
        assert!(ids.into_iter().eq((0..=MOST).map(|n| n.to_string())));
        sandbox.shutdown().await;
    }

    #[tokio::test]
    async fn an_entry_that_changes_later_is_waited_for() {
        let (sandbox, phone) = sandbox(3).await;
        let is_looked_at = tokio::sync::Notify::new();
        let wanted = |entry: &Entry| {
            is_looked_at.notify_one();
            entry.id == "1" && entry.copies == 2
        };
        let waiting = phone.wait_for(wanted, Duration::from_secs(30));
        let changing = async {
            is_looked_at.notified().await;
            let found = phone
                .inbox(InboxQuery::default())
                .await
                .expect("an inbox")
                .remove(1);
            let me = phone.number().to_owned();
            let count = move |unit: &mut Unit<'_>| inbox::count_copy(unit, &me, &found.from, "1");
            sandbox.network.store.run(count).await.expect("it counts");
        };
        let (found, ()) = tokio::join!(waiting, changing);
        assert_eq!(found.expect("the entry").id, "1");
        sandbox.shutdown().await;
    }

    #[tokio::test]
    async fn what_changes_in_another_inbox_is_no_reason_to_read_this_one_anew() {
        let (sandbox, phone) = sandbox(3).await;
        let is_looked_at = tokio::sync::Notify::new();
        let looks = std::cell::Cell::new(0);
        let wanted = |entry: &Entry| {
            looks.set(looks.get() + 1);
            is_looked_at.notify_one();
            entry.id == "new"
        };
        let waiting = phone.wait_for(wanted, Duration::from_secs(30));
        let changing = async {
            is_looked_at.notified().await;
            let me = phone.number().to_owned();
            let change = move |unit: &mut Unit<'_>| {
                let me = directory::require(unit, &me)?;
                let other = identity::create(unit, None, None)?;
                for _ in 0..2 {
                    put(unit, &other.phone, &me, "theirs")?;
                }
                // Nobody has read what is not there.
                inbox::tick(unit, &me.phone, &["none".to_owned()], &other.phone)?;
                put(unit, &me.phone, &other, "new")
            };
            sandbox.network.store.run(change).await.expect("it changes");
        };
        let (found, ()) = tokio::join!(waiting, changing);
        assert_eq!(found.expect("the entry").id, "new");
        assert_eq!(looks.get(), 4);
        sandbox.shutdown().await;
    }
}
