//! Members that can be taken away.

use serde::{Deserialize, Deserializer};

/// An optional member that `null` takes away; such a member is `#[serde(default)]`. A member that always has a value
/// is an `Option` whose schema does not allow `null`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Given<T> {
    /// It is not there: what it was stays.
    #[default]
    Absent,
    /// `null`: none.
    Null,
    /// This one.
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}
