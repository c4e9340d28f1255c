//! The queue on AWS, and on anything that speaks SQS's protocol.

mod attributes;
mod errors;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Config;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use chrono::DateTime;

use self::errors::{from_sdk, per_entry};
use super::message::{check_visibility, refuse_batch};
use super::{
    Depth, MAX_BATCH, OutgoingMessage, Queue, QueueAttributes, QueueError, QueueName, Receipt,
    ReceiveOptions, Received, SendOutcome,
};

/// How long a call may take, the SDK's retries included. A long poll has its wait on top.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one attempt of a call may take. A connection that goes silent costs this much and not the whole call,
/// since the next attempt goes over another one. Long polls wait for messages and have no such limit.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// [`Queue`] over an SQS client, which brings region, credentials and endpoint.
#[derive(Debug)]
pub struct SqsQueue {
    client: Client,
    /// A queue's address never changes, so it is asked for once.
    urls: RwLock<HashMap<QueueName, String>>,
}

impl SqsQueue {
    /// The queues of the client's account and region, with this module's time-outs.
    pub fn new(client: &Client) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let config = client.config().to_builder().timeout_config(timeouts.build());
        Self {
            client: Client::from_conf(config.build()),
            urls: RwLock::default(),
        }
    }

    /// Queues of the account, region and endpoint that `config` names.
    pub fn from_config(config: &aws_config::SdkConfig) -> Self {
        Self::new(&Client::new(config))
    }

    async fn url(&self, queue: &QueueName) -> Result<String, QueueError> {
        let known = self
            .urls
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(queue)
            .cloned();
        if let Some(url) = known {
            return Ok(url);
        }
        let call = self.client.get_queue_url().queue_name(queue.as_str()).send();
        let url = self
            .within(queue, "GetQueueUrl", CALL_TIMEOUT, call)
            .await?
            .queue_url;
        let url = url.ok_or_else(|| QueueError::unavailable("GetQueueUrl answered without an address"))?;
        self.urls
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(queue.clone(), url.clone());
        Ok(url)
    }

    /// Bounds a call and names its failure. Forgets the address of a queue that is gone, which may come back under
    /// another.
    async fn within<T, E, R>(
        &self,
        queue: &QueueName,
        operation: &'static str,
        timeout: Duration,
        call: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<T, QueueError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let outcome = match tokio::time::timeout(timeout, call).await {
            Ok(outcome) => outcome.map_err(|error| from_sdk(queue, operation, error)),
            Err(_) => Err(QueueError::Timeout { operation }),
        };
        if let Err(QueueError::NoSuchQueue(_)) = &outcome {
            self.urls
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(queue);
        }
        outcome
    }

    async fn arn(&self, queue: &QueueName) -> Result<String, QueueError> {
        self.attributes(queue, &[QueueAttributeName::QueueArn])
            .await?
            .remove(&QueueAttributeName::QueueArn)
            .ok_or_else(|| QueueError::unavailable("SQS names no ARN for a queue"))
    }

    async fn attributes(
        &self,
        queue: &QueueName,
        names: &[QueueAttributeName],
    ) -> Result<HashMap<QueueAttributeName, String>, QueueError> {
        let url = self.url(queue).await?;
        let call = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .set_attribute_names(Some(names.to_vec()));
        let answer = self
            .within(queue, "GetQueueAttributes", CALL_TIMEOUT, call.send())
            .await?;
        Ok(answer.attributes.unwrap_or_default())
    }
}

/// SQS counts in whole seconds; rounding up never gives a consumer less time than it asked for.
fn seconds(duration: Duration) -> i32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

fn received(message: Message) -> Option<Received> {
    let mut attributes = message.attributes.unwrap_or_default();
    Some(Received {
        body: message.body?,
        receipt: Receipt(message.receipt_handle?),
        message_id: message.message_id?,
        group: attributes.remove(&MessageSystemAttributeName::MessageGroupId),
        receive_count: attributes
            .get(&MessageSystemAttributeName::ApproximateReceiveCount)?
            .parse()
            .ok()?,
        sent_at: attributes
            .get(&MessageSystemAttributeName::SentTimestamp)
            .and_then(|millis| DateTime::from_timestamp_millis(millis.parse().ok()?)),
    })
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        message.check(queue)?;
        let call = self
            .client
            .send_message()
            .queue_url(self.url(queue).await?)
            .message_body(message.body)
            .set_message_group_id(message.group)
            .set_message_deduplication_id(message.dedup_id)
            .set_delay_seconds(message.delay.map(seconds));
        let answer = self
            .within(queue, "SendMessage", CALL_TIMEOUT, call.send())
            .await?;
        let message_id = answer
            .message_id
            .ok_or_else(|| QueueError::unavailable("SQS gave no message id"))?;
        Ok(SendOutcome {
            message_id,
            duplicate: None,
        })
    }

    async fn send_batch(
        &self,
        queue: &QueueName,
        messages: Vec<OutgoingMessage>,
    ) -> Vec<Result<SendOutcome, QueueError>> {
        if let Some(refused) = refuse_batch(&messages) {
            return refused;
        }
        let checked: Vec<_> = messages.iter().map(|message| message.check(queue)).collect();
        let good: Vec<OutgoingMessage> = messages
            .into_iter()
            .zip(&checked)
            .filter_map(|(message, checked)| checked.is_ok().then_some(message))
            .collect();
        let entries = good.len();
        let outcome = async {
            let mut call = self.client.send_message_batch().queue_url(self.url(queue).await?);
            for (index, message) in good.into_iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(message.body)
                    .set_message_group_id(message.group)
                    .set_message_deduplication_id(message.dedup_id)
                    .set_delay_seconds(message.delay.map(seconds));
                call = call.entries(entry.build().map_err(QueueError::unavailable)?);
            }
            self.within(queue, "SendMessageBatch", CALL_TIMEOUT, call.send())
                .await
        };
        let mut ids = HashMap::new();
        let sent = per_entry(
            queue,
            entries,
            outcome_of(entries, Box::pin(outcome)).await,
            |answer| {
                ids.extend(
                    answer
                        .successful
                        .into_iter()
                        .map(|sent| (sent.id, sent.message_id)),
                );
                answer.failed
            },
        );
        let mut sent = sent.into_iter().enumerate().map(|(index, result)| {
            result?;
            let message_id = ids.remove(&index.to_string());
            Ok(SendOutcome {
                // What SQS does not speak of is not known to be there.
                message_id: message_id.ok_or_else(|| QueueError::unavailable("SQS gave no message id"))?,
                duplicate: None,
            })
        });
        let results = checked.into_iter().map(|checked| match checked {
            Ok(()) => sent
                .next()
                .unwrap_or_else(|| Err(QueueError::unavailable("SQS left an entry out"))),
            Err(refused) => Err(refused),
        });
        results.collect()
    }

    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        options.check()?;
        let mut call = self
            .client
            .receive_message()
            .queue_url(self.url(queue).await?)
            .max_number_of_messages(options.max.into())
            .wait_time_seconds(seconds(options.wait))
            .visibility_timeout(seconds(options.visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        if queue.is_fifo() {
            // With the same attempt id the SDK's own retry gets the messages of a lost answer. Without it their
            // groups would be blocked for the visibility time.
            call = call
                .receive_request_attempt_id(hex::encode(rand::random::<[u8; 16]>()))
                .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId);
        }
        let timeout = options.wait + CALL_TIMEOUT;
        let patient = TimeoutConfig::builder().disable_operation_attempt_timeout();
        let call = call
            .customize()
            .config_override(Config::builder().timeout_config(patient.build()));
        let answer = self.within(queue, "ReceiveMessage", timeout, call.send()).await?;
        let messages = answer.messages.unwrap_or_default();
        let messages: Option<Vec<Received>> = messages.into_iter().map(received).collect();
        messages.ok_or_else(|| QueueError::unavailable("SQS answered an incomplete message"))
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        check_visibility(visibility)?;
        let call = self
            .client
            .change_message_visibility()
            .queue_url(self.url(queue).await?)
            .receipt_handle(&receipt.0)
            .visibility_timeout(seconds(visibility));
        self.within(queue, "ChangeMessageVisibility", CALL_TIMEOUT, call.send())
            .await
            .map(drop)
    }

    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        let call = self
            .client
            .delete_message()
            .queue_url(self.url(queue).await?)
            .receipt_handle(&receipt.0);
        self.within(queue, "DeleteMessage", CALL_TIMEOUT, call.send())
            .await
            .map(drop)
    }

    async fn extend_batch(
        &self,
        queue: &QueueName,
        entries: &[(Receipt, Duration)],
    ) -> Vec<Result<(), QueueError>> {
        let outcome = async {
            let mut call = self
                .client
                .change_message_visibility_batch()
                .queue_url(self.url(queue).await?);
            for (index, (receipt, visibility)) in entries.iter().enumerate() {
                check_visibility(*visibility)?;
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&receipt.0)
                    .visibility_timeout(seconds(*visibility));
                call = call.entries(entry.build().map_err(QueueError::unavailable)?);
            }
            self.within(queue, "ChangeMessageVisibilityBatch", CALL_TIMEOUT, call.send())
                .await
        };
        per_entry(
            queue,
            entries.len(),
            outcome_of(entries.len(), Box::pin(outcome)).await,
            |answer| answer.failed,
        )
    }

    async fn delete_batch(&self, queue: &QueueName, receipts: &[Receipt]) -> Vec<Result<(), QueueError>> {
        let outcome = async {
            let mut call = self
                .client
                .delete_message_batch()
                .queue_url(self.url(queue).await?);
            for (index, receipt) in receipts.iter().enumerate() {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&receipt.0);
                call = call.entries(entry.build().map_err(QueueError::unavailable)?);
            }
            self.within(queue, "DeleteMessageBatch", CALL_TIMEOUT, call.send())
                .await
        };
        per_entry(
            queue,
            receipts.len(),
            outcome_of(receipts.len(), Box::pin(outcome)).await,
            |answer| answer.failed,
        )
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        use QueueAttributeName as Name;
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::ApproximateNumberOfMessagesDelayed,
        ];
        let attributes = self.attributes(queue, &names).await?;
        let count = |name| attributes.get(&name).and_then(|text| text.parse().ok());
        let [visible, in_flight, delayed] = names.map(count);
        match (visible, in_flight, delayed) {
            (Some(visible), Some(in_flight), Some(delayed)) => Ok(Depth {
                visible,
                in_flight,
                delayed,
            }),
            _ => Err(QueueError::unavailable("SQS answered no message counts")),
        }
    }

    async fn ensure(&self, queue: &QueueName, attributes: QueueAttributes) -> Result<(), QueueError> {
        attributes.check(queue)?;
        let dead_letter = match &attributes.dead_letter {
            Some((dead, max)) => Some((self.arn(dead).await?, *max)),
            None => None,
        };
        match self.url(queue).await {
            Ok(url) => {
                let set = attributes::changeable(&attributes, dead_letter);
                let call = self
                    .client
                    .set_queue_attributes()
                    .queue_url(url)
                    .set_attributes(Some(set));
                self.within(queue, "SetQueueAttributes", CALL_TIMEOUT, call.send())
                    .await
                    .map(drop)
            }
            Err(QueueError::NoSuchQueue(_)) => {
                let set = attributes::initial(queue, &attributes, dead_letter);
                let call = self
                    .client
                    .create_queue()
                    .queue_name(queue.as_str())
                    .set_attributes(Some(set));
                self.within(queue, "CreateQueue", CALL_TIMEOUT, call.send())
                    .await
                    .map(drop)
            }
            Err(error) => Err(error),
        }
    }
}

/// Answers what SQS would refuse as a whole: an empty batch, which is nothing to do, and an oversized one, a mistake.
async fn outcome_of<T>(
    entries: usize,
    call: impl Future<Output = Result<T, QueueError>>,
) -> Option<Result<T, QueueError>> {
    match entries {
        0 => None,
        1..=MAX_BATCH => Some(call.await),
        _ => Some(Err(QueueError::invalid("a batch has ten entries at most"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_seconds_are_rounded_up() {
        assert_eq!(seconds(Duration::ZERO), 0);
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_secs(10)), 10);
        assert_eq!(seconds(Duration::from_millis(10_001)), 11);
    }
}
