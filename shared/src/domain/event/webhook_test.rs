//! What is told by whoever tries a webhook.

use serde::{Deserialize, Serialize};

/// What a test event says.
pub const TEST_WORDS: &str = "This is a test of your webhook";

/// The data of [`EventType::WebhookTest`](super::EventType::WebhookTest).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookTest {
    /// Words for whoever reads it.
    pub message: String,
}

impl Default for WebhookTest {
    fn default() -> Self {
        Self {
            message: TEST_WORDS.to_owned(),
        }
    }
}
