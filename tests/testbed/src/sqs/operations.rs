//! The operations that the SQS adapter asks for.

use std::time::Duration;

use serde_json::{Map, Value, json};
use shared::queue::{OutgoingMessage, Queue, QueueAttributes, QueueName, Receipt, ReceiveOptions};

use super::answers::{Refusal, Shown};

/// The part of a queue's address and of its ARN before its name.
const ADDRESS: &str = "http://queues.invalid/000000000000/";
const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:";

/// SQS's own defaults for attributes that a queue is created without.
const VISIBILITY: u64 = 30;
const RETENTION: u64 = 4 * 24 * 3_600;

type Answer = Result<Value, Refusal>;

pub(crate) async fn execute(queue: &dyn Queue, operation: &str, asked: &Value) -> Answer {
    match operation {
        "GetQueueUrl" | "CreateQueue" => {
            let name = queue_named(&asked["QueueName"])?;
            if operation == "CreateQueue" {
                let ensured = queue.ensure(&name, attributes(&asked["Attributes"])?).await;
                ensured.map_err(|error| Refusal::from_error(&error, Shown::Nowhere))?;
            } else {
                let found = queue.depth(&name).await;
                found.map_err(|error| Refusal::from_error(&error, Shown::Nowhere))?;
            }
            Ok(json!({"QueueUrl": format!("{ADDRESS}{name}")}))
        }
        "SetQueueAttributes" => {
            let ensured = queue
                .ensure(&addressed(asked)?, attributes(&asked["Attributes"])?)
                .await;
            ensured.map_err(|error| Refusal::from_error(&error, Shown::Nowhere))?;
            Ok(json!({}))
        }
        "GetQueueAttributes" => get_attributes(queue, &addressed(asked)?).await,
        "SendMessage" => send(queue, &addressed(asked)?, asked).await,
        "SendMessageBatch" => send_batch(queue, &addressed(asked)?, asked).await,
        "ReceiveMessage" => receive(queue, &addressed(asked)?, asked).await,
        "DeleteMessage" => {
            Work::Delete.done(queue, &addressed(asked)?, asked).await?;
            Ok(json!({}))
        }
        "ChangeMessageVisibility" => {
            Work::Change.done(queue, &addressed(asked)?, asked).await?;
            Ok(json!({}))
        }
        "DeleteMessageBatch" => Work::Delete.done_for_each(queue, asked).await,
        "ChangeMessageVisibilityBatch" => Work::Change.done_for_each(queue, asked).await,
        _ => Err(Refusal::invalid(format!("`{operation}` is not spoken here"))),
    }
}

fn queue_named(name: &Value) -> Result<QueueName, Refusal> {
    let name = name.as_str().unwrap_or_default();
    QueueName::new(name).map_err(|error| Refusal::from_error(&error, Shown::Nowhere))
}

/// The queue at the end of an address or an ARN.
fn addressed(asked: &Value) -> Result<QueueName, Refusal> {
    let url = asked["QueueUrl"].as_str().unwrap_or_default();
    queue_named(&json!(url.rsplit('/').next()))
}

fn attributes(asked: &Value) -> Result<QueueAttributes, Refusal> {
    let seconds = |name: &str, default| {
        let given = asked[name].as_str().map(str::parse);
        let given = given.unwrap_or(Ok(default));
        given
            .map(Duration::from_secs)
            .map_err(|_| Refusal::invalid(format!("{name} is no number")))
    };
    let mut dead_letter = None;
    if let Some(policy) = asked["RedrivePolicy"].as_str() {
        let policy: Value = serde_json::from_str(policy).unwrap_or_default();
        let arn = policy["deadLetterTargetArn"].as_str().unwrap_or_default();
        let count = &policy["maxReceiveCount"];
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
        let count = count.and_then(|count| u32::try_from(count).ok());
        let count = count.ok_or_else(|| Refusal::invalid("maxReceiveCount is no number"))?;
        dead_letter = Some((queue_named(&json!(arn.rsplit(':').next()))?, count));
    }
    Ok(QueueAttributes {
        visibility: seconds("VisibilityTimeout", VISIBILITY)?,
        retention: seconds("MessageRetentionPeriod", RETENTION)?,
        dead_letter,
    })
}

async fn get_attributes(queue: &dyn Queue, name: &QueueName) -> Answer {
    let depth = queue.depth(name).await;
    let depth = depth.map_err(|error| Refusal::from_error(&error, Shown::Nowhere))?;
    Ok(json!({"Attributes": {
        "QueueArn": format!("{ARN}{name}"),
        "ApproximateNumberOfMessages": depth.visible.to_string(),
        "ApproximateNumberOfMessagesNotVisible": depth.in_flight.to_string(),
        "ApproximateNumberOfMessagesDelayed": depth.delayed.to_string(),
    }}))
}

fn outgoing(asked: &Value) -> OutgoingMessage {
    let text = |member: &str| asked[member].as_str().map(str::to_owned);
    OutgoingMessage {
        body: text("MessageBody").unwrap_or_default(),
        group: text("MessageGroupId"),
        dedup_id: text("MessageDeduplicationId"),
        delay: asked["DelaySeconds"].as_u64().map(Duration::from_secs),
    }
}

/// Each entry has its own answer.
async fn send_batch(queue: &dyn Queue, name: &QueueName, asked: &Value) -> Answer {
    let entries = asked["Entries"].as_array().map_or(&[][..], Vec::as_slice);
    let sent = queue
        .send_batch(name, entries.iter().map(outgoing).collect())
        .await;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (entry, sent) in entries.iter().zip(sent) {
        match sent {
            Ok(sent) => successful.push(json!({
                "Id": entry["Id"],
                "MessageId": sent.message_id,
                "MD5OfMessageBody": "",
            })),
            Err(error) => failed.push(Refusal::from_error(&error, Shown::Nowhere).of_entry(&entry["Id"])),
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

async fn send(queue: &dyn Queue, name: &QueueName, asked: &Value) -> Answer {
    let sent = queue.send(name, outgoing(asked)).await;
    let sent = sent.map_err(|error| Refusal::from_error(&error, Shown::Nowhere))?;
    Ok(json!({"MessageId": sent.message_id}))
}

async fn receive(queue: &dyn Queue, name: &QueueName, asked: &Value) -> Answer {
    let seconds = |member: &str, default| Duration::from_secs(asked[member].as_u64().unwrap_or(default));
    let max = asked["MaxNumberOfMessages"].as_u64().unwrap_or(1);
    let options = ReceiveOptions {
        max: u8::try_from(max).unwrap_or(u8::MAX),
        wait: seconds("WaitTimeSeconds", 0),
        visibility: seconds("VisibilityTimeout", VISIBILITY),
    };
    let received = queue.receive(name, options).await;
    let received = received.map_err(|error| Refusal::from_error(&error, Shown::Nowhere))?;
    let messages = received.into_iter().map(|message| {
        let mut attributes = Map::new();
        let count = message.receive_count.to_string();
        attributes.insert("ApproximateReceiveCount".to_owned(), json!(count));
        if let Some(at) = message.sent_at {
            let millis = at.timestamp_millis().to_string();
            attributes.insert("SentTimestamp".to_owned(), json!(millis));
        }
        if let Some(group) = message.group {
            attributes.insert("MessageGroupId".to_owned(), json!(group));
        }
        json!({
            "MessageId": message.message_id,
            "ReceiptHandle": message.receipt.as_str(),
            "Body": message.body,
            "Attributes": attributes,
        })
    });
    Ok(json!({"Messages": messages.collect::<Vec<_>>()}))
}

/// What is done with one received message.
#[derive(Debug, Clone, Copy)]
enum Work {
    Delete,
    Change,
}

impl Work {
    async fn done(self, queue: &dyn Queue, name: &QueueName, asked: &Value) -> Result<(), Refusal> {
        let receipt = Receipt::new(asked["ReceiptHandle"].as_str().unwrap_or_default());
        let (done, shown) = match self {
            Self::Delete => (queue.delete(name, &receipt).await, Shown::Delete),
            Self::Change => {
                let seconds = asked["VisibilityTimeout"].as_u64().unwrap_or(VISIBILITY);
                let changed = queue.extend(name, &receipt, Duration::from_secs(seconds)).await;
                (changed, Shown::Change)
            }
        };
        done.map_err(|error| Refusal::from_error(&error, shown))
    }

    /// A batch: each entry has its own answer.
    async fn done_for_each(self, queue: &dyn Queue, asked: &Value) -> Answer {
        let name = addressed(asked)?;
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in asked["Entries"].as_array().map_or(&[][..], Vec::as_slice) {
            match self.done(queue, &name, entry).await {
                Ok(()) => successful.push(json!({"Id": entry["Id"]})),
                Err(refusal) => failed.push(refusal.of_entry(&entry["Id"])),
            }
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    }
}
