//! Values that rest sealed: how one becomes a text that a queue or an item may carry, and comes back.
//!
//! A value is serialised as JSON, sealed by the [`Sealer`] for [`Purpose::Content`], and put into base64. What it is
//! *of* (a message's or an event's id) is its associated data: it opens as that of nothing else.

pub mod question;

use std::fmt::Display;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ids::InstanceId;
use crate::nature::Nature;
use crate::seal::{Purpose, SealError, Sealer};

/// Why a text does not come back as a value.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It is not in base64.
    #[error("the sealed value is not in base64")]
    Encoding(#[source] base64::DecodeError),
    /// It opens, and is not the value that is looked for. What is wrong with it is not said: that quotes it.
    #[error("the sealed value is not what it should be")]
    Value,
}

impl OpenError {
    /// Whether the same call may succeed later, unchanged.
    pub fn nature(&self) -> Nature {
        match self {
            Self::Seal(error) => error.nature(),
            Self::Encoding(_) | Self::Value => Nature::Permanent,
        }
    }
}

/// Seals a value of this instance.
pub async fn seal<T: Serialize>(
    sealer: &Sealer,
    instance: InstanceId,
    of: &impl Display,
    value: &T,
) -> Result<String, SealError> {
    let plain = serde_json::to_vec(value).expect("what is sealed is plain data");
    let of = of.to_string();
    let bytes = sealer
        .seal(instance, Purpose::Content, of.as_bytes(), &plain)
        .await?;
    Ok(STANDARD.encode(bytes))
}

/// Opens what [`seal`] made of a value of the same instance and thing.
pub async fn open<T: DeserializeOwned>(
    sealer: &Sealer,
    instance: InstanceId,
    of: &impl Display,
    text: &str,
) -> Result<T, OpenError> {
    let bytes = STANDARD.decode(text).map_err(OpenError::Encoding)?;
    let of = of.to_string();
    let plain = sealer
        .open(instance, Purpose::Content, of.as_bytes(), &bytes)
        .await?;
    serde_json::from_slice(&plain).map_err(|_| OpenError::Value)
}
