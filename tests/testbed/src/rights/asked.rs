//! What rights a call needs: an action on a resource, with the values that conditions look at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::relay::Call;

const PLACE: &str = "eu-central-1:123456789012";

/// The context key of the partitions that a call to the table names.
pub(super) const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// The context key of what a data key is for.
pub(super) const PURPOSE: &str = "kms:EncryptionContext:purpose";

/// One right that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Such as `dynamodb:PutItem`.
    pub action: String,
    /// Its ARN.
    pub resource: String,
    /// The values of each context key.
    pub context: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Asked {
    fn of_table(action: &str, resource: &str, keys: impl IntoIterator<Item = String>) -> Self {
        Self {
            action: format!("dynamodb:{action}"),
            resource: resource.to_owned(),
            context: BTreeMap::from([(LEADING_KEYS, keys.into_iter().collect())]),
        }
    }
}

/// Of a key it shows the kind alone: the rest is different each time.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.resource.rsplit(':').next().unwrap_or_default();
        write!(f, "{} of {name}", self.action)?;
        let kinds: BTreeSet<_> = self
            .context
            .values()
            .flatten()
            .map(|value| match value.split_once('#') {
                Some((kind, _)) => format!("{kind}#…"),
                None => value.clone(),
            })
            .collect();
        if kinds.is_empty() {
            return Ok(());
        }
        write!(f, " with {}", Vec::from_iter(kinds).join(", "))
    }
}

/// What rights a call needs. A transaction needs one for each of its parts (DynamoDB, "Using IAM with DynamoDB transactions"), and a batch
/// at a queue the right to the single action.
pub(super) fn by(call: &Call) -> Vec<Asked> {
    let body: Value = serde_json::from_str(&call.body).unwrap_or_default();
    let of_queue = |action: &str| {
        let url = body["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next());
        let name = url.or(body["QueueName"].as_str()).unwrap_or_default();
        vec![Asked {
            action: format!("sqs:{action}"),
            resource: format!("arn:aws:sqs:{PLACE}:{name}"),
            context: BTreeMap::new(),
        }]
    };
    match call.operation.as_str() {
        "SendMessage" | "SendMessageBatch" => of_queue("SendMessage"),
        "DeleteMessage" | "DeleteMessageBatch" => of_queue("DeleteMessage"),
        "ChangeMessageVisibility" | "ChangeMessageVisibilityBatch" => of_queue("ChangeMessageVisibility"),
        "ReceiveMessage" | "GetQueueUrl" | "GetQueueAttributes" => of_queue(&call.operation),
        "GenerateDataKey" | "Decrypt" => {
            let purpose = body["EncryptionContext"]["purpose"].as_str();
            vec![Asked {
                action: format!("kms:{}", call.operation),
                // There is one key that wraps; an alias leads to it.
                resource: format!("arn:aws:kms:{PLACE}:key/Key"),
                context: BTreeMap::from([(PURPOSE, purpose.into_iter().map(str::to_owned).collect())]),
            }]
        }
        "GetSecretValue" => vec![Asked {
            action: "secretsmanager:GetSecretValue".to_owned(),
            resource: body["SecretId"].as_str().unwrap_or_default().to_owned(),
            context: BTreeMap::new(),
        }],
        "TransactWriteItems" | "TransactGetItems" => parts(&body),
        "BatchGetItem" | "BatchWriteItem" => batches(&call.operation, &body),
        // All other calls to a table name it and one key, or none. A call of another kind becomes one that no policy allows.
        operation => vec![of_one(operation, &body)],
    }
}

fn table(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default();
    format!("arn:aws:dynamodb:{PLACE}:table/{name}")
}

fn of_one(operation: &str, body: &Value) -> Asked {
    let mut resource = table(&body["TableName"]);
    let key = if operation == "Query" {
        let index = body["IndexName"].as_str();
        if let Some(index) = index {
            resource = format!("{resource}/index/{index}");
        }
        Some(queried(index, body))
    } else {
        partition(body)
    };
    Asked::of_table(operation, &resource, key)
}

/// The partition of an item or of its key.
fn partition(of: &Value) -> Option<String> {
    let pk = [&of["Key"]["pk"]["S"], &of["Item"]["pk"]["S"]];
    pk.into_iter().find_map(Value::as_str).map(str::to_owned)
}

/// The partition of the table or of an index that a query reads.
fn queried(index: Option<&str>, body: &Value) -> String {
    let attribute = match index {
        None => "pk",
        Some("shard") => "shardKey",
        Some("list") => "listKey",
        Some(other) => panic!("the table has no index `{other}`"),
    };
    let condition = body["KeyConditionExpression"].as_str().unwrap_or_default();
    let value = condition
        .split(" AND ")
        .filter_map(|part| part.split_once(" = "))
        .find(|(name, _)| *name == attribute)
        .and_then(|(_, value)| body["ExpressionAttributeValues"][value]["S"].as_str());
    let value = value.unwrap_or_else(|| panic!("a query whose partition is not plain: {condition}"));
    value.to_owned()
}

fn parts(body: &Value) -> Vec<Asked> {
    let parts = body["TransactItems"].as_array().into_iter().flatten();
    let parts = parts.filter_map(|part| part.as_object()?.iter().next());
    parts
        .map(|(kind, of)| {
            let action = match kind.as_str() {
                "ConditionCheck" => "ConditionCheckItem".to_owned(),
                kind => format!("{kind}Item"),
            };
            Asked::of_table(&action, &table(&of["TableName"]), partition(of))
        })
        .collect()
}

fn batches(operation: &str, body: &Value) -> Vec<Asked> {
    let tables = body["RequestItems"].as_object().into_iter().flatten();
    tables
        .map(|(name, of)| {
            let keys = of["Keys"].as_array().into_iter().flatten();
            let keys = keys.filter_map(|key| key["pk"]["S"].as_str().map(str::to_owned));
            let writes = of.as_array().into_iter().flatten();
            let writes = writes.filter_map(|write| {
                partition(&write["PutRequest"]).or_else(|| partition(&write["DeleteRequest"]))
            });
            Asked::of_table(operation, &table(&Value::from(name.as_str())), keys.chain(writes))
        })
        .collect()
}
