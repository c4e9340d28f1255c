//! A world with an instance whose values are sealed.

use std::ops::Deref;

use shared::ids::InstanceId;

/// A table and what makes and reads sealed values in it.
pub struct World {
    base: testbed::world::World,
    pub instance: InstanceId,
}

impl Deref for World {
    type Target = testbed::world::World;

    fn deref(&self) -> &Self::Target {
        &self.base
    }
}

impl World {
    pub async fn new() -> Self {
        Self {
            base: testbed::world::World::new().await,
            instance: InstanceId::from_bytes([1; 16]),
        }
    }
}
