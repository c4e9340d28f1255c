//! The port behind which data keys are made, wrapped and unwrapped.

use std::fmt;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::Purpose;
use crate::ids::InstanceId;

/// A plain data key. Overwritten when it is dropped, and never shown.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A new random key.
    pub fn generate() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    /// A key of these bytes; `None` unless there are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey")
    }
}

/// What a data key is bound to: it unwraps for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyContext {
    /// What the key is for.
    pub purpose: Purpose,
    /// Whose key it is.
    pub instance: InstanceId,
}

impl KeyContext {
    /// The pairs that KMS binds to the wrapped key, writes into its log and offers to key policies.
    pub fn pairs(&self) -> [(&'static str, String); 2] {
        [
            ("purpose", self.purpose.to_string()),
            ("instance", self.instance.to_string()),
        ]
    }
}

/// Why a data key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The wrapped key belongs to another context or another wrapping key, or was changed.
    #[error("the wrapped key does not open in this context")]
    WrongContext,
    /// The key service did not answer or asks for fewer requests; trying again may help.
    #[error("the key service cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key service refuses: a missing permission, or a key that is disabled.
    #[error("the key service refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Makes data keys and wraps them under a key that never leaves it.
#[async_trait]
pub trait KeyWrapper: Send + Sync + fmt::Debug {
    /// A new data key for `context`, plain and wrapped.
    async fn generate(&self, context: &KeyContext) -> Result<(DataKey, Vec<u8>), KeyError>;

    /// The data key that was wrapped for `context`.
    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<DataKey, KeyError>;
}
