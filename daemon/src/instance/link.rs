//! Where jobs find their instance's connection, and where the server's acknowledgements find their jobs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::domain::person::Person;
use shared::ids::{InstanceId, MessageId, SubscriptionId};
use tokio::sync::{oneshot, watch};

use crate::connection::Connection;

/// An instance's connection, while there is one.
#[derive(Debug, Clone)]
pub struct Link {
    /// The connection itself.
    pub connection: Arc<dyn Connection>,
    /// The subscription that the instance belongs to.
    pub subscription: SubscriptionId,
    /// The account that it is logged in as.
    pub account: Person,
    /// The acknowledgements that its jobs wait for.
    pub acks: Acks,
    /// The number of this link among the instance's, so that whoever has missed one sees that it was there.
    pub number: u64,
}

/// An instance's link, for whoever waits for it.
#[derive(Debug)]
struct Shown {
    sender: watch::Sender<Option<Link>>,
    count: u64,
}

/// The acknowledgements that a connection's jobs wait for. When the connection ends, the waiting ends, which tells
/// its jobs.
#[derive(Debug, Clone, Default)]
pub struct Acks(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    senders: Mutex<HashMap<MessageId, oneshot::Sender<Option<u32>>>>,
    /// The connection's end, and whether what was on the wire may be its cause.
    end: watch::Sender<Option<bool>>,
}

impl Acks {
    /// Waits for a message's acknowledgement. Called before the message is sent.
    pub fn expect(&self, message: MessageId) -> oneshot::Receiver<Option<u32>> {
        let (sender, receiver) = oneshot::channel();
        let mut senders = self.0.senders.lock().expect("no holder panics");
        if self.0.end.borrow().is_none() {
            senders.insert(message, sender);
        }
        receiver
    }

    /// Tells the job of a message what the server said: `None`, or an error.
    pub fn tell(&self, message: MessageId, error: Option<u32>) {
        let sender = self.0.senders.lock().expect("no holder panics").remove(&message);
        if let Some(sender) = sender {
            // The job may have stopped waiting.
            let _ = sender.send(error);
        }
    }

    /// Ends all waiting, since no acknowledgement comes any more. `blames_wire` says that what was on the wire may be
    /// the cause.
    pub fn close(&self, blames_wire: bool) {
        let mut senders = self.0.senders.lock().expect("no holder panics");
        self.0.end.send_replace(Some(blames_wire));
        senders.clear();
    }

    /// Whether what was on the wire may be the cause of the connection's end. Waits up to `patience` for that end;
    /// `false` where it does not come.
    pub async fn blames_wire(&self, patience: Duration) -> bool {
        let mut end = self.0.end.subscribe();
        let told = tokio::time::timeout(patience, end.wait_for(Option::is_some)).await;
        matches!(told, Ok(Ok(end)) if *end == Some(true))
    }
}

/// The links of a shard's instances. One that has none yet can be waited for.
#[derive(Debug, Default)]
pub struct Links(Mutex<HashMap<InstanceId, Shown>>);

impl Links {
    /// An instance's link, as it comes and goes.
    pub fn watch(&self, instance: InstanceId) -> watch::Receiver<Option<Link>> {
        self.with(instance, |shown| shown.sender.subscribe())
    }

    /// An instance's link, if there is one now.
    pub fn now(&self, instance: InstanceId) -> Option<Link> {
        let links = self.0.lock().expect("no holder panics");
        let shown = links.get(&instance)?;
        shown.sender.borrow().clone()
    }

    /// Sets or takes away an instance's link.
    pub fn set(&self, instance: InstanceId, link: Option<Link>) {
        self.with(instance, |shown| {
            let link = link.map(|link| {
                shown.count += 1;
                Link {
                    number: shown.count,
                    ..link
                }
            });
            shown.sender.send_replace(link);
        });
    }

    /// Ends the waiting for the link of an instance that has none. Those who waited look at the instance again, which
    /// may be gone or logged out.
    pub fn look_again(&self, instance: InstanceId) {
        let mut links = self.0.lock().expect("no holder panics");
        if links
            .get(&instance)
            .is_some_and(|shown| shown.sender.borrow().is_none())
        {
            links.remove(&instance);
        }
    }

    fn with<T>(&self, instance: InstanceId, act: impl FnOnce(&mut Shown) -> T) -> T {
        let mut links = self.0.lock().expect("no holder panics");
        act(links.entry(instance).or_insert_with(|| Shown {
            sender: watch::Sender::new(None),
            count: 0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> MessageId {
        MessageId::from_bytes([7; 16])
    }

    #[tokio::test]
    async fn a_job_hears_of_its_own_acknowledgement_or_of_the_end() {
        let acks = Acks::default();
        let refused = acks.expect(id());
        acks.tell(MessageId::from_bytes([8; 16]), None);
        acks.tell(id(), Some(463));
        assert_eq!(refused.await, Ok(Some(463)));

        let unanswered = acks.expect(id());
        assert!(!acks.blames_wire(Duration::ZERO).await, "it has not ended");
        acks.close(true);
        assert!(unanswered.await.is_err());
        assert!(acks.blames_wire(Duration::ZERO).await);
        assert!(
            acks.expect(id()).await.is_err(),
            "nor does waiting begin after the end"
        );
    }
}
