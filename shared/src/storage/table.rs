//! The table's client and name, its creation, and its time-outs.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification, TransactWriteItem,
};

use super::error::{StorageError, classify};
use super::item::Item;
use super::keys::Key;
use super::outcome::{Transacted, failed_conditions};

/// The name of the index from shards to instances.
pub const SHARD_INDEX: &str = "shard";

/// One call's deadline, the SDK's retries included. It lies inside a lease (4 s by
/// default), so that no write of an owner arrives after its lease has run out.
pub const CALL_DEADLINE: Duration = Duration::from_millis(2_500);

/// One attempt's deadline within a call.
pub const ATTEMPT_DEADLINE: Duration = Duration::from_secs(1);

/// How often a transaction is tried while others have its items: pauses of 10 to 40 ms,
/// then twice as long each time.
const TRANSACTION_ATTEMPTS: u32 = 7;

/// The one table and the client that reaches it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// A table of this name, reached through a client for `config` with this module's
    /// time-outs.
    pub fn new(config: &aws_config::SdkConfig, name: impl Into<String>) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_timeout(CALL_DEADLINE)
                    .operation_attempt_timeout(ATTEMPT_DEADLINE)
                    .build(),
            )
            .build();
        Self {
            client: Client::from_conf(config),
            name: name.into(),
        }
    }

    /// The client, for requests that name [`Table::name`] themselves.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An item as it is now. One read unit for each 4 KiB.
    pub async fn get(&self, key: &Key) -> Result<Option<Item>, StorageError> {
        self.read(key, true).await
    }

    /// An item as it was a moment ago, for half as much.
    pub async fn get_recent(&self, key: &Key) -> Result<Option<Item>, StorageError> {
        self.read(key, false).await
    }

    async fn read(&self, key: &Key, consistent: bool) -> Result<Option<Item>, StorageError> {
        let request = self.client.get_item().table_name(&self.name);
        let request = request
            .set_key(Some(key.attributes()))
            .consistent_read(consistent);
        Ok(request.send().await.map_err(classify)?.item)
    }

    /// Writes all or nothing. Where another transaction had one of the items, which is no
    /// condition of ours, it tries again after a short random pause, a few times.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Transacted, StorageError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(writes.clone()))
                .send()
                .await;
            let Err(error) = sent else {
                return Ok(Transacted::Done);
            };
            let failed = failed_conditions(&error);
            if failed.contains(&true) {
                return Ok(Transacted::Refused(failed));
            }
            match classify(error) {
                StorageError::Conflict(_) if attempt < TRANSACTION_ATTEMPTS => {
                    let pause = rand::random_range(5..=20) << attempt;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                error => return Err(error),
            }
        }
    }

    /// Creates the table with its index and its expiry attribute where it does not exist.
    /// For local stacks: a deployment's table comes from its template.
    pub async fn create_if_absent(&self) -> Result<(), StorageError> {
        if self
            .client
            .describe_table()
            .table_name(&self.name)
            .send()
            .await
            .is_ok()
        {
            return Ok(());
        }
        let attribute = |name: &str| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .expect("a name and a type are all it needs")
        };
        let key = |name: &str, kind: KeyType| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
                .expect("a name and a type are all it needs")
        };
        let index = GlobalSecondaryIndex::builder()
            .index_name(SHARD_INDEX)
            .key_schema(key("shardKey", KeyType::Hash))
            .key_schema(key("pk", KeyType::Range))
            .projection(
                Projection::builder()
                    .projection_type(ProjectionType::KeysOnly)
                    .build(),
            )
            .build()
            .expect("a name and keys are all it needs");
        let created = self
            .client
            .create_table()
            .table_name(&self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("pk"))
            .attribute_definitions(attribute("sk"))
            .attribute_definitions(attribute("shardKey"))
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range))
            .global_secondary_indexes(index)
            .send()
            .await;
        match created {
            Ok(_) => {}
            Err(error) if error.code() == Some("ResourceInUseException") => return Ok(()),
            Err(error) => return Err(classify(error)),
        }
        let ttl = TimeToLiveSpecification::builder()
            .attribute_name("exp")
            .enabled(true)
            .build()
            .expect("a name and a flag are all it needs");
        self.client
            .update_time_to_live()
            .table_name(&self.name)
            .time_to_live_specification(ttl)
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }
}
