//! A queue's attributes as SQS spells them.

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName as Name;

use crate::queue::{MAX_BODY_BYTES, QueueAttributes, QueueName};

/// What a queue is created with. `dead_letter` is the ARN and the receive count.
pub(super) fn initial(
    queue: &QueueName,
    attributes: &QueueAttributes,
    dead_letter: Option<(String, u32)>,
) -> HashMap<Name, String> {
    let mut set = changeable(attributes, dead_letter);
    if queue.is_fifo() {
        set.insert(Name::FifoQueue, "true".to_owned());
        // Both together are what SQS calls high throughput: limits and deduplication count per group.
        set.insert(Name::DeduplicationScope, "messageGroup".to_owned());
        set.insert(Name::FifoThroughputLimit, "perMessageGroupId".to_owned());
    }
    set
}

/// What may differ for a queue that exists.
pub(super) fn changeable(
    attributes: &QueueAttributes,
    dead_letter: Option<(String, u32)>,
) -> HashMap<Name, String> {
    let mut set = HashMap::from([
        (
            Name::VisibilityTimeout,
            attributes.visibility.as_secs().to_string(),
        ),
        (
            Name::MessageRetentionPeriod,
            attributes.retention.as_secs().to_string(),
        ),
        // The default was 256 KiB until August 2025, and queues made before keep it.
        (Name::MaximumMessageSize, MAX_BODY_BYTES.to_string()),
    ]);
    if let Some((arn, max)) = dead_letter {
        let policy = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": max});
        set.insert(Name::RedrivePolicy, policy.to_string());
    }
    set
}
