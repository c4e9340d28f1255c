//! The table's definition: keys, indexes, expiry. A deployment's table comes from its
//! template, which CI holds against this one; local stacks create theirs here.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};

use super::error::{StorageError, classify};
use super::table::{LIST_INDEX, SHARD_INDEX, Table};

impl Table {
    /// Creates the table with its indexes and its expiry attribute where it does not exist.
    ///
    /// # Errors
    /// A table that is there and lacks an index is [`StorageError::Refused`].
    pub async fn create_if_absent(&self) -> Result<(), StorageError> {
        let described = self
            .client()
            .describe_table()
            .table_name(self.name())
            .send()
            .await;
        if let Ok(output) = described {
            let indexes = output
                .table()
                .map(aws_sdk_dynamodb::types::TableDescription::global_secondary_indexes);
            let has = |name| {
                indexes.is_some_and(|indexes| indexes.iter().any(|index| index.index_name() == Some(name)))
            };
            return if has(SHARD_INDEX) && has(LIST_INDEX) {
                Ok(())
            } else {
                Err(StorageError::Refused(
                    "the table lacks an index: it was made by an older version".into(),
                ))
            };
        }
        let created = self
            .client()
            .create_table()
            .table_name(self.name())
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(
                ["pk", "sk", "shardKey", "listKey", "listSort"]
                    .map(attribute)
                    .to_vec(),
            ))
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range))
            .global_secondary_indexes(index(SHARD_INDEX, "shardKey", "pk", ProjectionType::KeysOnly))
            .global_secondary_indexes(index(LIST_INDEX, "listKey", "listSort", ProjectionType::All))
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
        self.client()
            .update_time_to_live()
            .table_name(self.name())
            .time_to_live_specification(ttl)
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }
}

fn attribute(name: &str) -> AttributeDefinition {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .expect("a name and a type are all it needs")
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
        .expect("a name and a type are all it needs")
}

fn index(name: &str, hash: &str, range: &str, projection: ProjectionType) -> GlobalSecondaryIndex {
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .key_schema(key(hash, KeyType::Hash))
        .key_schema(key(range, KeyType::Range))
        .projection(Projection::builder().projection_type(projection).build())
        .build()
        .expect("a name and keys are all it needs")
}
