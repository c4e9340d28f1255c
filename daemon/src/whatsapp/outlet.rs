//! The way of a session's events to the daemon.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::connection::SessionEvent;
use crate::meter::Total;

/// Where a session tells what happens, until it is over.
pub struct Outlet {
    events: Mutex<Option<mpsc::Sender<Box<SessionEvent>>>>,
    /// Receipts that were left out.
    receipts_lost: Total,
    overflow: CancellationToken,
    stop: CancellationToken,
}

impl Outlet {
    /// An outlet into `events`, which counts the receipts that it leaves out. It cancels `stop`, which ends the session, where
    /// the daemon takes no more.
    pub fn new(
        events: mpsc::Sender<Box<SessionEvent>>,
        receipts_lost: Total,
        stop: CancellationToken,
    ) -> Self {
        Self {
            events: Mutex::new(Some(events)),
            receipts_lost,
            overflow: CancellationToken::new(),
            stop,
        }
    }

    /// Tells an event at once, since the library does not wait. Without room a receipt is left out, and any other event ends
    /// the session.
    pub fn tell(&self, event: SessionEvent) {
        let events = self.events();
        let Some(events) = &*events else { return };
        match events.try_send(Box::new(event)) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => self.stop.cancel(),
            Err(TrySendError::Full(event)) => {
                if let SessionEvent::Receipt { whatsapp_ids, .. } = *event {
                    warn!("events are not taken in time; a receipt is left out");
                    self.receipts_lost.add(whatsapp_ids.len());
                } else {
                    warn!("events are not taken in time; the session ends");
                    self.overflow.cancel();
                }
            }
        }
    }

    /// Tells an event once there is room. Where the daemon takes no more it is dropped.
    pub async fn tell_in_time(&self, event: SessionEvent) {
        let events = self.events().clone();
        if let Some(events) = events {
            let _ = events.send(Box::new(event)).await;
        }
    }

    /// Cancelled when there was no room for an event that is no receipt.
    pub fn overflow(&self) -> &CancellationToken {
        &self.overflow
    }

    /// The session is over: nothing more goes in, and what is in comes out.
    pub fn close(&self) {
        self.events().take();
    }

    fn events(&self) -> MutexGuard<'_, Option<mpsc::Sender<Box<SessionEvent>>>> {
        self.events.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::domain::person::Person;

    use super::*;
    use crate::connection::ReceiptKind;

    fn receipt() -> SessionEvent {
        SessionEvent::Receipt {
            whatsapp_ids: vec!["A".to_owned()],
            kind: ReceiptKind::Read,
            at: DateTime::UNIX_EPOCH,
            group: None,
            reader: Person::default(),
        }
    }

    fn outlet() -> (Outlet, mpsc::Receiver<Box<SessionEvent>>, CancellationToken) {
        let (sender, events) = mpsc::channel(1);
        let stop = CancellationToken::new();
        (Outlet::new(sender, Total::default(), stop.clone()), events, stop)
    }

    #[tokio::test]
    async fn without_room_a_receipt_is_left_out_and_anything_else_ends_the_session() {
        let (outlet, mut events, stop) = outlet();
        outlet.tell(SessionEvent::Paired);
        outlet.tell(receipt());
        assert!(!outlet.overflow().is_cancelled());
        assert_eq!(outlet.receipts_lost.get(), 1);
        outlet.tell(SessionEvent::QrExhausted);
        assert!(outlet.overflow().is_cancelled());
        assert!(!stop.is_cancelled(), "what is in is still taken");
        assert_eq!(outlet.receipts_lost.get(), 1, "it is no receipt");
        outlet.close();
        assert_eq!(events.recv().await.as_deref(), Some(&SessionEvent::Paired));
        assert_eq!(events.recv().await, None);
    }

    #[tokio::test]
    async fn the_last_event_waits_for_room_and_nothing_follows_it() {
        let (outlet, mut events, stop) = outlet();
        outlet.tell(SessionEvent::Paired);
        let told = async {
            outlet.tell_in_time(SessionEvent::QrExhausted).await;
            outlet.close();
            outlet.tell(receipt());
        };
        let taken = async {
            let mut taken = Vec::new();
            while let Some(event) = events.recv().await {
                taken.push(*event);
            }
            taken
        };
        let ((), taken) = tokio::join!(told, taken);
        assert_eq!(taken, [SessionEvent::Paired, SessionEvent::QrExhausted]);
        assert!(!stop.is_cancelled());
        assert!(!outlet.overflow().is_cancelled());
    }

    #[tokio::test]
    async fn a_session_whose_events_nobody_takes_is_stopped() {
        let (outlet, events, stop) = outlet();
        drop(events);
        outlet.tell(receipt());
        assert!(stop.is_cancelled());
        outlet.tell_in_time(SessionEvent::Paired).await;
    }
}
