//! The device: its keys, its account and its counters, in one entry.
//!
//! As a session begins, the library looks whether there is a device, then loads it, and saves all of it a few times, some of
//! them with nothing changed. The owner of the fence is alone, so what was read or written is known. The first look answers
//! the load, and a device is written only where it differs from the stored one. Nothing is put off: what differs is stored
//! before the library hears that it is saved.
//!
//! Until this owner has written, a former owner's save that was on its way may land. The first one that differs replaces all
//! of it: the library counts each login.

use std::fmt;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use wacore::stats::StorageResourceReport;
use wacore::store::Device;
use wacore::store::error::Result;
use wacore::store::traits::DeviceStore;

use super::{SessionStore, failed, from_json, to_json};

/// The entry's name. It is there once an instance was paired.
pub const DEVICE: &str = "device";

/// What is known of the stored device.
#[derive(Default)]
pub struct Known {
    /// What was read to see whether there is a device, for whoever loads it next.
    read: Option<Read>,
    stored: Stored,
}

/// The entry as it was read; `None` where there was none.
struct Read(Option<Vec<u8>>);

/// What is stored.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// Nothing was loaded or written yet.
    #[default]
    Unread,
    /// A device with this [`digest`].
    This([u8; 32]),
    /// A write was begun, and nobody knows what came of it. It may take effect at any time until another one has.
    Unsure,
}

impl fmt::Debug for Known {
    /// The entry is the account.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// A digest of a device without `app_version_last_fetched_ms`, which the library sets in each session.
fn digest(device: &Device) -> Result<[u8; 32]> {
    let timeless = Device {
        app_version_last_fetched_ms: 0,
        ..device.clone()
    };
    Ok(Sha256::digest(to_json(&timeless)?).into())
}

impl SessionStore {
    /// The device's entry: as it was read and not loaded yet, or as it is.
    async fn device_entry(&self, known: &mut Known) -> Result<Option<Vec<u8>>> {
        match known.read.take() {
            Some(Read(stored)) => Ok(stored),
            None => self.state.get(DEVICE).await.map_err(failed),
        }
    }
}

#[async_trait]
impl DeviceStore for SessionStore {
    async fn save(&self, device: &Device) -> Result<()> {
        let digest = Stored::This(digest(device)?);
        let mut known = self.device.lock().await;
        self.writable()?;
        if known.stored == digest {
            return Ok(());
        }
        *known = Known {
            read: None,
            stored: Stored::Unsure,
        };
        self.put_json(DEVICE, device).await?;
        known.stored = digest;
        Ok(())
    }

    async fn load(&self) -> Result<Option<Device>> {
        let mut known = self.device.lock().await;
        let Some(stored) = self.device_entry(&mut known).await? else {
            return Ok(None);
        };
        let device = from_json(&stored)?;
        if known.stored == Stored::Unread {
            known.stored = Stored::This(digest(&device)?);
        }
        Ok(Some(device))
    }

    async fn exists(&self) -> Result<bool> {
        let mut known = self.device.lock().await;
        let stored = self.device_entry(&mut known).await?;
        let exists = stored.is_some();
        known.read = Some(Read(stored));
        Ok(exists)
    }

    /// A state has one device, number 1.
    async fn create(&self) -> Result<i32> {
        if !self.exists().await? {
            self.save(&Device::new()).await?;
        }
        Ok(1)
    }

    async fn resource_report(&self) -> StorageResourceReport {
        StorageResourceReport {
            memory_bytes: Some(0),
            ..StorageResourceReport::default()
        }
    }
}
