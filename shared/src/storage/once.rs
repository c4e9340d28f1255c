//! Updates that add to what is there: made twice, they count twice.
//!
//! The SDK's own retries cannot tell a lost answer from a lost request, so these requests have none. They are
//! repeated here, and only where they certainly were not executed. A request whose outcome nobody knows is an error,
//! and has counted one too many at most for each caller that it is from.

use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use tokio::time::Instant;

use super::error::was_not_executed;
use super::purge::PAUSES;
use super::table::{ATTEMPT_DEADLINE, CALL_DEADLINE};

/// Sends an update so that it is executed once at most. It ends within [`CALL_DEADLINE`], as other calls do.
pub(super) async fn update_once(
    request: UpdateItemFluentBuilder,
) -> Result<UpdateItemOutput, SdkError<UpdateItemError>> {
    let began = Instant::now();
    let mut pauses = PAUSES.iter();
    loop {
        let sent = request
            .clone()
            .customize()
            .config_override(Builder::new().retry_config(RetryConfig::disabled()))
            .send()
            .await;
        let error = match sent {
            Err(error) if was_not_executed(&error) => error,
            settled => return settled,
        };
        match pauses.next() {
            Some(pause) if began.elapsed() + *pause + ATTEMPT_DEADLINE <= CALL_DEADLINE => {
                tokio::time::sleep(*pause).await;
            }
            _ => return Err(error),
        }
    }
}
