//! Messages as the API shows them.

use serde::Serialize;
use shared::domain::message::{Direction, Failure, Kind, MessageRecord, State};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use utoipa::ToSchema;

use crate::http::Timestamp;

/// A chat, by each name that is known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Chat)]
pub struct ChatView {
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = json!(null))]
    lid: Option<String>,
    #[schema(example = json!(null))]
    group: Option<String>,
}

impl ChatView {
    fn new(chat: &Recipient, person: &Person) -> Self {
        let is_person = chat.group().is_none();
        let known = |name: Option<&str>, other: &Option<String>| {
            let other = other.as_deref().filter(|_| is_person);
            name.or(other).map(str::to_owned)
        };
        Self {
            phone: known(chat.phone(), &person.phone),
            lid: known(chat.lid(), &person.lid),
            group: chat.group().map(|id| format!("{id}@g.us")),
        }
    }
}

/// The answer to a send.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AcceptedMessage, example = json!({
    "id": "msg_01JD0000000000000000000000",
    "status": "queued",
    "to": {"phone": "15550100001", "lid": null, "group": null},
    "kind": "text",
    "createdAt": "2026-01-01T10:00:00.000Z",
}))]
pub struct AcceptedView {
    id: MessageId,
    status: State,
    to: ChatView,
    kind: Kind,
    created_at: Timestamp,
}

impl AcceptedView {
    /// The first answer to the send of this record, whatever became of it since.
    pub fn new(record: &MessageRecord) -> Self {
        Self {
            id: record.id,
            status: State::Queued,
            to: ChatView::new(&record.chat, &record.person),
            kind: record.kind,
            created_at: record.created_at.into(),
        }
    }
}

/// A message and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
pub struct MessageView {
    id: MessageId,
    direction: Direction,
    kind: Kind,
    status: State,
    /// Whom an outgoing message goes to; `null` for an incoming one.
    to: Option<ChatView>,
    /// Who sent an incoming message, and in which group; `null` for an outgoing one.
    from: Option<ChatView>,
    #[schema(example = "order-4711")]
    reference: Option<String>,
    error: Option<Failure>,
    created_at: Timestamp,
    updated_at: Timestamp,
    sent_at: Option<Timestamp>,
    delivered_at: Option<Timestamp>,
    read_at: Option<Timestamp>,
}

impl From<MessageRecord> for MessageView {
    fn from(record: MessageRecord) -> Self {
        let (to, from) = match record.direction {
            Direction::Outgoing => (Some(ChatView::new(&record.chat, &record.person)), None),
            Direction::Incoming => {
                let from = ChatView {
                    group: record.chat.group().map(|id| format!("{id}@g.us")),
                    phone: record.person.phone,
                    lid: record.person.lid,
                };
                (None, Some(from))
            }
        };
        Self {
            id: record.id,
            direction: record.direction,
            kind: record.kind,
            status: record.state,
            to,
            from,
            reference: record.reference,
            error: record.failure,
            created_at: record.created_at.into(),
            updated_at: record.updated_at.into(),
            sent_at: record.sent_at.map(Timestamp::from),
            delivered_at: record.delivered_at.map(Timestamp::from),
            read_at: record.read_at.map(Timestamp::from),
        }
    }
}
