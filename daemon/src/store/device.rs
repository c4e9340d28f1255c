//! The device: its keys, its account and its counters, in one entry.

use async_trait::async_trait;
use wacore::stats::StorageResourceReport;
use wacore::store::Device;
use wacore::store::error::Result;
use wacore::store::traits::DeviceStore;

use super::{SessionStore, failed};

/// The entry's name. It is there once an instance was paired.
pub const DEVICE: &str = "device";

#[async_trait]
impl DeviceStore for SessionStore {
    async fn save(&self, device: &Device) -> Result<()> {
        self.put_json(DEVICE, device).await
    }

    async fn load(&self) -> Result<Option<Device>> {
        self.get_json(DEVICE).await
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.state.get(DEVICE).await.map_err(failed)?.is_some())
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
