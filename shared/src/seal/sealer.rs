//! Seals and opens values under the instances' data keys.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::Purpose;
use super::cipher;
use super::wrapper::{DataKey, KeyContext, KeyError, KeyWrapper};
use crate::ids::InstanceId;
use crate::nature::Nature;
use crate::storage::{StorageError, Table, classify, keys};

/// How long a plain key is kept before it is unwrapped anew. A withdrawn permission takes
/// effect within this time.
const DEFAULT_TERM: Duration = Duration::from_mins(5);

/// How many plain keys are kept.
const DEFAULT_CAPACITY: usize = 4_096;

/// Why a value could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// This process may not use keys of this purpose.
    #[error("keys for the purpose `{0}` are not for this process")]
    PurposeDenied(Purpose),
    /// The value was sealed for another purpose, instance or item, or was changed.
    #[error("the sealed value does not open here")]
    DoesNotOpen,
    /// The data key could not be made or unwrapped.
    #[error("the data key could not be had")]
    Key(#[from] KeyError),
    /// The wrapped data key could not be read or stored.
    #[error("the wrapped data key could not be read or stored")]
    Storage(#[from] StorageError),
}

impl SealError {
    /// Whether the same call may succeed later, unchanged. A value that does not open under a
    /// key that did is corrupt. A key that does not open proves nothing: a disabled or mistaken
    /// wrapping key does that to every instance at once.
    pub fn nature(&self) -> Nature {
        match self {
            Self::Key(KeyError::Unavailable(_)) => Nature::Transient,
            Self::Key(KeyError::WrongContext | KeyError::Refused(_)) => Nature::Unknown,
            Self::Storage(error) => error.nature(),
            Self::PurposeDenied(_) | Self::DoesNotOpen => Nature::Permanent,
        }
    }
}

/// A plain key on its way or at hand. Whoever needs it meanwhile waits for the same one.
type Slot = Arc<OnceCell<DataKey>>;

/// Seals and opens values. Shared by reference; made once in a process.
#[derive(Debug)]
pub struct Sealer {
    table: Table,
    wrapper: Arc<dyn KeyWrapper>,
    purposes: Vec<Purpose>,
    term: Duration,
    capacity: usize,
    cache: Mutex<HashMap<KeyContext, (Slot, Instant)>>,
}

impl Sealer {
    /// A sealer for every purpose that keeps plain keys for five minutes.
    pub fn new(table: Table, wrapper: Arc<dyn KeyWrapper>) -> Self {
        Self {
            table,
            wrapper,
            purposes: Purpose::ALL.to_vec(),
            term: DEFAULT_TERM,
            capacity: DEFAULT_CAPACITY,
            cache: Mutex::default(),
        }
    }

    /// The same for these purposes alone: asking for another is an error.
    #[must_use]
    pub fn restricted_to(mut self, purposes: &[Purpose]) -> Self {
        self.purposes = purposes.to_vec();
        self
    }

    /// The same, keeping at most `capacity` plain keys, each for `term`.
    #[must_use]
    pub fn keeping(mut self, capacity: usize, term: Duration) -> Self {
        self.capacity = capacity.max(1);
        self.term = term;
        self
    }

    /// Seals `plain` for `purpose`. `aad` names what it is, such as its table key: the
    /// value opens with the same `aad` only, so that sealed values cannot be exchanged.
    /// An instance's first value makes its key.
    pub async fn seal(
        &self,
        instance: InstanceId,
        purpose: Purpose,
        aad: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let key = self.key(KeyContext { purpose, instance }).await?;
        Ok(cipher::seal(&key, aad, plain))
    }

    /// Opens what [`Sealer::seal`] made with the same instance, purpose and `aad`.
    pub async fn open(
        &self,
        instance: InstanceId,
        purpose: Purpose,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let key = self.key(KeyContext { purpose, instance }).await?;
        cipher::open(&key, aad, sealed).ok_or(SealError::DoesNotOpen)
    }

    /// Deletes an instance's wrapped keys and forgets the plain ones: whatever was sealed
    /// under them, in the table or in a backup of it, is unreadable from then on. Other
    /// processes forget them within their cache's term.
    pub async fn delete_keys(&self, instance: InstanceId) -> Result<(), StorageError> {
        for purpose in Purpose::ALL {
            let key = keys::data_key(instance, purpose);
            self.table
                .client()
                .delete_item()
                .table_name(self.table.name())
                .set_key(Some(key.attributes()))
                .send()
                .await
                .map_err(classify)?;
        }
        self.cache
            .lock()
            .expect("no holder panics")
            .retain(|context, _| context.instance != instance);
        Ok(())
    }

    async fn key(&self, context: KeyContext) -> Result<DataKey, SealError> {
        if !self.purposes.contains(&context.purpose) {
            return Err(SealError::PurposeDenied(context.purpose));
        }
        let slot = self.slot(context);
        slot.get_or_try_init(|| self.load_or_create(&context))
            .await
            .cloned()
    }

    fn slot(&self, context: KeyContext) -> Slot {
        let now = Instant::now();
        let mut cache = self.cache.lock().expect("no holder panics");
        if let Some((slot, until)) = cache.get(&context)
            && now < *until
        {
            return slot.clone();
        }
        if cache.len() >= self.capacity {
            cache.retain(|_, (_, until)| now < *until);
        }
        if cache.len() >= self.capacity {
            let soonest = cache
                .iter()
                .min_by_key(|(_, (_, until))| *until)
                .map(|(context, _)| *context);
            soonest.map(|context| cache.remove(&context));
        }
        let slot = Slot::default();
        cache.insert(context, (slot.clone(), now + self.term));
        slot
    }

    async fn load_or_create(&self, context: &KeyContext) -> Result<DataKey, SealError> {
        if let Some(wrapped) = self.load(context).await? {
            return Ok(self.wrapper.unwrap(context, &wrapped).await?);
        }
        let (key, wrapped) = self.wrapper.generate(context).await?;
        if self.store(context, wrapped).await? {
            return Ok(key);
        }
        // Someone else was first: theirs is the key.
        let wrapped = self.load(context).await?.ok_or_else(|| {
            StorageError::Conflict("the wrapped data key was deleted while it was made".into())
        })?;
        Ok(self.wrapper.unwrap(context, &wrapped).await?)
    }

    async fn load(&self, context: &KeyContext) -> Result<Option<Vec<u8>>, StorageError> {
        let key = keys::data_key(context.instance, context.purpose);
        let answer = self.table.get(&key).await?;
        let Some(mut item) = answer else {
            return Ok(None);
        };
        match item.remove("wrapped") {
            Some(AttributeValue::B(wrapped)) => Ok(Some(wrapped.into_inner())),
            _ => Err(StorageError::Corrupt {
                entity: "data key",
                key: key.path(),
                field: "wrapped",
            }),
        }
    }

    /// Stores the wrapped key unless there is one; whether it did.
    async fn store(&self, context: &KeyContext, wrapped: Vec<u8>) -> Result<bool, StorageError> {
        let key = keys::data_key(context.instance, context.purpose);
        let stored = self
            .table
            .client()
            .put_item()
            .table_name(self.table.name())
            .set_item(Some(key.attributes()))
            .item("wrapped", AttributeValue::B(Blob::new(wrapped)))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match stored {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(PutItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(classify(error)),
        }
    }
}
