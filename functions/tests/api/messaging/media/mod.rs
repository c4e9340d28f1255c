//! `/api/media`: room for files, and taking them back. Files themselves go past the API.

mod create;
mod delete;
mod show;

use serde_json::{Value, json};

/// A file as it is announced.
fn photo() -> Value {
    json!({"fileName": "photo.jpg", "mimeType": "image/jpeg", "size": 5})
}
