//! Seals and opens values under the instances' data keys.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::Purpose;
use super::cache::{Cache, Pin};
use super::cipher;
use super::stream::{StreamOpener, StreamSealer};
use super::wrapper::{DataKey, KeyContext, KeyError, KeyWrapper};
use crate::ids::InstanceId;
use crate::nature::Nature;
use crate::storage::keys::{self, Key};
use crate::storage::outcome::condition_failed;
use crate::storage::{StorageError, Table, classify};

/// How long a plain key is kept before it is unwrapped anew. A withdrawn permission takes
/// effect within this time.
const DEFAULT_TERM: Duration = Duration::from_mins(5);

/// How many plain keys are kept besides those of pinned instances.
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
    /// There is no data key yet, and this process makes none.
    #[error("the instance has no data key for `{0}` yet")]
    NoKey(Purpose),
    /// The data key could not be made or unwrapped.
    #[error("the data key could not be had")]
    Key(#[from] KeyError),
    /// The wrapped data key could not be read or stored.
    #[error("the wrapped data key could not be read or stored")]
    Storage(#[from] StorageError),
}

impl SealError {
    /// Whether the same call may succeed later, unchanged. A value that does not open under an unwrapped key is
    /// corrupt. A data key that does not unwrap proves nothing: a disabled or mistaken wrapping key does that to
    /// every instance at once.
    pub fn nature(&self) -> Nature {
        match self {
            Self::Key(KeyError::Unavailable(_)) => Nature::Transient,
            Self::Key(KeyError::WrongContext | KeyError::Refused(_)) | Self::NoKey(_) => Nature::Unknown,
            Self::Storage(error) => error.nature(),
            Self::PurposeDenied(_) | Self::DoesNotOpen => Nature::Permanent,
        }
    }
}

/// Seals and opens values. Shared by reference; made once in a process.
#[derive(Debug)]
pub struct Sealer {
    table: Table,
    wrapper: Arc<dyn KeyWrapper>,
    purposes: Vec<Purpose>,
    makes_keys: bool,
    term: Duration,
    cache: Arc<Cache>,
}

impl Sealer {
    /// A sealer for every purpose that keeps plain keys for five minutes.
    pub fn new(table: Table, wrapper: Arc<dyn KeyWrapper>) -> Self {
        Self {
            table,
            wrapper,
            purposes: Purpose::ALL.to_vec(),
            makes_keys: true,
            term: DEFAULT_TERM,
            cache: Arc::new(Cache::new(DEFAULT_CAPACITY)),
        }
    }

    /// The same sealer for these purposes alone. Another purpose is an error.
    #[must_use]
    pub fn restricted_to(mut self, purposes: &[Purpose]) -> Self {
        self.purposes = purposes.to_vec();
        self
    }

    /// The same sealer, which makes no data keys, since a function may not write them. An instance that is paired has
    /// them, because its daemon has sealed with them.
    #[must_use]
    pub fn making_no_keys(mut self) -> Self {
        self.makes_keys = false;
        self
    }

    /// The same sealer, which keeps the `capacity` plain keys used last (twice as many at most), each for `term`.
    #[must_use]
    pub fn keeping(mut self, capacity: usize, term: Duration) -> Self {
        self.cache = Arc::new(Cache::new(capacity));
        self.term = term;
        self
    }

    /// Keeps an instance's plain keys cached for as long as the pin is held, however many others are used meanwhile.
    /// They are unwrapped anew after their term, as all are.
    pub fn pin(&self, instance: InstanceId) -> Pin {
        self.cache.pin(instance)
    }

    /// Makes an instance's data key for a purpose where there is none.
    pub async fn make_key(&self, instance: InstanceId, purpose: Purpose) -> Result<(), SealError> {
        self.key(KeyContext { purpose, instance }).await.map(drop)
    }

    /// Has an instance's data key for a purpose at hand for whoever needs it next. [`SealError::NoKey`] where there is none.
    pub async fn warm(&self, instance: InstanceId, purpose: Purpose) -> Result<(), SealError> {
        let context = KeyContext { purpose, instance };
        if !self.purposes.contains(&purpose) {
            return Err(SealError::PurposeDenied(purpose));
        }
        let load = || async { self.load_key(&context).await?.ok_or(SealError::NoKey(purpose)) };
        let slot = self.cache.slot(context);
        slot.key(self.term_of(context), load).await.map(drop)
    }

    /// Seals `plain` for `purpose`. `aad` names what it is, such as its table key. The value opens with the same
    /// `aad` only, so sealed values cannot be exchanged. An instance's first value makes its data key.
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

    /// Begins to seal a stream for `purpose`, as [`Sealer::seal`] seals a value.
    pub async fn seal_stream(
        &self,
        instance: InstanceId,
        purpose: Purpose,
        aad: &[u8],
    ) -> Result<StreamSealer, SealError> {
        let key = self.key(KeyContext { purpose, instance }).await?;
        Ok(StreamSealer::new(&key, aad))
    }

    /// Begins to open what [`Sealer::seal_stream`] made with the same instance, purpose and `aad`.
    pub async fn open_stream(
        &self,
        instance: InstanceId,
        purpose: Purpose,
        aad: &[u8],
    ) -> Result<StreamOpener, SealError> {
        let key = self.key(KeyContext { purpose, instance }).await?;
        Ok(StreamOpener::new(key, aad))
    }

    /// Deletes an instance's wrapped keys and forgets the plain ones. All that was sealed under them is unreadable from then
    /// on, but by a copy of the table that has the wrapped keys still. Other processes forget the keys within their cache's
    /// term.
    pub async fn delete_keys(&self, instance: InstanceId) -> Result<(), StorageError> {
        let everywhere = Purpose::ALL.into_iter().flat_map(|purpose| {
            [
                keys::data_key(instance, purpose),
                keys::old_data_key(instance, purpose),
            ]
        });
        for key in everywhere {
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
            .forget(Purpose::ALL.map(|purpose| KeyContext { purpose, instance }));
        Ok(())
    }

    async fn key(&self, context: KeyContext) -> Result<DataKey, SealError> {
        if !self.purposes.contains(&context.purpose) {
            return Err(SealError::PurposeDenied(context.purpose));
        }
        let slot = self.cache.slot(context);
        slot.key(self.term_of(context), || self.load_or_create(&context))
            .await
    }

    /// The term, less up to a tenth by instance: keys that are loaded together when a shard is taken over are not
    /// unwrapped anew together.
    fn term_of(&self, context: KeyContext) -> Duration {
        let share = u32::from(context.instance.to_bytes()[15]);
        self.term * (2_550 - share) / 2_550
    }

    /// The key that is stored; `None` where there is none.
    async fn load_key(&self, context: &KeyContext) -> Result<Option<DataKey>, SealError> {
        match self.load(context).await? {
            Some(wrapped) => Ok(Some(self.wrapper.unwrap(context, &wrapped).await?)),
            None => Ok(None),
        }
    }

    async fn load_or_create(&self, context: &KeyContext) -> Result<DataKey, SealError> {
        if let Some(key) = self.load_key(context).await? {
            return Ok(key);
        }
        if !self.makes_keys {
            return Err(SealError::NoKey(context.purpose));
        }
        let (key, wrapped) = self.wrapper.generate(context).await?;
        if self.store(context, wrapped).await? {
            return Ok(key);
        }
        // Another process was first, and its key counts.
        let old = keys::old_data_key(context.instance, context.purpose);
        let wrapped = self.load_from(&old).await?.ok_or_else(|| {
            StorageError::Conflict("the wrapped data key was deleted while it was made".into())
        })?;
        Ok(self.wrapper.unwrap(context, &wrapped).await?)
    }

    async fn load(&self, context: &KeyContext) -> Result<Option<Vec<u8>>, StorageError> {
        let &KeyContext { purpose, instance } = context;
        match self.load_from(&keys::data_key(instance, purpose)).await? {
            Some(wrapped) => Ok(Some(wrapped)),
            None => self.load_from(&keys::old_data_key(instance, purpose)).await,
        }
    }

    async fn load_from(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        let answer = self.table.get(key).await?;
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

    /// Stores the wrapped key unless there is one; answers whether it did. Processes of the previous version know
    /// only the old place, and make keys there. So the old place decides whose key counts, and the new one follows. A
    /// key that is only in the old place is read from there.
    async fn store(&self, context: &KeyContext, wrapped: Vec<u8>) -> Result<bool, StorageError> {
        let &KeyContext { purpose, instance } = context;
        let wrapped = AttributeValue::B(Blob::new(wrapped));
        if !self
            .put_new(&keys::old_data_key(instance, purpose), wrapped.clone())
            .await?
        {
            return Ok(false);
        }
        self.put_new(&keys::data_key(instance, purpose), wrapped).await
    }

    /// Puts a wrapped key where there is none, or this very one; answers whether it is there now.
    async fn put_new(&self, key: &Key, wrapped: AttributeValue) -> Result<bool, StorageError> {
        let stored = self
            .table
            .client()
            .put_item()
            .table_name(self.table.name())
            .set_item(Some(key.attributes()))
            .item("wrapped", wrapped.clone())
            // The second condition is for the SDK's next attempt after a lost answer: it finds what it wrote.
            .condition_expression("attribute_not_exists(pk) OR #wrapped = :wrapped")
            .expression_attribute_names("#wrapped", "wrapped")
            .expression_attribute_values(":wrapped", wrapped)
            .send()
            .await;
        match stored {
            Ok(_) => Ok(true),
            Err(error) if condition_failed(&error) => Ok(false),
            Err(error) => Err(classify(error)),
        }
    }
}
