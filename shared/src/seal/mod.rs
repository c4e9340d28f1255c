//! Envelope encryption of what must not be readable in the table.
//!
//! Each instance has one data key per [`Purpose`]. A [`KeyWrapper`] (KMS, or a key file on a local stack) makes it
//! and wraps it under the context `{purpose, instance}`; the wrapped key rests in the table. The [`Sealer`] seals
//! values with the data key by AES-256-GCM. A process that may use one purpose only, by its code and by its KMS
//! policy, cannot read what was sealed for another.

mod cache;
mod cipher;
mod file;
mod kms;
mod sealer;
mod stream;
mod wrapper;

use std::sync::Arc;

use crate::config::Wrapping;

pub use crate::domain::purpose::Purpose;
pub use cache::{GRACE, Pin};
pub use file::FileKeyWrapper;
pub(crate) use file::key_in;
pub use kms::KmsKeyWrapper;
pub use sealer::{SealError, Sealer};
pub use stream::{StreamOpener, StreamSealer, plain_length};
pub use wrapper::{DataKey, KeyContext, KeyError, KeyWrapper};

/// The wrapper that a configuration names. A key file is made where there is none.
pub fn wrapper(aws: &aws_config::SdkConfig, wrapping: &Wrapping) -> std::io::Result<Arc<dyn KeyWrapper>> {
    Ok(match wrapping {
        Wrapping::Kms(key) => Arc::new(KmsKeyWrapper::new(aws, key)),
        Wrapping::File(path) => Arc::new(FileKeyWrapper::open(path)?),
    })
}
