//! "… is typing": what a recipient sees for a while before a message that asks for it.
//!
//! It is for show. What cannot be shown holds no message up, and a message goes out though somebody would have typed for
//! longer than its time. It is shown once in a process: a message that is tried again goes out without.

use std::time::Duration;

use shared::domain::job::SendJob;
use shared::fault;
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::debug;

use super::attempt::Links;
use super::journey::{Journey, Stopped};
use super::send::Sender;
use crate::connection::ChatState;
use crate::instance::link::Link;

/// How long an app shows it without hearing of it again, or less.
const SHOWN: Duration = Duration::from_secs(8);

/// How long before its time is over a message goes out at the latest.
const SPARE: Duration = Duration::from_secs(2);

impl Sender<'_> {
    /// Shows the recipient that somebody types, for as long as the message asks. `false` where the connection ended
    /// meanwhile.
    pub async fn type_before(
        &self,
        link: &Link,
        links: &mut Links,
        send: &SendJob,
        journey: &mut Journey,
    ) -> Result<bool, Stopped> {
        let Some(asked) = send.typing_ms.filter(|_| journey.typed_at.is_none()) else {
            return Ok(true);
        };
        journey.typed_at = Some(Instant::now());
        let left = self.left(send).unwrap_or_default();
        let until = Instant::now() + Duration::from_millis(asked.into()).min(left.saturating_sub(SPARE));
        while Instant::now() < until {
            if let Err(error) = link.connection.show(&send.to, ChatState::Typing).await {
                debug!(message.id = %send.message, error = %chain(&error), "a recipient is not shown that somebody types");
                return Ok(true);
            }
            fault::point("while-typing");
            let pause = async {
                tokio::select! {
                    () = tokio::time::sleep_until(until.min(Instant::now() + SHOWN)) => true,
                    _ = links.changed() => false,
                }
            };
            match self.unless_over(send, pause).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(stopped) => {
                    // Nobody is to wait for a message that does not come now.
                    let _ = link.connection.show(&send.to, ChatState::Paused).await;
                    return Err(stopped);
                }
            }
        }
        Ok(true)
    }
}
