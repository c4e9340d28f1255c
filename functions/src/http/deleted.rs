//! The answer of every DELETE.

use std::fmt::Display;

use serde::Serialize;
use utoipa::ToSchema;

/// Something is gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    /// What.
    #[schema(example = "inst_01JD0000000000000000000000")]
    id: String,
    /// Always `true`.
    deleted: bool,
}

impl Deleted {
    /// The thing with this id is gone.
    pub fn of(id: impl Display) -> Self {
        Self {
            id: id.to_string(),
            deleted: true,
        }
    }
}
