//! What tests of requests about a message share.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock as _;
use shared::domain::content::Content;
use shared::domain::job::{Job, SendJob};
use shared::domain::message::{Change, Direction, Failure, Kind, MessageRecord, State};
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use shared::sealed;
use testbed::caller::Caller;

use crate::support::World;

pub const BOB: &str = "15550100002";
pub const GROUP: &str = "120363021033254949@g.us";

/// Sends a text.
pub async fn text(key: &Caller, to: &str) -> MessageId {
    let sent = key.send("text", json!({"to": to, "text": "x"})).await.data(202);
    id(&sent["id"])
}

pub fn id(value: &Value) -> MessageId {
    value.as_str().expect("an id").parse().expect("a message's")
}

impl World {
    /// Brings a message into this state, as a daemon does.
    pub async fn becomes(&self, instance: InstanceId, message: MessageId, state: State) {
        self.becomes_for(instance, message, state, None).await;
    }

    pub async fn becomes_for(
        &self,
        instance: InstanceId,
        message: MessageId,
        state: State,
        failure: Option<Failure>,
    ) {
        let at = self.clock.now();
        let change = Change { state, at, failure };
        let changed = self.state.messages.change(instance, message, &change).await;
        changed.expect("stored");
    }

    /// The record of a message that came in from the person with this LID, or from another device of the account.
    pub async fn came_in(
        &self,
        instance: InstanceId,
        chat: &str,
        lid: &str,
        direction: Direction,
    ) -> MessageRecord {
        let now = self.clock.now();
        let chat: Recipient = chat.parse().expect("a chat");
        let from = Person {
            phone: None,
            lid: Some(lid.to_owned()),
        };
        let mut record = MessageRecord::new(
            MessageId::new(now),
            instance,
            direction,
            Kind::Text,
            chat,
            from,
            now,
        );
        if direction == Direction::Outgoing {
            record.state = State::Sent;
            record.sent_at = Some(now);
        }
        record.whatsapp_id = Some("3AFF01".to_owned());
        record.received_at = Some(now);
        self.state.messages.put(&record).await.expect("stored");
        record
    }

    /// The jobs that wait, with what they say.
    pub async fn jobs(&self, instance: InstanceId) -> Vec<(SendJob, Content)> {
        let mut jobs = Vec::new();
        for received in self.waiting(&self.queue_names().sends(0)).await {
            let Job::Send(job) = payload::decode(&received.body).expect("ours");
            let opening = sealed::open(&self.state.sealer, instance, &job.message, &job.content);
            let content = opening.await.expect("opens");
            jobs.push((job, content));
        }
        jobs
    }

    /// How many messages of the month are counted, and how many have ended.
    pub async fn counted(&self, subscription: &str, instance: InstanceId) -> (u32, u64) {
        let (counters, now) = (&self.state.counters, self.clock.now());
        let subscription = subscription.parse().expect("an id");
        let used = counters
            .get_used_of_quota(subscription, now)
            .await
            .expect("read")
            .0;
        (
            used,
            counters.this_month(instance, now).await.expect("read").ended,
        )
    }

    pub fn minutes_pass(&self, minutes: i64) {
        self.clock.advance(TimeDelta::minutes(minutes));
    }
}
