//! Where everything is in the table: the one module that spells partition and sort keys.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::ids::InstanceId;
use crate::seal::Purpose;

/// An item's partition and sort key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    /// The key as the attributes that a request names an item by.
    pub fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }

    /// The key in one text, for logs and as associated data of what is sealed in the item.
    pub fn path(&self) -> String {
        format!("{}|{}", self.pk, self.sk)
    }
}

/// The partition of an instance itself and of what belongs to its configuration.
pub fn instance_partition(instance: InstanceId) -> String {
    format!("inst#{instance}")
}

/// The wrapped data key of an instance for one purpose.
pub fn data_key(instance: InstanceId, purpose: Purpose) -> Key {
    Key {
        pk: instance_partition(instance),
        sk: format!("dek#{purpose}"),
    }
}

/// The partition of an instance's WhatsApp session state. A partition of its own keeps its
/// writes away from those of the instance's item.
pub fn session_partition(instance: InstanceId) -> String {
    format!("sess#{instance}")
}

/// One entry of an instance's WhatsApp session state.
pub fn session_entry(instance: InstanceId, name: &str) -> Key {
    Key {
        pk: session_partition(instance),
        sk: name.to_owned(),
    }
}
