//! `GET /api/messages/{message}/timeline`: the states that a message has gone through, and the deliveries that told of it.

use axum::extract::State;
use axum::http::Method;
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::message::{Direction, Failure, MessageRecord, State as MessageState};
use shared::ids::MessageId;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Path, Reply, Timestamp};
use crate::messaging::MessagingState;
use crate::openapi::Tag;
use crate::webhook_routes::DeliveryView;

#[derive(Serialize, ToSchema)]
pub struct Response {
    id: MessageId,
    /// Oldest first. A state that WhatsApp told only by a later one has the time of that.
    timeline: Vec<Passage>,
    /// What became of the events that told of it, in the order in which they were tried first.
    deliveries: Vec<DeliveryView>,
}

/// A state that the message came to.
#[derive(Serialize, ToSchema)]
#[schema(as = PassedState)]
pub struct Passage {
    status: MessageState,
    at: Timestamp,
    /// Why, where it was not sent.
    error: Option<Failure>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::GET,
        "/api/messages/{message}/timeline",
        "getMessageTimeline",
        handler,
    )
    .about(
        Tag::Messages,
        "Tells when a message came to which state, and who was told",
    )
    .details(
        "`deliveries` has the events about the message that were sent to the webhook in the last 14 days.",
    )
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::MessagesRead>,
    Path(id): Path<MessageId>,
) -> Result<Reply<Response>, ApiError> {
    let (instance, now) = (caller.grant.instance, state.clock.now());
    let (found, deliveries) = tokio::try_join!(
        state.messages.get(instance, id),
        state.hooks.deliveries.of_message(instance, id, now),
    )?;
    let record = found.ok_or_else(|| ApiError::not_found("message"))?;
    let record = record.as_of(now);
    Ok(Reply::ok(Response {
        id,
        timeline: timeline(&record),
        deliveries: deliveries.into_iter().map(DeliveryView::from).collect(),
    }))
}

fn timeline(record: &MessageRecord) -> Vec<Passage> {
    let passed = |status, at: Option<DateTime<Utc>>| {
        at.map(|at| Passage {
            status,
            at: at.into(),
            error: None,
        })
    };
    // What another device of the account wrote was never accepted here.
    let is_ours = record.direction == Direction::Outgoing && record.received_at.is_none();
    let (scheduled, queued) = match record.scheduled_at {
        None => (None, Some(record.created_at)),
        Some(due) => {
            let is_due = record.state != MessageState::Scheduled && due <= record.updated_at;
            (Some(record.created_at), is_due.then_some(due))
        }
    };
    let mut timeline: Vec<_> = [
        passed(MessageState::Scheduled, scheduled.filter(|_| is_ours)),
        passed(MessageState::Queued, queued.filter(|_| is_ours)),
        passed(MessageState::Sent, record.sent_at),
        passed(MessageState::Delivered, record.delivered_at),
        passed(MessageState::Read, record.read_at),
    ]
    .into_iter()
    .flatten()
    .collect();
    if timeline.iter().all(|passage| passage.status != record.state) {
        timeline.push(Passage {
            status: record.state,
            at: match record.state {
                MessageState::Received => record.received_at.unwrap_or(record.updated_at),
                _ => record.updated_at,
            }
            .into(),
            error: record.failure.clone(),
        });
    }
    timeline
}

#[cfg(test)]
mod tests {
    use shared::domain::message::{Change, FailureCode, Kind};
    use shared::domain::person::Person;
    use shared::ids::InstanceId;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a time")
    }

    fn record(direction: Direction) -> MessageRecord {
        let (id, instance) = (MessageId::from_bytes([1; 16]), InstanceId::from_bytes([1; 16]));
        let chat = "15550100002".parse().expect("a number");
        MessageRecord::new(
            id,
            instance,
            direction,
            Kind::Text,
            chat,
            Person::default(),
            at(0),
        )
    }

    fn changed(record: MessageRecord, state: MessageState, second: i64) -> MessageRecord {
        record.changed(&Change {
            state,
            at: at(second),
            failure: (state == MessageState::Failed).then(|| Failure::of(FailureCode::NoAcknowledgement)),
        })
    }

    #[track_caller]
    fn tells(record: &MessageRecord, wanted: &[(MessageState, i64)]) {
        let told = timeline(record).into_iter();
        let told: Vec<_> = told
            .map(|passage| serde_json::to_value(passage).expect("plain data"))
            .collect();
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(status, second)| {
                let error = record.failure.as_ref().filter(|_| *status == record.state);
                serde_json::json!({"status": status, "at": Timestamp::from(at(*second)), "error": error})
            })
            .collect();
        assert_eq!(told, wanted);
    }

    #[test]
    fn states_are_told_in_their_order() {
        use MessageState::{Cancelled, Delivered, Failed, Played, Queued, Read, Received, Scheduled, Sent};
        let queued = record(Direction::Outgoing);
        tells(&queued, &[(Queued, 0)]);
        let sent = changed(queued.clone(), Sent, 1);
        let read = changed(changed(sent.clone(), Delivered, 2), Read, 3);
        tells(&read, &[(Queued, 0), (Sent, 1), (Delivered, 2), (Read, 3)]);
        let played = changed(read, Played, 9);
        tells(
            &played,
            &[(Queued, 0), (Sent, 1), (Delivered, 2), (Read, 3), (Played, 9)],
        );
        // A receipt that overtakes the acknowledgement stands for both.
        tells(
            &changed(queued.clone(), Delivered, 4),
            &[(Queued, 0), (Sent, 4), (Delivered, 4)],
        );
        tells(&changed(sent, Failed, 5), &[(Queued, 0), (Sent, 1), (Failed, 5)]);
        // One that waits for its day is queued when that has come, if it was not taken back before.
        let waits = MessageRecord {
            state: Scheduled,
            scheduled_at: Some(at(6)),
            ..queued
        };
        tells(&waits, &[(Scheduled, 0)]);
        tells(
            &changed(waits.clone(), Cancelled, 3),
            &[(Scheduled, 0), (Cancelled, 3)],
        );
        tells(
            &changed(waits, Sent, 7),
            &[(Scheduled, 0), (Queued, 6), (Sent, 7)],
        );
        let mut received = record(Direction::Incoming);
        received.received_at = Some(at(7));
        tells(&received, &[(Received, 7)]);
    }
}
