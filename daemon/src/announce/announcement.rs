//! One event, as it is made: what it tells, and the id that follows from that.

use chrono::{DateTime, Utc};
use shared::domain::event::{self, Data, EventType, MessageStatus, SessionNews};
use shared::domain::message::MessageRecord;
use shared::domain::news::{Done, News};
use shared::domain::recipient::Recipient;
use shared::ids::{EventId, InstanceId, MessageId};

use crate::notice::Notice;

/// An event that is to be told.
///
/// Its id is derived from what it tells of, so whoever tells the same again tells it under the same id.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// Its id.
    pub id: EventId,
    /// The instance that it is of.
    pub instance: InstanceId,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What it tells.
    pub data: Data,
    /// Its message group in the queue: order holds within it.
    pub group: String,
}

impl Announcement {
    /// Of a message that came in at `at` and is told of as `data`. `parts` are instance, chat, sender and WhatsApp id, as the
    /// stanza names them; `chat` is the canonical one.
    pub fn incoming(
        instance: InstanceId,
        chat: &Recipient,
        parts: &[&str; 4],
        at: DateTime<Utc>,
        data: Data,
    ) -> Self {
        let kind = data.kind().as_str();
        let [of, chat_name, sender, whatsapp_id] = *parts;
        // The time in the ids of events about a message is that of the message's own id, as in `status`: so their
        // deliveries lie side by side.
        let since = data.message().map_or(at, MessageId::created_at);
        Self {
            id: EventId::derived(since, &[of, chat_name, sender, whatsapp_id, kind]),
            instance,
            at,
            group: event::message_group_of_chat(instance, chat),
            data,
        }
    }

    /// Of a message in the state of its record; `None` where that is not told. Each state is told once, so the state is
    /// part of what the id derives from, and its time is not.
    pub fn status(record: &MessageRecord) -> Option<Self> {
        let status = MessageStatus::of(record)?;
        let parts = [
            &*record.instance.to_string(),
            &record.chat.to_jid(),
            // Sent by the account itself.
            "",
            &record.id.to_whatsapp(),
            EventType::MessageStatus.as_str(),
            status.status.as_str(),
        ];
        Some(Self {
            id: EventId::derived(record.id.created_at(), &parts),
            instance: record.instance,
            at: status.at,
            group: event::message_group_of_chat(record.instance, &record.chat),
            data: Data::MessageStatus(Box::new(status)),
        })
    }

    /// Of an event that somebody tries; `None` of other news, and of a type that this build does not know.
    pub fn tried(news: &News) -> Option<Self> {
        let Done::Tried {
            instance,
            event: kind,
            message,
        } = &news.done
        else {
            return None;
        };
        Some(Self {
            id: news.id,
            instance: *instance,
            at: news.at,
            data: Data::sample(kind.parse().ok()?, *message, news.at),
            group: event::message_group_of_tests(*instance),
        })
    }

    /// Of a notice; `chat` is the canonical one.
    pub fn notice(instance: InstanceId, chat: &Recipient, notice: &Notice) -> Self {
        let Notice {
            by, key, at, data, ..
        } = notice;
        let parts = [&*instance.to_string(), &notice.chat.to_jid(), by, key];
        Self::incoming(instance, chat, &parts, *at, data.clone())
    }

    /// Of an instance's connection.
    pub fn session(instance: InstanceId, news: SessionNews) -> Self {
        let SessionNews { kind, at, data } = news;
        let attempt = data.attempt.map(|attempt| attempt.to_string());
        let expires = data.expires_at.map(|at| at.timestamp_millis().to_string());
        let parts = [
            &*instance.to_string(),
            kind.as_str(),
            data.status.as_str(),
            attempt.as_deref().unwrap_or_default(),
            expires.as_deref().unwrap_or_default(),
        ];
        Self {
            id: EventId::derived(at, &parts),
            instance,
            at,
            group: event::message_group_of_session(instance),
            data: Data::Session(kind, Box::new(data)),
        }
    }

    /// The same without what a message says.
    #[must_use]
    pub fn without_content(self) -> Self {
        Self {
            data: self.data.without_content(),
            ..self
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeDelta;
    use shared::domain::content::{Content, Context, Excerpt, Kind};
    use shared::domain::event::{MessageReceived, SessionChange};
    use shared::domain::instance::Status;
    use shared::domain::message::{Change, Direction, State};
    use shared::domain::person::Person;
    use shared::ids::SubscriptionId;

    use super::*;

    const INSTANCE: InstanceId = InstanceId::from_bytes([1; 16]);

    fn chat() -> Recipient {
        "15550100001".parse().expect("a number")
    }

    /// A message that came in and says this.
    pub fn received(text: &str) -> Announcement {
        let message = MessageReceived {
            id: MessageId::from_bytes([2; 16]),
            chat: chat(),
            from: Person::of(&chat()),
            from_me: false,
            push_name: Some("Alice at eight".to_owned()),
            content: Excerpt::Content(Content::text(text)),
            context: Context::default(),
            timestamp: DateTime::UNIX_EPOCH,
            received_at: None,
            truncated: false,
            truncation_reason: None,
        };
        let instance = INSTANCE.to_string();
        let parts = [&*instance, "15550100001@s.whatsapp.net", "", "3AFF01"];
        let at = message.timestamp;
        Announcement::incoming(
            INSTANCE,
            &chat(),
            &parts,
            at,
            Data::MessageReceived(Box::new(message)),
        )
    }

    /// News of so many seconds after the epoch.
    pub fn session(seconds: i64) -> Announcement {
        let news = SessionNews {
            kind: EventType::SessionConnected,
            at: DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds),
            data: SessionChange {
                status: Status::Connected,
                reason: None,
                account: Person::default(),
                attempt: None,
                expires_at: None,
            },
        };
        Announcement::session(INSTANCE, news)
    }

    fn record() -> MessageRecord {
        MessageRecord::new(
            MessageId::from_bytes([3; 16]),
            INSTANCE,
            Direction::Outgoing,
            Kind::Text,
            chat(),
            Person::of(&chat()),
            DateTime::UNIX_EPOCH,
        )
    }

    fn status(state: State, seconds: i64) -> Option<Announcement> {
        let change = Change {
            state,
            at: DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds),
            failure: None,
        };
        Announcement::status(&record().changed(&change))
    }

    #[test]
    fn each_state_of_a_message_has_one_id_whenever_it_is_told() {
        let sent = status(State::Sent, 1).expect("told");
        let again = status(State::Sent, 9).expect("told");
        assert_eq!((again.id, &again.group), (sent.id, &sent.group));
        assert_ne!(again.at, sent.at);
        let delivered = status(State::Delivered, 1).expect("told");
        assert_ne!(delivered.id, sent.id);
        assert_eq!(delivered.group, sent.group, "order holds within the chat");
        assert_eq!(received("hello").group, sent.group);
    }

    #[test]
    fn what_waits_and_what_is_not_ours_is_not_told() {
        assert_eq!(Announcement::status(&record()), None);
        assert_eq!(status(State::Unknown, 1), None);
        let mut others = record();
        others.state = State::Delivered;
        assert!(Announcement::status(&others).is_some());
        others.received_at = Some(DateTime::UNIX_EPOCH);
        assert_eq!(Announcement::status(&others), None, "another device's");
    }

    #[test]
    fn each_change_of_a_connection_has_an_id_of_its_own() {
        assert_eq!(session(1), session(1));
        assert_ne!(session(1).id, session(2).id);
        assert_eq!(session(1).group, session(2).group);
    }

    #[test]
    fn an_event_that_is_tried_keeps_its_id_where_its_type_is_known() {
        let id = EventId::from_bytes([3; 16]);
        let of = (INSTANCE, SubscriptionId::from_bytes([4; 16]));
        let message = MessageId::from_bytes([5; 16]);
        let mut news = News::tried(id, of, EventType::MessageReaction, message, DateTime::UNIX_EPOCH);
        let tried = Announcement::tried(&news).expect("known");
        assert_eq!((tried.id, tried.instance), (id, INSTANCE));
        assert_eq!(tried.data.kind(), EventType::MessageReaction);
        assert_eq!(tried.data.message(), Some(message));
        if let Done::Tried { event, .. } = &mut news.done {
            "message.levitated".clone_into(event);
        }
        assert_eq!(Announcement::tried(&news), None, "a newer function's");
    }
}
