//! A sink that keeps what was committed, and can refuse.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use daemon::connection::{AddressBook, BookError, CommitError, InboundMessage, InboundSink};
use daemon::notice::{Notice, NoticeSink};
use shared::domain::address_book::SavedContact;
use shared::domain::event::EventType;
use shared::domain::person::Person;
use tokio::sync::mpsc;

/// What was committed, as the daemon's records tell it across sessions.
pub type Seen = Arc<Mutex<HashSet<String>>>;

/// Where a session's incoming messages go; they can be awaited at the other end.
#[derive(Debug)]
pub struct Sink {
    /// How many more commits are refused.
    pub refusals: AtomicUsize,
    committed: mpsc::Sender<InboundMessage>,
    seen: Seen,
}

impl Sink {
    pub fn new(seen: Seen) -> (Arc<Self>, mpsc::Receiver<InboundMessage>) {
        let (committed, receiver) = mpsc::channel(1_000);
        (
            Arc::new(Self {
                refusals: AtomicUsize::new(0),
                committed,
                seen,
            }),
            receiver,
        )
    }
}

#[async_trait]
impl InboundSink for Sink {
    async fn commit(&self, batch: &[InboundMessage]) -> Result<(), CommitError> {
        let refuse = |left: usize| left.checked_sub(1);
        if self
            .refusals
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse)
            .is_ok()
        {
            return Err(CommitError("refused, as the test wants it".into()));
        }
        for message in batch {
            // As the daemon's sink: a message that comes again counts once.
            if self
                .seen
                .lock()
                .expect("no holder panics")
                .insert(message.whatsapp_id.clone())
            {
                // Without a pause: what counts as seen and is not handed on would be lost with a session that ends.
                self.committed
                    .try_send(message.clone())
                    .map_err(|error| CommitError(error.into()))?;
            }
        }
        Ok(())
    }
}

/// Where a session's notices go; they can be awaited at the other end. Somebody wants all of them.
#[derive(Debug)]
pub struct Heard(pub mpsc::Sender<Notice>);

impl NoticeSink for Heard {
    fn tell(&self, notice: Notice) {
        self.0.try_send(notice).expect("the test has room for it");
    }

    fn is_wanted(&self, _: EventType) -> bool {
        true
    }
}

/// An address book that keeps what was saved last.
#[derive(Debug, Default)]
pub struct Book(pub Mutex<Vec<SavedContact>>);

#[async_trait]
impl AddressBook for Book {
    async fn save(&self, contacts: &[SavedContact], _is_whole: bool) -> Result<(), CommitError> {
        *self.0.lock().expect("no holder panics") = contacts.to_vec();
        Ok(())
    }

    async fn people(&self) -> Result<Vec<Person>, BookError> {
        let contacts = self.0.lock().expect("no holder panics");
        Ok(contacts.iter().map(|contact| contact.person.clone()).collect())
    }
}
