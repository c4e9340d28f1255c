//! Takes a session's events, and keeps receipts and acknowledgements from waiting behind the rest.
//!
//! The library has acknowledged a receipt before it tells of it, so the receipt does not come again. The actor cannot
//! take it in time: between two events it writes statuses, as slowly as the table is, and it stops listening when its
//! session ends, while received events are still on their way. So a task of its own takes all events, from the
//! session's first to its last.

use std::time::Duration;

use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::link::Acks;
use super::receipts::Receipts;
use crate::connection::{EVENTS_WAITING, SessionEvent};

/// How many events may wait for the actor: all but receipts and acknowledgements. When they are so many, receipts and
/// acknowledgements wait behind them.
const OTHERS_WAITING: usize = 256;

/// How long a session that has ended in order may take to tell what it has received last.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The task that takes a session's events.
pub struct Sorter {
    task: AbortOnDropHandle<()>,
    close: CancellationToken,
}

impl Sorter {
    /// Starts it. Answers where the session's events go in, and where all but receipts and acknowledgements come out.
    pub fn start(
        acks: Acks,
        receipts: Receipts,
    ) -> (
        Self,
        mpsc::Sender<Box<SessionEvent>>,
        mpsc::Receiver<Box<SessionEvent>>,
    ) {
        let (told, events) = mpsc::channel(EVENTS_WAITING);
        let (others, handled) = mpsc::channel(OTHERS_WAITING);
        let close = CancellationToken::new();
        let sorting = sort(events, others, acks, receipts, close.clone());
        let sorter = Self {
            task: AbortOnDropHandle::new(tokio::spawn(sorting)),
            close,
        };
        (sorter, told, handled)
    }

    /// Takes the rest, once the session has ended in order. Nobody waits for other events by then.
    pub async fn finish(mut self) {
        if tokio::time::timeout(LAST_WORDS, &mut self.task).await.is_ok() {
            return;
        }
        warn!("a session that has ended goes on telling: what it has told is the last");
        self.close.cancel();
        let _ = self.task.await;
    }
}

async fn sort(
    mut events: mpsc::Receiver<Box<SessionEvent>>,
    others: mpsc::Sender<Box<SessionEvent>>,
    acks: Acks,
    receipts: Receipts,
    close: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            () = close.cancelled() => {
                // Nothing more goes in; what is in comes out.
                events.close();
                events.recv().await
            }
        };
        let Some(event) = event else { return };
        let other = match *event {
            SessionEvent::ServerAck {
                whatsapp_id,
                error,
                chat,
            } => {
                if let Some(message) = MessageId::from_whatsapp(&whatsapp_id) {
                    acks.tell(message, error);
                }
                if let (None, Some(group)) = (error, chat.filter(Recipient::is_shared)) {
                    receipts.sent_to(whatsapp_id, group);
                }
                continue;
            }
            SessionEvent::Receipt {
                whatsapp_ids,
                kind,
                at,
                group,
                reader,
            } => {
                receipts.told(whatsapp_ids, kind, at, group.as_ref(), &reader);
                continue;
            }
            other => Box::new(other),
        };
        // Refused once the session is over for the actor: the rest does not matter then.
        let _ = others.send(other).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lean::{MOST, size_of_future};

    #[test]
    fn a_sorter_that_waits_takes_little_memory() {
        let size = size_of_future(|(events, others, acks, receipts, close)| {
            sort(events, others, acks, receipts, close)
        });
        assert!(size <= MOST, "{size} bytes");
    }
}
