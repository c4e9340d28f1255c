//! The table's client and name, its reads and transactions, and its time-outs.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::TransactWriteItem;

use super::error::{StorageError, classify};
use super::item::{Item, s};
use super::keys::Key;
use super::outcome::{Transacted, failed_conditions};

/// The name of the index from shards to instances.
pub const SHARD_INDEX: &str = "shard";

/// The name of the index of lists over all subscriptions (see [`super::keys::list`]): by
/// `listKey`, in the order of `listSort`, with whole items.
pub const LIST_INDEX: &str = "list";

/// The deadline of a call, the SDK's retries included. It lies inside a lease (4 s by default), so that no write of
/// an owner arrives after its lease has run out.
pub const CALL_DEADLINE: Duration = Duration::from_millis(2_500);

/// One attempt's deadline within a call.
pub const ATTEMPT_DEADLINE: Duration = Duration::from_secs(1);

/// How often a transaction is tried while others have its items. The pauses begin with 10 to 40 ms and double each
/// time.
const TRANSACTION_ATTEMPTS: u32 = 7;

/// How often a transaction of unknown outcome is sent again, after the SDK's own attempts.
const TRANSACTION_DOUBTS: u32 = 2;

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
        Self::over(Client::from_conf(Self::config(config).build()), name)
    }

    /// What a client has that reaches a table as [`Table::new`] does, for whoever adds to it.
    pub fn config(config: &aws_config::SdkConfig) -> aws_sdk_dynamodb::config::Builder {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(CALL_DEADLINE)
            .operation_attempt_timeout(ATTEMPT_DEADLINE);
        aws_sdk_dynamodb::config::Builder::from(config).timeout_config(timeouts.build())
    }

    /// A table of this name behind a client that has time-outs of its own.
    pub fn over(client: Client, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { client, name }
    }

    /// The same table through a client of its own, which shares neither connections with this one's nor the SDK's quota of
    /// retries. All other clients of a process and region have one quota: calls that fail use it up for all of them.
    #[must_use]
    pub fn apart(&self) -> Self {
        let retries = RetryPartition::custom("apart").build();
        let config = self.client.config().to_builder().retry_partition(retries);
        Self::over(Client::from_conf(config.build()), &self.name)
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

    /// An item as it was a moment ago. Half a read unit for each 4 KiB.
    pub async fn get_recent(&self, key: &Key) -> Result<Option<Item>, StorageError> {
        self.read(key, false).await
    }

    /// An update of an item, which says what and on which condition before it is sent.
    pub fn update(&self, key: &Key) -> UpdateItemFluentBuilder {
        let request = self.client.update_item().table_name(&self.name);
        request.set_key(Some(key.attributes()))
    }

    /// A write of a whole item, which may get a condition before it is sent.
    pub fn put(&self, item: Item) -> PutItemFluentBuilder {
        let request = self.client.put_item().table_name(&self.name);
        request.set_item(Some(item))
    }

    /// A deletion of an item, which may get a condition before it is sent.
    pub fn delete(&self, key: &Key) -> DeleteItemFluentBuilder {
        let request = self.client.delete_item().table_name(&self.name);
        request.set_key(Some(key.attributes()))
    }

    async fn read(&self, key: &Key, consistent: bool) -> Result<Option<Item>, StorageError> {
        let request = self.client.get_item().table_name(&self.name);
        let request = request
            .set_key(Some(key.attributes()))
            .consistent_read(consistent);
        Ok(request.send().await.map_err(classify)?.item)
    }

    /// Up to `limit` items of a partition whose sort keys begin with `prefix`, the last ones first, that come before
    /// `before`. Consistent.
    pub async fn last_with_prefix(
        &self,
        partition: String,
        prefix: &str,
        before: Option<Key>,
        limit: u32,
    ) -> Result<Vec<Item>, StorageError> {
        let page = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", s(partition))
            .expression_attribute_values(":prefix", s(prefix))
            .scan_index_forward(false)
            .consistent_read(true)
            .set_exclusive_start_key(before.map(|key| key.attributes()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(classify)?;
        Ok(page.items.unwrap_or_default())
    }

    /// Writes all or nothing. Where another transaction had one of the items, it tries again a few times, after short
    /// random pauses. It does so too where nobody answered: a caller that is told of a failure would do the same
    /// again, and must not undo what was done.
    pub async fn transact(&self, writes: Vec<TransactWriteItem>) -> Result<Transacted, StorageError> {
        // One token for all attempts: where an earlier attempt was executed and its answer lost, a later one is told
        // of its success, and does not fail on what the earlier has written.
        let token = format!("{:032x}", rand::random::<u128>());
        let (mut attempt, mut doubts) = (0, 0);
        loop {
            attempt += 1;
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(writes.clone()))
                .client_request_token(&token)
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
                StorageError::Unavailable(_) if doubts < TRANSACTION_DOUBTS => {
                    doubts += 1;
                    let pause = rand::random_range(5..=20) << doubts;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                error => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use aws_sdk_dynamodb::config::retry::{RetryConfig, TokenBucket};
    use tokio::net::TcpListener;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::aws::stand_in;

    #[tokio::test]
    async fn a_table_apart_has_retries_when_others_have_used_up_theirs() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        // It ends every connection, so each attempt makes another.
        let attempts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&attempts);
        let _ending = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Ok(accepted) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(accepted);
            }
        }));
        let used_up = RetryPartition::custom("used up").token_bucket(TokenBucket::new(0));
        let config = aws_sdk_dynamodb::config::Builder::from(&stand_in(&endpoint))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .retry_partition(used_up.build())
            .build();
        let table = Table::over(Client::from_conf(config), "waxwing");
        let key = Key::new("pk", "sk");
        table.get(&key).await.expect_err("no answer");
        assert_eq!(attempts.swap(0, Ordering::SeqCst), 1);
        table.apart().get(&key).await.expect_err("no answer");
        assert_eq!(attempts.load(Ordering::SeqCst), 3);
    }
}
