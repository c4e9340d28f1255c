//! Records that are read together.
//!
//! A message's record is read before anything else is done about its job. A receive brings up to ten jobs, and those that begin
//! at once have their records read in one request. That takes as many read units as one request for each.
//!
//! A job whose record does not come that way reads it by itself: where the table has left it unread, where the request has
//! failed, and where it has been too long ago. So nothing is believed of a record but what the table has said of it.

use std::collections::HashMap;
use std::sync::Mutex;

use shared::domain::job::SendJob;
use shared::domain::message::MessageRecord;
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
        let mut read: HashMap<_, _> = match messages.get_together(&which).await {
            Ok(together) => together.read.into_iter().collect(),
            Err(error) => {
                debug!(count = which.len(), error = %chain(&error), "records were not read together, so each is read by itself");
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
    /// What the record has against sending a message whose job begins; `None` for nothing. It may have been read with others.
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
