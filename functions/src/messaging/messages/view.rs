//! Messages as the API shows them.

use serde::Serialize;
use shared::domain::event::ChatNames;
use shared::domain::message::{Direction, Failure, GroupReceipts, Kind, MessageRecord, State};
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
    /// A chat by the names that are known; `person` is who is on its other side.
    pub fn new(chat: &Recipient, person: &Person) -> Self {
        let ChatNames { phone, lid, group } = ChatNames::of(chat, person);
        Self { phone, lid, group }
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
            status: match record.scheduled_at {
                Some(_) => State::Scheduled,
                None => State::Queued,
            },
            to: ChatView::new(&record.chat, &record.person),
            kind: record.kind,
            created_at: record.created_at.into(),
        }
    }
}

/// How many members of a group a message has reached. Each counts once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GroupReceipts)]
pub struct ReceiptsView {
    /// How many have it.
    #[schema(example = 3)]
    delivered: u32,
    /// How many have seen it.
    #[schema(example = 1)]
    read: u32,
    /// How many there were when it was sent, the sender left out.
    #[schema(example = 4)]
    of: u32,
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
    /// For an outgoing message to a group, once WhatsApp has taken it. `delivered` and `read` as
    /// a `status` mean all of them. Whether they have played it is not known.
    receipts: Option<ReceiptsView>,
    /// Whether its content was too large to be told of as a whole.
    truncated: bool,
    /// When it was accepted or, where it came in, when WhatsApp says it was sent, in whole
    /// seconds.
    created_at: Timestamp,
    /// When it is or was due, where it was scheduled.
    scheduled_at: Option<Timestamp>,
    /// When it came in, from others or from another device of the account. Lists are in this
    /// order, and in that of `createdAt` for what was accepted here.
    received_at: Option<Timestamp>,
    updated_at: Timestamp,
    sent_at: Option<Timestamp>,
    delivered_at: Option<Timestamp>,
    read_at: Option<Timestamp>,
}

impl From<GroupReceipts> for ReceiptsView {
    fn from(receipts: GroupReceipts) -> Self {
        Self {
            delivered: receipts.delivered,
            read: receipts.read,
            of: receipts.of,
        }
    }
}

impl From<MessageRecord> for MessageView {
    fn from(record: MessageRecord) -> Self {
        let (to, from) = match record.direction {
            Direction::Outgoing => (Some(ChatView::new(&record.chat, &record.person)), None),
            Direction::Incoming => {
                let from = ChatView {
                    group: record.chat.group().map(|_| record.chat.to_jid()),
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
            receipts: record.receipts.map(ReceiptsView::from),
            truncated: record.truncated.is_some(),
            created_at: record.created_at.into(),
            scheduled_at: record.scheduled_at.map(Timestamp::from),
            received_at: record.received_at.map(Timestamp::from),
            updated_at: record.updated_at.into(),
            sent_at: record.sent_at.map(Timestamp::from),
            delivered_at: record.delivered_at.map(Timestamp::from),
            read_at: record.read_at.map(Timestamp::from),
        }
    }
}
