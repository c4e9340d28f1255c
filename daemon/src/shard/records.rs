//! Records that are read together.
//!
//! A message's record is read before anything else is done about its job. A receive brings up to ten jobs, and those that begin
//! at once have their records read in one request. That takes as many read units as one request for each.
//!
//! The other jobs of a chat begin one after the other. Once one of them has shown how long it takes, the records of those that are
//! expected to begin within a second are read in one request. It never has a message twice, so a job never finds in it what was
//! true before another job of its message was done.
//!
//! A job whose record does not come that way reads it by itself: where the table has left it unread, where the request has
//! failed, and where it was read too long ago. So nothing is believed of a record but what the table has said of it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use shared::domain::job::SendJob;
use shared::domain::message::{Kind, MessageRecord};
use shared::queue::MAX_BATCH;
use shared::storage::StorageError;
use shared::storage::messages::{Messages, Which};
use shared::telemetry::chain;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::journey::{End, Journey, is_fresh};
use super::lanes::Job;
use super::send::Sender;

/// How long reading them together may take. One that is slow must not hold up the others for long.
const DEADLINE: Duration = Duration::from_millis(500);

/// The record of a job that is expected to begin within this time is read before its turn: half of how long a record is believed.
/// A record that is read too early is read again, and costs another read unit.
const AHEAD: Duration = Duration::from_secs(1);

/// How many of a chat's jobs begin within [`AHEAD`], if each takes as long as the last one took: the next one, which begins at once,
/// and [`MAX_BATCH`] at most.
pub fn expected(took: Duration) -> usize {
    let behind = AHEAD.as_micros() / took.as_micros().max(1);
    usize::try_from(behind).map_or(MAX_BATCH, |behind| MAX_BATCH.min(behind.saturating_add(1)))
}

/// Whether a message needs nothing before the wire that takes long, as far as its job tells.
pub fn is_quick(send: &SendJob) -> bool {
    send.kind == Kind::Text && send.typing_ms.is_none() && !send.to.is_shared()
}

/// A record as it was read with others.
#[derive(Debug)]
pub struct Look {
    /// When it was asked for: what has changed since then is not in it.
    pub began: Instant,
    /// The record.
    pub record: Result<Option<MessageRecord>, StorageError>,
}

/// Where a job finds its record, if that is read with others.
#[derive(Debug, Default)]
pub struct Awaited(Mutex<Option<oneshot::Receiver<Look>>>);

impl Awaited {
    /// Whether it is read with others, and its job has not begun.
    pub fn is_asked(&self) -> bool {
        self.0.lock().expect("no holder panics").is_some()
    }

    /// What was read, once it is there. `None` where the job reads its record by itself.
    pub async fn take(&self) -> Option<Look> {
        let look = self.0.lock().expect("no holder panics").take()?;
        look.await.ok()
    }
}

/// Records that are to be read together.
#[derive(Debug, Default)]
pub struct Together(Vec<(Which, oneshot::Sender<Look>)>);

impl Together {
    /// Has the record of a job's message read with the others, for `awaited`. The second job of a message reads it by itself:
    /// what comes of the first one is not in what is read now.
    pub fn ask(&mut self, send: &SendJob, awaited: &Awaited) {
        let message = (send.instance, send.message);
        if self.0.iter().any(|(asked, _)| *asked == message) {
            return;
        }
        let (teller, look) = oneshot::channel();
        self.0.push((message, teller));
        *awaited.0.lock().expect("no holder panics") = Some(look);
    }

    /// Reads them, in a task among `tasks`. One alone is read by its job.
    pub fn read(self, messages: &Messages, tasks: &TaskTracker) {
        if self.0.len() > 1 {
            tasks.spawn(self.tell(messages.clone()));
        }
    }

    async fn tell(self, messages: Messages) {
        let which: Vec<Which> = self.0.iter().map(|(message, _)| *message).collect();
        let began = Instant::now();
        let reading = tokio::time::timeout(DEADLINE, messages.get_together(&which));
        let mut read: HashMap<_, _> = match reading.await {
            Ok(Ok(together)) => together.read.into_iter().collect(),
            Ok(Err(error)) => {
                debug!(count = which.len(), error = %chain(&error), "records were not read together, so each is read by itself");
                return;
            }
            Err(_) => {
                debug!(
                    count = which.len(),
                    "records were not read together in time, so each is read by itself"
                );
                return;
            }
        };
        for (message, teller) in self.0 {
            if let Some(record) = read.remove(&message) {
                // Its job may have been given up meanwhile.
                let _ = teller.send(Look { began, record });
            }
        }
    }
}

impl Sender<'_> {
    /// The end of a job that begins, where its message's record says that the message is not to be sent; else `None`. The record may
    /// have been read with others.
    pub async fn first_look(
        &self,
        job: &Job,
        send: &SendJob,
        journey: &mut Journey,
    ) -> Result<Option<End>, StorageError> {
        match job.look.take().await {
            Some(look) if is_fresh(look.began) => {
                let record = look.record?;
                journey.read_at = Some(look.began);
                Ok(self.against(send, record))
            }
            // It takes room only where a record is read like this.
            _ => Box::pin(self.is_to_be_sent(send, journey)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_read_ahead_as_begin_within_a_second() {
        let expected = |ms| expected(Duration::from_millis(ms));
        assert_eq!(expected(0), 10);
        assert_eq!(expected(100), 10);
        assert_eq!(expected(250), 5);
        assert_eq!(expected(1_000), 2);
        assert_eq!(expected(1_001), 1);
        assert_eq!(expected(60_000), 1);
    }
}
